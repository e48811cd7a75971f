"""What a panel's state and its messages are made of: pages, offers, files, results, a run as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nadg_kernel.model import Plan, RunState


class Step(StrEnum):
    """The panel's pages, in the order of the work."""

    COMMAND = "command"
    REVIEW = "review"
    RUN = "run"
    RESULTS = "results"
    WORKERS = "workers"
    HISTORY = "history"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Data that can be attached: a frame of the notebook, or a file that the person named (`path`)."""

    name: str
    text: str
    """Its size in words, such as `3,708 x 5`."""
    columns: tuple[str, ...] = ()
    path: str = ""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A subtask that fits the attached data; `values` are what `Plan.add` takes."""

    title: str
    reason: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlannerItem:
    """A planner that can be chosen; `name` is empty for the grid's own."""

    name: str
    text: str
    copies: bool = False
    """Whether the person carries text and answer by copy and paste."""
    sends: bool = False
    """Whether a model reads what it is given, so that rows of the data are asked for."""
    revises: bool = False
    """Whether it can change a plan when asked in words."""


@dataclass(frozen=True, kw_only=True)
class PlanFile:
    """A plan on disk that can be opened again."""

    path: str
    text: str


@dataclass(frozen=True, kw_only=True)
class ResultItem:
    """One subtask's result, safe to show. `key` changes when the result may have."""

    subtask: str
    title: str
    state: str
    key: str
    bundles: tuple[Mapping[str, Any], ...] = field(default=(), compare=False)
    files: tuple[tuple[str, int], ...] = field(default=(), compare=False)
    """Path and size in bytes of what the code left."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What came of keeping a file: where it is, or why it is not. `subtask` is whose file, empty is the run's own."""

    text: str = ""
    refused: bool = False
    subtask: str = ""


@dataclass(frozen=True, kw_only=True)
class RunSnapshot:
    """A run as the panel shows it, as JSON values: a row for each subtask, and the output of the one that is shown."""

    run_id: str
    state: RunState
    revision: int = 0
    reason: str = ""
    elapsed_s: float = 0.0
    left_s: float | None = None
    """Seconds that it may still take; None is unknown."""
    notice: str = ""
    subtasks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    output: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A rehearsal: the plan, or one subtask and what it needs, on a few rows before anybody approves it."""

    plan: Plan
    """What was tried, as it was then."""
    subtask: str | None
    rows: int
    full_rows: int | None
    """Rows of the longest attached data; None where it has none."""
    snapshot: RunSnapshot
    estimate_s: float | None = None
    """Seconds that the whole may take; None is unknown."""
    previews: Mapping[str, str] = field(default_factory=dict)
    """What the subtasks gave, as plain text."""

    @property
    def over(self) -> bool:
        """Whether nothing runs any more."""
        return self.snapshot.state not in {RunState.RUNNING, RunState.PAUSED}


@dataclass(frozen=True, kw_only=True)
class Change:
    """A proposal of the planner. Nothing happens until the person takes it; `run_id` is the run that it mends."""

    base: Plan
    plan: Plan
    why: str = ""
    notes: tuple[str, ...] = ()
    run_id: str = ""
    reruns: tuple[str, ...] = ()
    """Titles of what runs again once it is taken."""
    follows: bool = False
    """Whether it is more work over the run's results, to be reviewed before the run goes on."""


@dataclass(frozen=True, kw_only=True)
class RunItem:
    """A run that can be looked at, or taken up again when nobody drives it (`here` is False)."""

    run_id: str
    text: str
    state: str
    here: bool = True
