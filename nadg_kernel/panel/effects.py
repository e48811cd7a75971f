"""What the reducer asks of the grid, as frozen records; each answer comes back as an action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nadg_kernel.model import Plan
from nadg_kernel.panel.records import Offer, ResultItem


class Effect:
    """Base of what the reducer asks to be done; the answer comes back as an action."""


@dataclass(frozen=True, kw_only=True)
class StartDraft(Effect):
    """Ask the planner."""

    number: int
    command: str
    data: tuple[Offer, ...]
    planner: str = ""
    """Name of the chosen planner; empty is the grid's own."""
    samples: Mapping[str, int] = field(default_factory=dict)
    """Data name -> first rows that the person allowed to be sent."""


@dataclass(frozen=True, kw_only=True)
class FindPlanners(Effect):
    """Look for planners that can be chosen."""


@dataclass(frozen=True, kw_only=True)
class FindCommands(Effect):
    """Look for the commands of earlier runs."""


@dataclass(frozen=True, kw_only=True)
class BeginPlan(Effect):
    """Make a plan of one suggested subtask."""

    number: int
    command: str
    data: tuple[Offer, ...]
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Suggest(Effect):
    """Look for recipes that fit the data."""

    data: tuple[Offer, ...]


@dataclass(frozen=True, kw_only=True)
class ReadFile(Effect):
    """See whether a file can be attached."""

    path: str
    taken: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReadPlan(Effect):
    """Read a saved plan."""

    path: str


@dataclass(frozen=True, kw_only=True)
class FindPlans(Effect):
    """Look for plans on disk."""


@dataclass(frozen=True, kw_only=True)
class Check(Effect):
    """Check a plan against workers and data."""

    plan: Plan
    data: tuple[Offer, ...]


@dataclass(frozen=True, kw_only=True)
class Save(Effect):
    """Write the plan to disk; the same `file` is the same file."""

    plan: Plan
    file: str


@dataclass(frozen=True, kw_only=True)
class SavePlanAs(Effect):
    """Write the plan to a file of this name; `file` is where it was kept until now."""

    plan: Plan
    file: str
    name: str


@dataclass(frozen=True, kw_only=True)
class StartRun(Effect):
    """Run an approved plan."""

    plan: Plan
    data: tuple[Offer, ...]


@dataclass(frozen=True, kw_only=True)
class Steer(Effect):
    """Pass a control on to the run."""

    verb: str
    subtask: str | None


@dataclass(frozen=True, kw_only=True)
class ReadHistory(Effect):
    """Read past runs from the store, as far as the filters let them through."""

    filters: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ReadResults(Effect):
    """Make the run's results ready to show."""

    run_id: str
    wanted: tuple[ResultItem, ...]


@dataclass(frozen=True, kw_only=True)
class Rehearse(Effect):
    """Try a plan, or one subtask of it, on a few rows."""

    plan: Plan
    subtask: str | None
    data: tuple[Offer, ...]


@dataclass(frozen=True, kw_only=True)
class StopTrial(Effect):
    """Cancel the rehearsal."""


@dataclass(frozen=True, kw_only=True)
class ReadTrial(Effect):
    """Read what the rehearsal gave."""

    run_id: str


@dataclass(frozen=True, kw_only=True)
class AskForChange(Effect):
    """Ask the planner for changes to a plan, or read those of a chat's answer."""

    number: int
    plan: Plan
    words: str
    subtask: str | None = None
    answer: str | None = None
    planner: str = ""


@dataclass(frozen=True, kw_only=True)
class AskForRepair(Effect):
    """Ask the planner to mend a subtask of the run."""

    number: int
    run_id: str
    subtask: str
    planner: str = ""


@dataclass(frozen=True, kw_only=True)
class WritePrompt(Effect):
    """Make the text that a planner is sent; with `plan` for changes to it."""

    command: str
    data: tuple[Offer, ...]
    plan: Plan | None = None
    planner: str = ""
    samples: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReadAnswer(Effect):
    """Read a chat's answer as a draft."""

    number: int
    answer: str
    command: str
    data: tuple[Offer, ...]


@dataclass(frozen=True, kw_only=True)
class ReviseRun(Effect):
    """Go on with a run after an approved change."""

    run_id: str
    plan: Plan


@dataclass(frozen=True, kw_only=True)
class FindRuns(Effect):
    """Look for runs that can be looked at or taken up again."""


@dataclass(frozen=True, kw_only=True)
class OpenRun(Effect):
    """Look at a run, or take it up again."""

    run_id: str


@dataclass(frozen=True, kw_only=True)
class Enlist(Effect):
    """Register a worker."""

    url: str


@dataclass(frozen=True, kw_only=True)
class Dismissed(Effect):
    """Forget a worker."""

    worker: str


@dataclass(frozen=True, kw_only=True)
class AskWorkers(Effect):
    """Ask every registered worker."""


@dataclass(frozen=True, kw_only=True)
class Estimate(Effect):
    """Say what running a plan will take."""

    plan: Plan
    data: tuple[Offer, ...]
