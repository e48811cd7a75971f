"""Words of a command: tokens, plural folding, phrases. English only; other languages go to a model's planner."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_TOKEN = re.compile(r"[a-z0-9_]+(?:['-][a-z0-9_]+)*")
_STAR = 3
"""How many words a `*` in a phrase may stand for."""
_TYPO_LENGTH = 7
_TYPO_RATIO = 0.88


def printable(text: str) -> str:
    """The text with a space for what has no place in a line of code: control characters, half surrogates."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def tokens(text: str) -> list[str]:
    """Lower-case words in order; an apostrophe or hyphen inside a word belongs to it."""
    return _TOKEN.findall(text.lower().replace("\u2019", "'"))


@lru_cache(maxsize=4096)
def fold(word: str) -> str:
    """A word without its plural or possessive ending, so that `reviews`, `review's` and `review` are one."""
    word = word.removesuffix("'s").removesuffix("'")
    if len(word) > 4 and word.endswith("ies"):  # noqa: PLR2004 - "ties" and "dies" keep their stem
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):  # noqa: PLR2004
        return word[:-1]
    return word


def folded(text: str) -> list[str]:
    """The folded tokens of a text."""
    return [fold(word) for word in tokens(text)]


def split_name(name: str) -> list[str]:
    """The folded words of a column's or data's name: `reviewText`, `review_text` and `Review text` are one."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ")
    return folded(spaced)


@lru_cache(maxsize=2048)
def phrase(text: str) -> tuple[str, ...]:
    """The folded words of a phrase of a header, `*` kept."""
    return tuple(word if word == "*" else fold(word) for word in text.lower().split())


@lru_cache(maxsize=65536)
def alike(word: str, wanted: str) -> bool:
    """Whether two folded words are the same, or the first is a typing slip of a long one."""
    if word == wanted:
        return True
    if len(wanted) < _TYPO_LENGTH or abs(len(word) - len(wanted)) > 2 or word[:1] != wanted[:1]:  # noqa: PLR2004
        return False
    return SequenceMatcher(None, word, wanted, autojunk=False).ratio() >= _TYPO_RATIO


def spans(words: Sequence[str], wanted: Sequence[str], *, exact: bool = False) -> Iterator[tuple[int, int]]:
    """Where a phrase stands in folded words, as (start, end)."""
    for start in range(len(words)):
        places = places_at(words, start, wanted, exact=exact)
        if places:
            yield start, places[-1] + 1


def places_at(words: Sequence[str], at: int, wanted: Sequence[str], *, exact: bool = False) -> tuple[int, ...] | None:
    """Where the words of a phrase stand that begins at a place, those under a star left out; None if it does not."""
    if not wanted:
        return ()
    if wanted[0] == "*":
        for skip in range(1, _STAR + 1):
            rest = places_at(words, at + skip, wanted[1:], exact=exact) if at + skip <= len(words) else None
            if rest is not None:
                return rest
        return None
    if at >= len(words) or not (words[at] == wanted[0] if exact else alike(words[at], wanted[0])):
        return None
    rest = places_at(words, at + 1, wanted[1:], exact=exact)
    return None if rest is None else (at, *rest)


def contains(words: Sequence[str], phrases: Iterable[str]) -> bool:
    """Whether any of the phrases stands in the folded words, letter by letter."""
    return any(next(spans(words, phrase(text), exact=True), None) is not None for text in phrases)
