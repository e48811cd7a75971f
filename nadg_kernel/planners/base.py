"""Planner: the only seam to a language model. A planner turns a command into a draft; what it says is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from nadg_kernel.model import Command, Context, Plan


@dataclass(frozen=True, kw_only=True)
class Briefing:
    """What a planner may know besides the command; sample rows only if the person allowed them."""

    context: Context = field(default_factory=Context)
    packages: Mapping[str, str] = field(default_factory=dict)
    capacity: int = 1
    """Slots over all ready workers: how far a map pays."""
    samples: Mapping[str, str] = field(default_factory=dict)
    """Data name -> a few rows as text, for the names that the person allowed."""


@dataclass(frozen=True, kw_only=True)
class PlannerProgress:
    """What a planner tells while it works: a phase in words, and the plan so far when there is one."""

    text: str
    plan: Plan | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


Tell = Callable[[PlannerProgress], None]


class Planner(Protocol):
    """Drafts plans. Raises PlannerError and nothing else, whatever a model answers."""

    @property
    def name(self) -> str:
        """How settings and the panel call it."""

    async def draft(self, command: Command, briefing: Briefing, tell: Tell | None = None) -> Plan:
        """A draft for the command. Its problems are listed on the plan, never raised."""
