"""Which recipes a clause asks for, and with which choices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nadg_kernel.planners.recipes.language import GENERIC, NUMERALS, OTHER_WORK, RANKED, STOPWORDS, VERBS
from nadg_kernel.planners.recipes.recipe import STAGES, Recipe
from nadg_kernel.planners.recipes.words import contains, fold, phrase, spans, split_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nadg_kernel.planners.recipes.clauses import Clause

_NUMBER = re.compile(r"(?<![\w.])(\d[\d,_]*)(?![\w.]*\w)")
_SCALES = {"million": 10**6, "m": 10**6, "thousand": 1000, "k": 1000, "billion": 10**9}
_SCALED = re.compile(r"\b(\d[\d,.]*)\s*(billion|million|thousand|k|m)\b", re.IGNORECASE)
_LONGEST_NUMBER = 9


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A recipe that a clause asks for, and the words that say so."""

    recipe: Recipe
    words: tuple[str, ...]


def asked(clause: Clause, recipes: Iterable[Recipe], known: frozenset[str] = frozenset()) -> list[Asked]:
    """The recipes of a clause in the order of their stages. `known`: folded words of attached data and its columns."""
    available = list(recipes)
    words = clause.words
    if clause.verb in OTHER_WORK and not any(_says(words, recipe, clause.verb) for recipe in available):
        return []
    found = _strong(words, available)
    if not any(item.recipe.stage == "view" for item in found):
        found = _strong(words, available, more=True)
    found = found or _weak(words, available, known)
    names = {name for item in found for name in item.recipe.covers}
    kept = [item for item in found if item.recipe.name not in names]
    return sorted(kept, key=lambda item: STAGES.index(item.recipe.stage))


def _says(words: Sequence[str], recipe: Recipe, verb: str) -> bool:
    """Whether the verb itself is part of what asks for the recipe."""
    mine = (phrase(text) for text in recipe.words)
    return any(fold(verb) in wanted and next(spans(words, wanted), None) for wanted in mine)


def _strong(words: Sequence[str], recipes: Sequence[Recipe], *, more: bool = False) -> list[Asked]:
    """The longest phrase wins a place: "summary statistics" is not a "summary"."""
    hits = [
        (start, end, recipe)
        for recipe in recipes
        for text in (*recipe.words, *(recipe.words_without_view if more else ()))
        for start, end in spans(words, phrase(text))
    ]
    hits.sort(key=lambda hit: (hit[0] - hit[1], hit[0]))
    taken: set[int] = set()
    out: dict[str, Asked] = {}
    for start, end, recipe in hits:
        places = set(range(start, end))
        if places & taken:
            continue
        taken |= places
        before = out[recipe.name].words if recipe.name in out else ()
        out[recipe.name] = Asked(recipe=recipe, words=(*before, *words[start:end]))
    return list(out.values())


def _weak(words: Sequence[str], recipes: Sequence[Recipe], known: frozenset[str]) -> list[Asked]:
    """A general word ("analyze") counts where all else that the clause says is about the attached data."""
    idle = STOPWORDS | GENERIC | VERBS | known
    for recipe in recipes:
        for text in recipe.weak:
            place = next(spans(words, phrase(text), exact=True), None)
            if place is None:
                continue
            rest = [*words[: place[0]], *words[place[1] :]]
            if all(word in idle for word in rest) and any(word in known or word in GENERIC for word in rest):
                return [Asked(recipe=recipe, words=tuple(words[place[0] : place[1]]))]
    return []


def chosen(recipe: Recipe, clause: Clause) -> dict[str, str | int]:
    """The constants that the clause's words choose: options by their words, counts by their numbers."""
    words = clause.words
    out: dict[str, str | int] = {}
    for constant, options in recipe.choices.items():
        hit = next((value for value, triggers in options.items() if contains(words, triggers)), None)
        if hit is not None:
            out[constant] = hit
    numbers = ranks(clause.text) if recipe.stage != "alone" else whole_numbers(clause.text)
    return out | dict(zip(recipe.counts, numbers, strict=False))


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


def known_words(names: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Folded words of data names and their columns."""
    return frozenset(word for name, columns in names.items() for text in (name, *columns) for word in split_name(text))
