"""What can happen to a panel with rehearsals, runs, workers and the history, as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nadg_kernel.engines.base import WorkerState
from nadg_kernel.model import Plan
from nadg_kernel.panel.action import Action
from nadg_kernel.panel.records import (
    ResultItem,
    RunItem,
    RunSnapshot,
    Trial,
)


@dataclass(frozen=True, kw_only=True)
class Control(Action):
    """Hold, release, skip, cancel or rerun; without a subtask the whole run (hold, release, cancel)."""

    verb: str
    subtask: str | None = None


@dataclass(frozen=True, kw_only=True)
class Started(Action):
    """The run that is looked at from now on: started, taken up again, or chosen among those of the background."""

    snapshot: RunSnapshot
    plan: Plan


@dataclass(frozen=True, kw_only=True)
class RunEvent(Action):
    """Something happened in the run."""

    snapshot: RunSnapshot


@dataclass(frozen=True, kw_only=True)
class WorkersChanged(Action):
    """The workers as last seen."""

    workers: tuple[WorkerState, ...]


@dataclass(frozen=True, kw_only=True)
class ResultsRead(Action):
    """The results of a run, as far as there are any."""

    run_id: str
    items: tuple[ResultItem, ...]


@dataclass(frozen=True, kw_only=True)
class HistoryRead(Action):
    """Past runs, one mapping each, newest first, and figures over them: title and MIME bundle."""

    rows: tuple[Mapping[str, Any], ...]
    figures: tuple[tuple[str, Mapping[str, Any]], ...] = ()


@dataclass(frozen=True, kw_only=True)
class FilterHistory(Action):
    """Show only a part of the history; an empty value does not filter."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class TryOut(Action):
    """Rehearse the plan, or one subtask and what it needs, on a few rows; `digest` is what the person saw."""

    digest: str
    subtask: str | None = None


@dataclass(frozen=True, kw_only=True)
class TrialChanged(Action):
    """A rehearsal began (`trial`)."""

    trial: Trial


@dataclass(frozen=True, kw_only=True)
class TrialEvent(Action):
    """Something happened in the rehearsal."""

    snapshot: RunSnapshot
    estimate_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class TrialRead(Action):
    """What the rehearsal gave, as plain text by subtask."""

    run_id: str
    previews: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class CloseTrial(Action):
    """Stop the rehearsal if it runs, and put it away."""


@dataclass(frozen=True, kw_only=True)
class AskRepair(Action):
    """Ask the planner for a fix of a failed subtask of the run."""

    subtask: str


@dataclass(frozen=True, kw_only=True)
class GoOn(Action):
    """Approve exactly the shown plan and go on with the run: what changed runs again, with all that needs it."""

    digest: str


@dataclass(frozen=True, kw_only=True)
class EditRun(Action):
    """Edit a subtask of the run on the Review page, to go on with it afterwards."""

    subtask: str


@dataclass(frozen=True, kw_only=True)
class RunsFound(Action):
    """The runs of this grid, and those that nobody drives, newest first."""

    items: tuple[RunItem, ...]


@dataclass(frozen=True, kw_only=True)
class ShowRun(Action):
    """Look at another run; one that nobody drives is taken up again."""

    run_id: str


@dataclass(frozen=True, kw_only=True)
class AddWorker(Action):
    """Register a worker by its URL."""

    url: str


@dataclass(frozen=True, kw_only=True)
class RemoveWorker(Action):
    """Forget a registered worker."""

    worker: str


@dataclass(frozen=True, kw_only=True)
class Ping(Action):
    """Ask every registered worker now."""


@dataclass(frozen=True, kw_only=True)
class FleetAnswered(Action):
    """What came of adding, removing or asking workers, in words; beside the field where it was asked if refused."""

    text: str
    refused: bool = False
