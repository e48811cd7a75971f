"""What a person may ask of a run while it goes on."""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field

from nadg_kernel.model import Plan


def _person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"  # no account name in this environment: unknown is said, not guessed


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancel:
    """End a subtask, or with None the run: what has not started never will, what runs is killed."""

    subtask: str | None = None
    by: str = field(default_factory=_person)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """Keep a subtask, or with None all that is not over, from starting; with `on=False` let it."""

    subtask: str | None = None
    on: bool = True
    by: str = field(default_factory=_person)
    reason: str = ""
    """Why, where nobody asked: a budget that is used up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Skip:
    """Leave a subtask out, and with it all that depends on it."""

    subtask: str
    by: str = field(default_factory=_person)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rerun:
    """Run a subtask and all that depends on it again; the rest keeps its results."""

    subtask: str
    by: str = field(default_factory=_person)


@dataclass(frozen=True, kw_only=True, slots=True)
class Revise:
    """Go on with another approved plan: what changed runs again, with all that depends on it."""

    plan: Plan
    by: str = field(default_factory=_person)


Intent = Cancel | Hold | Skip | Rerun | Revise
