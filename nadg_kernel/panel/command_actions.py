"""What can happen on the Command page around the command itself, as frozen records."""

from __future__ import annotations

from dataclasses import dataclass

from nadg_kernel.panel.action import Action
from nadg_kernel.panel.records import PlannerItem


@dataclass(frozen=True, kw_only=True)
class PlannersFound(Action):
    """The planners that can be chosen, the grid's own first."""

    items: tuple[PlannerItem, ...]


@dataclass(frozen=True, kw_only=True)
class ChoosePlanner(Action):
    """Ask this planner from now on; empty is the grid's own."""

    name: str


@dataclass(frozen=True, kw_only=True)
class AllowRows(Action):
    """Let the planner see the first rows of what is attached now, or no longer."""

    on: bool


@dataclass(frozen=True, kw_only=True)
class CommandsFound(Action):
    """Commands of earlier runs, newest first."""

    commands: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class UseRecipe(Action):
    """Take the suggestion at this place of the list: into the plan, or as the beginning of one."""

    suggestion: int
