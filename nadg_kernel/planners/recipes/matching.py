"""Which recipes a clause asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nadg_kernel.planners.recipes.clauses import Clause
from nadg_kernel.planners.recipes.language import GENERIC, OTHER_WORK, STOPWORDS, VERBS
from nadg_kernel.planners.recipes.recipe import STAGES, Recipe
from nadg_kernel.planners.recipes.words import alike, fold, phrase, places_at, spans, split_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A recipe that a clause asks for, and the words that say so."""

    recipe: Recipe
    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Phrase:
    words: tuple[str, ...]
    recipe: Recipe
    without_view: bool


@dataclass(frozen=True, kw_only=True)
class _Hit:
    places: tuple[int, ...]
    phrase: _Phrase


class Matcher:
    """The recipes' phrases by their first word, so that a long command costs its length and not theirs too."""

    def __init__(self, recipes: Iterable[Recipe]) -> None:
        """Index the recipes."""
        self._recipes = [recipe for recipe in recipes if recipe.words]
        self._by_first: dict[str, list[_Phrase]] = {}
        for recipe in self._recipes:
            for text, late in [*((t, False) for t in recipe.words), *((t, True) for t in recipe.words_without_view)]:
                words = phrase(text)
                self._by_first.setdefault(words[0], []).append(_Phrase(words=words, recipe=recipe, without_view=late))
        self._firsts: dict[str, list[_Phrase]] = {}

    def asked(self, clause: Clause, known: frozenset[str] = frozenset()) -> list[Asked]:
        """The recipes of a clause in the order of their stages. `known`: folded words of data names and columns."""
        words = clause.words
        hits = list(self._hits(words))
        verb = fold(clause.verb)
        if clause.verb in OTHER_WORK and not any(verb in hit.phrase.words for hit in hits):
            return []
        if any(hit.phrase.recipe.stage == "view" for hit in hits):
            hits = [hit for hit in hits if not hit.phrase.without_view]
        found = _longest(words, hits) or self._weak(words, known)
        names = {name for item in found for name in item.recipe.covers}
        kept = [item for item in found if item.recipe.name not in names]
        return sorted(kept, key=lambda item: STAGES.index(item.recipe.stage))

    def asks(self, text: str) -> bool:
        """Whether words ask for any recipe."""
        return bool(self.asked(Clause(text=text)))

    def _hits(self, words: Sequence[str]) -> Iterator[_Hit]:
        for start, word in enumerate(words):
            for item in self._begin(word):
                places = places_at(words, start, item.words)
                if places:
                    yield _Hit(places=places, phrase=item)

    def _begin(self, word: str) -> list[_Phrase]:
        """Phrases that begin with a word, typing slips allowed."""
        if word not in self._firsts:
            same = [first for first in self._by_first if alike(word, first)]
            self._firsts[word] = [item for first in same for item in self._by_first[first]]
        return self._firsts[word]

    def _weak(self, words: Sequence[str], known: frozenset[str]) -> list[Asked]:
        """A general word ("analyze") counts where all else that the clause says is about the attached data."""
        idle = STOPWORDS | GENERIC | VERBS | known
        if sum(word not in idle for word in words) > _LONGEST_WEAK:
            return []
        for recipe in self._recipes:
            for text in recipe.weak:
                place = next(spans(words, phrase(text), exact=True), None)
                if place is None:
                    continue
                rest = [*words[: place[0]], *words[place[1] :]]
                if all(word in idle for word in rest) and any(word in known or word in GENERIC for word in rest):
                    return [Asked(recipe=recipe, words=tuple(words[place[0] : place[1]]))]
        return []


_LONGEST_WEAK = 4
"""Words of a weak phrase."""


def _longest(words: Sequence[str], hits: list[_Hit]) -> list[Asked]:
    """The longest phrase wins a place: "summary statistics" is not a "summary"."""
    taken: set[int] = set()
    out: dict[str, Asked] = {}
    for hit in sorted(hits, key=lambda hit: (-len(hit.places), hit.places)):
        if not taken.isdisjoint(hit.places):
            continue
        taken.update(hit.places)
        recipe = hit.phrase.recipe
        before = out[recipe.name].words if recipe.name in out else ()
        out[recipe.name] = Asked(recipe=recipe, words=(*before, *(words[place] for place in hit.places)))
    return list(out.values())


def known_words(names: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Folded words of data names and their columns, and the names as they are written."""
    texts = [text for name, columns in names.items() for text in (name, *columns)]
    return frozenset(word for text in texts for word in (*split_name(text), fold(text.lower())))
