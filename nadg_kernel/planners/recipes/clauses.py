"""Split a command into clauses: one job each, with what is negated and what comes after what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

from nadg_kernel.planners.recipes import language
from nadg_kernel.planners.recipes.words import folded, tokens

MAX_CHARACTERS = 20_000
MAX_CLAUSES = 40

_EDGES = " \t,.;:!?\"'()"

Asks = Callable[[str], bool]
"""Whether words ask for a recipe."""


@dataclass(frozen=True, kw_only=True)
class Clause:
    """One job of a command in the person's words."""

    text: str
    follows: bool = False
    """Comes after the clause before it ("then")."""
    refers: bool = False
    """Speaks of the result before it ("from it")."""
    negated: bool = False
    """Says what is not wanted."""
    background: bool = False
    """Tells something and asks for nothing."""

    @property
    def words(self) -> list[str]:
        """Folded words."""
        return folded(self.text)

    @property
    def verb(self) -> str:
        """The imperative verb that it starts with, else empty."""
        first = (tokens(self.text) or [""])[0]
        return first if first in language.VERBS else language.GERUNDS.get(first, "")


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """Words between two separators: `separator` stood before them, `sentence` says that they begin one."""

    text: str
    separator: str = ""
    follows: bool = False
    sentence: bool = False
    negated: bool = False


def split(command: str, asks: Asks, known: frozenset[str] = frozenset()) -> list[Clause]:
    """The clauses of a command, in order. `known`: folded words of the data's names and columns."""
    clauses: list[Clause] = []
    pointing = False
    text = language.NO_ANSWER.sub(r"no \1. ", command.replace("\u2019", "'"))
    for piece in _negations(_pieces(language.YES_ANSWER.sub(r"\1. ", text)), asks):
        text = piece.text.strip(_EDGES)
        if language.POINTS.match(text):  # "from it, make a report": the words belong to what comes next
            pointing = True
            continue
        starts = language.STARTS_FOLLOWING.match(text)
        if starts:
            text = text[starts.end() :]
        text = language.FILLER.sub("", text).strip()
        if not tokens(text):
            continue
        before = clauses[-1] if clauses else None
        clause = Clause(
            text=text,
            follows=before is not None and (piece.follows or starts is not None),
            refers=before is not None and (pointing or language.REFERS.search(text) is not None),
            negated=piece.negated,
        )
        pointing = False
        if before is None or _begins(piece, clause, before, asks, known):
            clauses.append(replace(clause, background=_tells(clause, asks)))
        else:
            joined = f"{before.text}{piece.separator or ' '}{text}"
            clauses[-1] = replace(before, text=joined, refers=before.refers or clause.refers)
    return clauses


def _begins(piece: _Piece, clause: Clause, before: Clause, asks: Asks, known: frozenset[str]) -> bool:
    """Whether words are a job of their own; else they belong to the clause before ("price | and quantity")."""
    if piece.sentence or piece.negated or clause.follows or before.negated:
        return True
    bare = set(clause.words) - language.STOPWORDS
    if bare <= known and not language.BY.search(clause.text):  # "tip | and total bill"
        return False
    if clause.verb:
        return True
    if not asks(clause.text):
        return False
    return language.BY.search(before.text) is not None or not _unfinished(before, known)


def _unfinished(clause: Clause, known: frozenset[str]) -> bool:
    """Whether a clause only begins what follows: "show temperature | and humidity over time", "min | and max"."""
    if clause.background or clause.verb in language.OTHER_WORK:
        return False
    bare = set(clause.words) - language.STOPWORDS - language.VERBS
    said = set(clause.words) - language.STOPWORDS
    return bool(said) and bare <= language.AGGREGATES | language.GENERIC | known


def _tells(clause: Clause, asks: Asks) -> bool:
    asking = clause.negated or clause.verb or asks(clause.text)
    return not asking and language.BACKGROUND.match(clause.text) is not None


def _pieces(command: str) -> list[_Piece]:
    out: list[_Piece] = []
    for line in command.splitlines():
        for sentence in language.SENTENCE_END.split(language.LIST_MARK.sub("", line)):
            if sentence.strip():
                out += _sentence(sentence.strip())
    return _after_first(out)


def _sentence(text: str) -> list[_Piece]:
    out: list[_Piece] = []
    at, separator, pending = 0, "", False
    for found in [*language.SEPARATOR.finditer(text), None]:
        end = len(text) if found is None else found.start()
        words = text[at:end].strip()
        if language.COURTESY.match(words.strip(_EDGES)):
            words = ""
        for part, follows in _ordered(words) if words else ():
            out.append(_Piece(text=part, separator=separator, follows=pending or follows, sentence=not out))
            pending, separator = False, ", "
        if found is not None:
            at = found.end()
            pending = pending or language.FOLLOWS.search(found[0]) is not None
            word = found[0].strip()
            separator = ", " if word == "," else f" {word} "
    return out


def _ordered(text: str) -> list[tuple[str, bool]]:
    """`A after doing B` and `A before doing B` as two pieces in the order of the work."""
    if match := language.BEFORE.match(text):
        if match[3].lower() in language.GERUNDS:
            return [(match[1], False), (match[2], True)]
    elif (match := language.AFTER_LATER.match(text)) and match[2].split()[0].lower() in language.GERUNDS:
        return [(match[2], False), (match[1], True)]
    return [(text, False)]


def _after_first(pieces: list[_Piece]) -> list[_Piece]:
    """`After doing A, B`: B follows."""
    out = list(pieces)
    for number, (here, following) in enumerate(pairwise(pieces)):
        if match := language.AFTER_FIRST.match(here.text):
            out[number] = replace(out[number], text=match[1])
            out[number + 1] = replace(following, follows=True)
    return out


def _negations(pieces: list[_Piece], asks: Asks) -> list[_Piece]:
    """Cut each piece at its negation; what follows without a verb of its own is negated too."""
    out: list[_Piece] = []
    carry = waiting = False
    for piece in pieces:
        carry = carry and not piece.sentence
        if waiting and not piece.sentence:
            waiting = not asks(piece.text)
            out.append(replace(piece, negated=True))
            carry = True
            continue
        waiting = False
        text = language.FILLER.sub("", piece.text)
        hidden = language.NO_NEGATION.sub(lambda match: "x" * len(match[0]), text)
        found = language.NEGATION.search(hidden)
        if found is None:
            carry = carry and not (piece.follows or _positive(piece, text))
            out.append(replace(piece, text=text, negated=carry))
            continue
        before, after = text[: found.start()].strip(" ,"), text[found.end() :].strip(" ,")
        if not after and set(tokens(before)) <= language.STOPWORDS:  # "do not, under any circumstances, ..."
            waiting = True
            continue
        turn = language.POSITIVE_INSIDE.search(after)
        rest = ""
        if turn and turn.start():
            after, rest = after[: turn.start()].strip(" ,"), after[turn.end() :].strip(" ,")
        if not asks(after):  # it negates no job: a condition inside this one, kept in its words
            out.append(replace(piece, text=text))
            carry = False
            continue
        if not set(tokens(before)) <= language.STOPWORDS:
            out.append(replace(piece, text=before))
        out.append(replace(piece, text=after, negated=True))
        carry = not rest
        if rest:
            out.append(replace(piece, text=rest, sentence=True))
    return out


def _positive(piece: _Piece, text: str) -> bool:
    said = language.POSITIVE_START.search(piece.text) or " but" in piece.separator
    return bool(said) or bool(Clause(text=text.strip()).verb)
