"""What a clause's words choose of a recipe's constants: options by their words, counts by their numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nadg_kernel.planners.recipes.language import NUMERALS, RANKED
from nadg_kernel.planners.recipes.words import phrase, spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nadg_kernel.planners.recipes.clauses import Clause
    from nadg_kernel.planners.recipes.recipe import Recipe

_NUMBER = re.compile(r"(?<![\w.])(\d[\d,_]*)(?![\w.]*\w)")
_SCALES = {"million": 10**6, "m": 10**6, "thousand": 1000, "k": 1000, "billion": 10**9}
_SCALED = re.compile(r"\b(\d[\d,.]*)\s*(billion|million|thousand|k|m)\b", re.IGNORECASE)
_LONGEST_NUMBER = 9


def chosen(recipe: Recipe, clause: Clause) -> dict[str, Any]:
    """The constants that the clause's words choose: options by their words, counts by their numbers."""
    words = clause.words
    out: dict[str, Any] = {}
    for constant, options in recipe.choices.items():
        hits = _options(words, options) or _options(words, options, weak=True)
        if hits:
            out[constant] = hits if constant in recipe.several else hits[0]
    numbers = ranks(clause.text) if recipe.stage != "alone" else whole_numbers(clause.text)
    return out | dict(zip(recipe.counts, numbers, strict=False))


def _options(words: Sequence[str], options: Mapping[str, tuple[str, ...]], *, weak: bool = False) -> list[str]:
    """Values whose words occur, in the clause's order; at one place the longest wins. `?` marks a weak word."""
    places = [
        (start, start - end, value)
        for value, triggers in options.items()
        for text in triggers
        if text.startswith("?") == weak
        for start, end in spans(words, phrase(text.removeprefix("?")), exact=True)
    ]
    taken: set[int] = set()
    out: list[str] = []
    for start, length, value in sorted(places):
        if not taken & set(range(start, start - length)):
            taken |= set(range(start, start - length))
            out.append(value)
    return list(dict.fromkeys(out))


def ranks(text: str) -> list[int]:
    """Numbers after `top`, `worst` and the like."""
    found = (_as_number(match[1]) for match in RANKED.finditer(text))
    return [number for number in found if number is not None]


def whole_numbers(text: str) -> list[int]:
    """All whole numbers of a text, `1,000,000` and `1 million` among them; absurdly long ones are left out."""
    found = [match[1].replace(",", "").replace("_", "") for match in _NUMBER.finditer(_SCALED.sub(_scaled, text))]
    return [int(digits) for digits in found if len(digits) <= _LONGEST_NUMBER]


def _scaled(match: re.Match[str]) -> str:
    try:
        return str(int(float(match[1].replace(",", "")) * _SCALES[match[2].lower()]))
    except (ValueError, OverflowError):
        return match[0]


def _as_number(word: str) -> int | None:
    return int(word) if word.isdecimal() and len(word) <= _LONGEST_NUMBER else NUMERALS.get(word.lower())
