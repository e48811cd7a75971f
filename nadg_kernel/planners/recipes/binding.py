"""Bind a recipe's constants to columns of a table and to what the clause chose, and say why."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nadg_kernel.planners.recipes.choosing import chosen
from nadg_kernel.planners.recipes.columns import Found, Table
from nadg_kernel.planners.recipes.language import BY
from nadg_kernel.planners.recipes.words import folded, spans, split_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nadg_kernel.planners.recipes.clauses import Clause
    from nadg_kernel.planners.recipes.recipe import Recipe

_LABELS = frozenset({"sentiment", "label", "outcome", "outlier", "verdict"})
_GROUPS_SHOWN = 2
_ROLE_WORDS = {
    "text": "text",
    "rating": "rating",
    "value": "value to average",
    "date": "time",
    "category": "groups",
    "number": "numbers",
    "label": "label",
}
_AMOUNTS = frozenset({"amount", "cost", "profit", "quantity", "revenue", "sale", "spend", "total", "turnover", "unit"})
PERIODS = frozenset(["day", "week", "month", "quarter", "year", "hour", "date", "time"])


@dataclass(kw_only=True)
class Bound:
    """Values of the constants, what was assumed on the way, what to ask, and what is missing (in words)."""

    values: dict[str, Any] = field(default_factory=dict)
    assumptions: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def bind(recipe: Recipe, table: Table, clause: Clause, source: str, second: Table | None = None) -> Bound:
    """Find every constant of the recipe. `second` is the other table of a join."""
    out = Bound(values=dict(chosen(recipe, clause)))
    out.values.update(dict.fromkeys(recipe.texts, _topic(clause.text)))
    words = clause.words
    for constant, spec in recipe.columns.items():
        role = spec.rstrip("?*+")
        if role == "shared":
            out.values[constant] = _shared(table, second, clause, out)
            continue
        if spec.endswith(("*", "+")):
            names = _several(role, table, clause, out)
            out.values[constant] = names
            if spec.endswith("+") and not names:
                out.missing.append(_none(role, table, source))
            continue
        found = _label(table) if role == "label" else table.find(role, words)
        if found is None:
            out.values[constant] = ""
            if not spec.endswith("?"):
                out.missing.append(_none(role, table, source))
            continue
        out.values[constant] = found.column
        if not spec.endswith("?"):
            _explain(out, found, role, source)
    for name in recipe.several:
        if isinstance(out.values.get(name), str):
            out.values[name] = [out.values[name]]
    return out


def _topic(text: str) -> str:
    found = re.search(r"\b(?:about|on|of)\s+(.+)", text)
    return (found[1] if found else text)[:200]


def _shared(table: Table, second: Table | None, clause: Clause, out: Bound) -> list[str]:
    """Columns to join on: named ones that both tables have, else the one most like an id, else the first."""
    if second is None:
        out.missing.append("a join needs a second table: attach it")
        return []
    both = [name for name in table.columns if name in second.columns]
    if not both:
        listed = ", ".join(second.columns[:12])
        out.missing.append(
            f"the two tables share no column: rename one of {', '.join(table.columns[:12])} or of {listed}"
        )
        return []
    named = [name for name in table.mentioned(clause.words) if name in both]
    if named:
        return named
    ids = [name for name in both if {"id", "key", "code"} & set(split_name(name))]
    best = (ids or both)[0]
    out.assumptions.append(f"The tables are joined on {best!r}, which both have.")
    if len(both) > 1 and not ids:
        out.questions.append(f"Join on {best!r}, or on {', '.join(both[1:4])}?")
    return [best]


def _explain(out: Bound, found: Found, role: str, source: str) -> None:
    word = _ROLE_WORDS.get(role, role)
    out.assumptions.append(f"{found.column!r} of {source!r} is taken as the {word}: {found.why}.")
    if found.doubt and found.others:
        names = " or ".join(repr(name) for name in found.others[:3])
        out.questions.append(f"Is {found.column!r} the {word} of {source!r}, or {names}? {found.column!r} is taken.")


def _none(role: str, table: Table, source: str) -> str:
    word = {"text": "text column", "number": "numeric column", "date": "column with a date"}.get(role, f"{role} column")
    if not table.columns:
        return f"{source} has no columns to find a {word} in: attach it as a table"
    listed = ", ".join(table.columns[:12]) + (", ..." if len(table.columns) > 12 else "")  # noqa: PLR2004
    return f"{source} has no {word} (columns: {listed})"


def _label(table: Table) -> Found | None:
    for column in table.columns:
        if table.kind_of(column) in {"text", "category", "bool"} and _LABELS & set(split_name(column)):
            return Found(column=column, why="its name says so")
    return None


def _several(role: str, table: Table, clause: Clause, out: Bound) -> list[str]:
    words = clause.words
    if role == "group":
        return _groups(table, clause, out)
    if role == "series":
        return by_columns(table, clause.text)
    taken = {name for value in out.values.values() for name in (value if isinstance(value, list) else [value])}
    fit = [column for column in table.candidates(role) if role == "number" or column not in taken]
    named = [column for column in table.mentioned(words) if column in fit]
    if named:
        if role == "value":
            _sum_amounts(named[0], out)
        return named
    if role == "value":
        best = None if out.values.get("HOW") in ("count", ["count"]) else table.find("value", words)
        if best is None:
            return []
        _sum_amounts(best.column, out)
        if "HOW" in out.values or out.values.get("GROUP_BY"):
            out.assumptions.append(f"{best.column!r} is aggregated: {best.why}.")
        return [best.column]
    if role == "category":
        label = _label(table)
        hinted = [c for c in fit if table.kind_of(c) in {"category", "bool"} or table.hinted(c, "category")]
        shown = hinted or fit[:1]
        return [c for c in shown if label is None or c != label.column][:_GROUPS_SHOWN]
    return fit


def _sum_amounts(column: str, out: Bound) -> None:
    """Revenue per region is a sum, a rating per region a mean, unless the command says otherwise."""
    if "HOW" not in out.values and "GROUP_BY" in out.values and _AMOUNTS & set(split_name(column)):
        out.values["HOW"] = "sum"
        out.assumptions.append(f"{column!r} is summed in each group: it is an amount.")


def _groups(table: Table, clause: Clause, out: Bound) -> list[str]:
    """Columns that make the groups: named ones that are no numbers, or the number right after `by`."""
    words = clause.words
    if not words:  # nobody asked yet: a suggestion shows the likeliest
        return [c for c in table.candidates("category") if table.hinted(c, "category")][:1]
    named = [c for c in table.mentioned(words) if table.kind_of(c) != "number"]
    text = table.find("text")
    if text is not None and len(named) > 1:  # "reviews by product" counts reviews, it does not group by their text
        named = [c for c in named if c != text.column or not table.hinted(c, "text")]
    elif text is not None and named == [text.column] and table.hinted(text.column, "text"):
        named = []
    spoken = by_columns(table, clause.text)
    named = [c for c in named if c in spoken or not _LABELS & set(split_name(c))]  # "monthly sentiment" is its score
    after = [match[1] for match in BY.finditer(clause.text)]
    for phrase in after:
        tail = folded(phrase)
        hit = table.mentioned(tail)
        if hit and not named and _starts(tail, hit[0]):
            named = [hit[0]]
        elif not hit and tail and tail[0] not in PERIODS and not named:
            out.missing.append(
                f"no column is called {phrase.split()[0]!r}; choose GROUP_BY from: {', '.join(table.columns[:12])}"
            )
            return []
    return named


def _starts(words: Sequence[str], column: str) -> bool:
    place = next(spans(words, split_name(column), exact=True), None)
    return place is not None and place[0] == 0


def by_columns(table: Table, text: str) -> list[str]:
    """Columns that stand right after `by`, `per` and the like."""
    phrases = [folded(match[1]) for match in BY.finditer(text)]
    hits = [(words, table.mentioned(words)) for words in phrases]
    return [found[0] for words, found in hits if found and _starts(words, found[0])]
