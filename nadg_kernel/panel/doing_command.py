"""What the panel asks of the grid for its Command page: planners, earlier commands, a plan out of one recipe."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nadg_kernel.attachments import attach_all
from nadg_kernel.model import Plan
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.records import PlannerItem
from nadg_kernel.planners.registry import planner_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nadg_kernel.grid import Grid
    from nadg_kernel.panel.actions import Action
    from nadg_kernel.panel.materials import Materials

SHOWN_COMMANDS = 8
READ_RUNS = 100
"""The newest runs, among whose commands are those that are offered again."""
_WORDS = {
    "recipes": "on this machine, nothing is sent",
    "chat": "any chat, by copy and paste",
}


class Commands:
    """One method per effect; all are called on the performer's threads."""

    def __init__(self, grid: Grid, materials: Materials) -> None:
        """Nothing is read yet."""
        self._grid, self._materials = grid, materials

    def handlers(self) -> dict[type[e.Effect], Callable[[Any], Action | None]]:
        """Effect -> what carries it out."""
        return {e.FindPlanners: self.planners, e.FindCommands: self.commands, e.BeginPlan: self.begin}

    def planners(self, _effect: e.FindPlanners) -> Action:
        """The grid's own planner, those of the package that can be asked here, and those of other packages."""
        own, settings = self._grid.planner_name, self._grid.settings
        keyed, words = (
            settings.gemini_api_key is not None,
            {**_WORDS, "gemini": f"{settings.gemini_model}, a model over the network"},
        )
        names = [name for name in planner_names() if name != own and (name != "gemini" or keyed)]
        first = _item("", own, words, revises=hasattr(self._grid.planner, "revise"))
        # Whether another package's planner can change plans is known when it is asked, and not before it is made.
        return a.PlannersFound(
            items=(first, *(_item(name, name, words, revises=name not in {"recipes", "chat"}) for name in names))
        )

    def commands(self, _effect: e.FindCommands) -> Action:
        """The last commands of the store's runs, each once."""
        frame = self._grid.runs(limit=READ_RUNS)
        texts = [str(text).strip() for text in frame["command"]] if "command" in frame else []
        return a.CommandsFound(commands=tuple(dict.fromkeys(filter(None, texts)))[:SHOWN_COMMANDS])

    def begin(self, effect: e.BeginPlan) -> Action:
        """A plan of one suggested subtask."""
        attached = attach_all(self._materials.values(effect.data), self._grid.blobs)
        data = {name: item.schema for name, item in attached.items()}
        plan = Plan(command=effect.command, data=data, planner={"name": "recipes"}).add(**effect.values)
        plan = replace(plan, draft=plan.subtasks, edits=())  # the recipe is the draft, not an edit of it
        return a.Drafted(number=effect.number, plan=self._grid.check(plan, dict(attached)))


def _item(key: str, name: str, words: Mapping[str, str], *, revises: bool) -> PlannerItem:
    text = f"{name}: {words.get(name, 'from another package or your own')}"
    return PlannerItem(name=key, text=text, copies=name == "chat", sends=name != "recipes", revises=revises)
