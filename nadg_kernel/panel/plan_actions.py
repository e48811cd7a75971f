"""What can happen to a panel on the way to a plan and in its review, as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nadg_kernel.model import Plan
from nadg_kernel.panel.action import Action
from nadg_kernel.panel.records import (
    Change,
    Offer,
    PlanFile,
    Step,
    Suggestion,
)


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
class Estimated(Action):
    """What the plan with this digest will take, in words."""

    digest: str
    time: str
    tokens: str
