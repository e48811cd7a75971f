"""What can happen to the reviewed plan as a whole: its difference to the draft, its file."""

from __future__ import annotations

from dataclasses import dataclass

from nadg_kernel.model import Plan
from nadg_kernel.panel.action import Action


@dataclass(frozen=True, kw_only=True)
class ShowDiff(Action):
    """Show what differs from the draft in the whole plan, or no longer."""

    on: bool


@dataclass(frozen=True, kw_only=True)
class SaveAs(Action):
    """Keep the plan under a name, or in a file of the person's (a path, or a name that ends in .json)."""

    name: str


@dataclass(frozen=True, kw_only=True)
class SavedAs(Action):
    """The plan, as it was then, is in this file, which takes the place of `file` (see PanelState.file)."""

    plan: Plan
    file: str
    path: str
