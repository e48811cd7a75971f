"""Find the columns that a recipe needs from names and dtypes alone, and say why they were taken."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nadg_kernel.planners.recipes.words import fold, spans, split_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nadg_kernel.model import DataSchema

_NAMES: dict[str, tuple[str, ...]] = {
    role: tuple(text.split())
    for role, text in {
        "text": """review comment feedback text body message description content tweet post note remark complaint
            verbatim answer response transcript opinion testimonial summary question subject title headline""",
        "rating": "rating stars satisfaction csat nps score grade rank",
        "value": """sentiment_score score rating star satisfaction csat nps revenue sale amount total price value profit
            cost temperature reading quantity count""",
        "category": """product category region country segment type channel department team status priority brand store
            city plan station sensor device site group class source agent gender state sex day smoker size language
            version""",
        "date": "date timestamp time datetime created day month when at year period",
    }.items()
}
"""Role -> words in a column's name that speak for it, the strongest first."""

_NO_TEXT = frozenset(["author", "code", "email", "hash", "id", "ip", "link", "mail", "phone", "sku", "url", "user"])
_NO_TEXT |= {"username", "uuid", "zip", "postcode"}
_NO_NUMBER = frozenset(["code", "id", "index", "lat", "latitude", "lon", "longitude", "phone", "postal", "postcode"])
_NO_NUMBER |= {"rownum", "sku", "uuid", "year", "zip"}


def dtype_kind(dtype: str) -> str:
    """text, number, date, bool, category or other, from a dtype as pandas prints it."""
    name = dtype.lower()
    if name.startswith(("str", "object", "string", "large_string")):
        return "text"
    if name.startswith(("int", "uint", "float", "double", "decimal", "halffloat")):
        return "number"
    if name.startswith(("datetime", "timestamp", "period", "date")):
        return "date"
    if name.startswith("bool"):
        return "bool"
    return "category" if name.startswith("category") else "other"


@dataclass(frozen=True, kw_only=True)
class Found:
    """The column taken for a role, why, and what else could have been meant (`doubt`: a person should look)."""

    column: str
    why: str
    others: tuple[str, ...] = ()
    doubt: bool = False


class Table:
    """A schema with its columns sorted by what they can be."""

    def __init__(self, schema: DataSchema) -> None:
        """Text data counts as a table of one column, `text`, one row per line; a series as one of a column."""
        lines = schema.kind == "text" and not schema.columns
        named = tuple(name or "values" for name in schema.columns) if schema.kind == "array" else schema.columns
        self.columns: tuple[str, ...] = ("text",) if lines else named
        self.dtypes: tuple[str, ...] = ("str",) if lines else schema.dtypes
        self.rows = schema.rows
        self.kind = schema.kind
        self._kinds = {c: dtype_kind(d) for c, d in zip(self.columns, self.dtypes, strict=False)}

    def kind_of(self, column: str) -> str:
        """The kind of one column (see `dtype_kind`)."""
        return self._kinds.get(column, "other")

    def mentioned(self, words: Sequence[str]) -> list[str]:
        """Columns that folded words of a command name, in the command's order, longest name first at one place."""
        hits: list[tuple[int, int, str]] = []
        for column in self.columns:
            name = split_name(column)
            for start, end in [*spans(words, name, exact=True), *spans(words, [fold(column.lower())], exact=True)]:
                hits.append((start, end, column))
        hits.sort(key=lambda hit: (hit[0], -hit[1]))
        out: list[str] = []
        reach = 0
        for start, end, column in hits:
            if start >= reach and column not in out:
                out.append(column)
                reach = end
        return out

    def candidates(self, role: str) -> list[str]:
        """Columns that can play a role, the likeliest first."""
        kinds = {
            "text": ("text",),
            "rating": ("number",),
            "value": ("number",),
            "number": ("number",),
            "category": ("category", "bool", "text"),
            "date": ("date", "text"),
            "any": ("text", "number", "date", "bool", "category", "other"),
        }[role]
        fit = [c for c in self.columns if self.kind_of(c) in kinds and self._allowed(c, role)]
        if role in {"number", "any"}:
            return fit
        return sorted(fit, key=lambda c: (self._rank(c, role), self.columns.index(c)))

    def find(self, role: str, words: Sequence[str] = ()) -> Found | None:
        """The column for a role: one that the command names, else the likeliest. None when nothing fits."""
        fit = self.candidates(role)
        named = [column for column in self.mentioned(words) if column in fit]
        if role == "text" and named:
            named = [c for c in named if self._rank(c, "text") < self._unknown("text") or len(fit) == 1]
        if named and not (role == "text" and named[0] == fit[0]):
            return Found(column=named[0], why="the command names it")
        if not fit:
            return None
        best = fit[0]
        rank = self._rank(best, role)
        rivals = tuple(c for c in fit[1:] if self._rank(c, role) == rank or (role == "text" and self.hinted(c, role)))
        if self.kind_of(best) == "date" and role == "date":
            return Found(column=best, why=f"its dtype is {self._dtype(best)}", others=rivals)
        if self.hinted(best, role):
            return Found(column=best, why="its name and dtype say so", others=rivals, doubt=bool(rivals))
        if len(fit) == 1:
            return Found(column=best, why=f"no other column is {self.kind_of(best)}")
        return Found(column=best, why=f"the first of {len(fit)} that could be meant", others=rivals, doubt=True)

    def _dtype(self, column: str) -> str:
        return dict(zip(self.columns, self.dtypes, strict=False))[column]

    def hinted(self, column: str, role: str) -> bool:
        """Whether the column's name speaks for the role."""
        return self._rank(column, role) < self._unknown(role)

    def _unknown(self, role: str) -> int:
        return 2 * len(_NAMES[role]) if role in _NAMES else 0

    def _allowed(self, column: str, role: str) -> bool:
        words = set(split_name(column))
        kind = self.kind_of(column)
        if role == "text":
            return not words & _NO_TEXT and not self._looks_like_date(column) and not self._only_category(column)
        if role == "category":
            is_text = kind == "text" and self.hinted(column, "text")
            return (
                not words & (_NO_TEXT - {"code", "author", "user"})
                and not is_text
                and not self._looks_like_date(column)
            )
        if role == "date":
            return kind == "date" or self._looks_like_date(column)
        if role == "rating":
            return self.hinted(column, role) and not words & {"sentiment"}
        return role == "any" or not words & _NO_NUMBER

    def _only_category(self, column: str) -> bool:
        return self.hinted(column, "category") and not self.hinted(column, "text")

    def _looks_like_date(self, column: str) -> bool:
        if self.kind_of(column) != "text":
            return self.kind_of(column) == "date"
        words = set(split_name(column))
        return bool(
            words & {"date", "timestamp", "datetime", "time", "created", "updated", "month", "period"}
        ) and not (words & {"zone", "text", "comment"})

    def _rank(self, column: str, role: str) -> int:
        """Position of the first hint that the name has; a name that is only the hint comes before one that has more."""
        if role not in _NAMES:
            return 0
        if role == "date" and self.kind_of(column) == "date":
            return 0
        words = split_name(column)
        for number, hint in enumerate(_NAMES[role]):
            if column.lower() == hint or words == [fold(hint)]:
                return 2 * number
            if fold(hint) in words or re.fullmatch(rf"{hint}s?_?\d+", column.lower()):
                return 2 * number + 1
        return self._unknown(role)
