"""What the reducer asks of the grid, as frozen records; each answer comes back as an action."""

from __future__ import annotations

from dataclasses import dataclass

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
    """Read past runs from the store."""


@dataclass(frozen=True, kw_only=True)
class ReadResults(Effect):
    """Make the run's results ready to show."""

    run_id: str
    wanted: tuple[ResultItem, ...]
