"""What can happen to a panel, as frozen records: the reducer takes them one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nadg_kernel.engines.base import WorkerState
from nadg_kernel.model import Plan
from nadg_kernel.panel.records import (
    Change,
    Offer,
    PlanFile,
    ResultItem,
    RunItem,
    RunSnapshot,
    Step,
    Suggestion,
    Trial,
)


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
    asking: bool = False
    """Whether it was the planner's changes that failed."""


@dataclass(frozen=True, kw_only=True)
class Dismiss(Action):
    """The person has read the message."""


@dataclass(frozen=True, kw_only=True)
class SplitAt(Action):
    """Make two subtasks of one: the second begins at this line (from 1) of its code."""

    subtask: str
    line: int


@dataclass(frozen=True, kw_only=True)
class SplitShards(Action):
    """Make a map of a subtask, over its first input, in so many shards."""

    subtask: str
    count: int


@dataclass(frozen=True, kw_only=True)
class MergeNext(Action):
    """Make one subtask of this and the one behind it."""

    subtask: str


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
class AnswerQuestions(Action):
    """Answer questions of the planner: question -> answer."""

    answers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class AskChange(Action):
    """Ask the planner for changes in words, or read those of a chat (`answer`); with `subtask` to that one alone."""

    words: str
    subtask: str | None = None
    answer: str | None = None


@dataclass(frozen=True, kw_only=True)
class AskRepair(Action):
    """Ask the planner for a fix of a failed subtask of the run."""

    subtask: str


@dataclass(frozen=True, kw_only=True)
class Proposed(Action):
    """The planner's changes are here."""

    number: int
    change: Change


@dataclass(frozen=True, kw_only=True)
class TakeChange(Action):
    """Take the proposed changes; `digest` is of the plan that the person saw proposed."""

    digest: str


@dataclass(frozen=True, kw_only=True)
class LeaveChange(Action):
    """Leave the proposed changes, or stop waiting for them."""


@dataclass(frozen=True, kw_only=True)
class MakePrompt(Action):
    """Show what would be sent to the planner: for a draft, or with `words` for changes."""

    words: str = ""
    command: str | None = None


@dataclass(frozen=True, kw_only=True)
class PromptMade(Action):
    """The text that would be sent, or that any chat may be given."""

    text: str
    changes: bool = False
    line: str = ""
    """What is sent to whom, in one line."""


@dataclass(frozen=True, kw_only=True)
class PasteAnswer(Action):
    """Read a chat's answer as a draft."""

    text: str


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


@dataclass(frozen=True, kw_only=True)
class Estimated(Action):
    """What the plan with this digest will take, in words."""

    digest: str
    time: str
    tokens: str
