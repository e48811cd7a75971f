"""What can happen to a panel, as frozen records: the reducer takes them one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nadg_kernel.engines.base import WorkerState
from nadg_kernel.model import Plan
from nadg_kernel.panel.records import Offer, PlanFile, ResultItem, RunSnapshot, Step, Suggestion


class Action:
    """Base of everything that the reducer takes."""


@dataclass(frozen=True, kw_only=True)
class GoTo(Action):
    """Show another page."""

    step: Step


@dataclass(frozen=True, kw_only=True)
class SetCommand(Action):
    """The command as it stands; `typed` is False when it was chosen and the text box has to follow."""

    text: str
    typed: bool = True


@dataclass(frozen=True, kw_only=True)
class Offered(Action):
    """The frames that the notebook has now; files that the person named stay."""

    offers: tuple[Offer, ...]


@dataclass(frozen=True, kw_only=True)
class AttachData(Action):
    """Attach offered data, or take it off."""

    name: str
    on: bool


@dataclass(frozen=True, kw_only=True)
class AttachFile(Action):
    """Look at a file that the person named."""

    path: str


@dataclass(frozen=True, kw_only=True)
class FileFound(Action):
    """The file is readable: offer it, attached."""

    offer: Offer


@dataclass(frozen=True, kw_only=True)
class Draft(Action):
    """Ask the planner for a plan; `command` is what the text box holds at that moment, if the view knows it."""

    command: str | None = None


@dataclass(frozen=True, kw_only=True)
class Drafting(Action):
    """The planner tells how far it is."""

    number: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Drafted(Action):
    """The planner's plan is here."""

    number: int
    plan: Plan


@dataclass(frozen=True, kw_only=True)
class Opened(Action):
    """A plan from disk takes the place of the present one, and is saved where it came from."""

    plan: Plan
    path: str = ""


@dataclass(frozen=True, kw_only=True)
class PlansFound(Action):
    """The plans on disk, newest first."""

    files: tuple[PlanFile, ...]


@dataclass(frozen=True, kw_only=True)
class OpenPlan(Action):
    """Read a plan that was saved earlier."""

    path: str


@dataclass(frozen=True, kw_only=True)
class Checked(Action):
    """The plan was checked against workers and data; ignored if it was edited meanwhile."""

    plan: Plan


@dataclass(frozen=True, kw_only=True)
class Suggested(Action):
    """Subtasks that fit the attached data."""

    suggestions: tuple[Suggestion, ...]


@dataclass(frozen=True, kw_only=True)
class Select(Action):
    """Show one subtask."""

    subtask: str


@dataclass(frozen=True, kw_only=True)
class EditField(Action):
    """Change one field. Edits with the same `burst` (one visit to a text field) count as one edit and one undo."""

    subtask: str
    field: str
    value: Any
    burst: str = ""


@dataclass(frozen=True, kw_only=True)
class AddSubtask(Action):
    """Add a subtask after the selected one; with `suggestion` the one at that place in the list."""

    suggestion: int | None = None


@dataclass(frozen=True, kw_only=True)
class Drop(Action):
    """Remove a subtask."""

    subtask: str


@dataclass(frozen=True, kw_only=True)
class Duplicate(Action):
    """Add a copy behind a subtask."""

    subtask: str


@dataclass(frozen=True, kw_only=True)
class Move(Action):
    """Move a subtask by so many places, upwards if negative."""

    subtask: str
    by: int


@dataclass(frozen=True, kw_only=True)
class Undo(Action):
    """Take back the last edit."""


@dataclass(frozen=True, kw_only=True)
class Redo(Action):
    """Bring back what was undone."""


@dataclass(frozen=True, kw_only=True)
class Approve(Action):
    """Approve exactly the shown plan and run it; `digest` is what the person saw."""

    digest: str


@dataclass(frozen=True, kw_only=True)
class Control(Action):
    """Hold, release, skip, cancel or rerun; without a subtask the whole run (hold, release, cancel)."""

    verb: str
    subtask: str | None = None


@dataclass(frozen=True, kw_only=True)
class Started(Action):
    """The grid took the plan; the run has an id."""

    snapshot: RunSnapshot


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
    """Past runs, one mapping each, newest first."""

    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Saved(Action):
    """The plan is on disk at this path."""

    path: str


@dataclass(frozen=True, kw_only=True)
class Failed(Action):
    """Something went wrong; `place` is the page where the person is told, `number` the draft that failed."""

    message: str
    place: Step | None = None
    number: int | None = None
    starting: bool = False


@dataclass(frozen=True, kw_only=True)
class Dismiss(Action):
    """The person has read the message."""
