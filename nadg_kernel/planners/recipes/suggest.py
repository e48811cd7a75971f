"""Suggestions: the recipes that fit attached data, each ready to be added to a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nadg_kernel.model import Subtask
from nadg_kernel.planners.base import Briefing
from nadg_kernel.planners.recipes.binding import bind
from nadg_kernel.planners.recipes.clauses import Clause
from nadg_kernel.planners.recipes.columns import Table
from nadg_kernel.planners.recipes.graph import Job, fits
from nadg_kernel.planners.recipes.recipe import STAGES, Recipe, library
from nadg_kernel.planners.recipes.writing import write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nadg_kernel.model import DataSchema, Plan


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A recipe that fits: what it is called, why it fits, and the subtask that it would be."""

    recipe: str
    data: str
    title: str
    why: str
    subtask: Subtask
    assumptions: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """The fields for `plan.add(**values)`."""
        return self.subtask.to_json()

    def add_to(self, plan: Plan, *, by: str | None = None) -> Plan:
        """The plan with this subtask added, under a free id. Raises EditError like any edit."""
        values = self.subtask.to_json()
        taken = {*plan.ids, *plan.data}
        if values["id"] in taken:
            values["id"] = None
        return plan.add(by=by, **values)


def suggest(data: Mapping[str, DataSchema], briefing: Briefing | None = None) -> list[Suggestion]:
    """Recipes that fit the data, in the order of its names and then of the recipes' stages. Empty without data."""
    known = briefing or Briefing()
    out: list[Suggestion] = []
    for name, schema in data.items():
        for recipe in sorted(library().values(), key=lambda item: STAGES.index(item.stage)):
            if recipe.words and recipe.stage != "alone" and not recipe.second and fits(recipe, schema):
                found = _one(recipe, name, schema, known)
                if found is not None:
                    out.append(found)
    return out


def _one(recipe: Recipe, name: str, schema: DataSchema, briefing: Briefing) -> Suggestion | None:
    job = Job(clause=Clause(text=""), recipe=recipe, data=name, id=recipe.name)
    table = Table(schema)
    bound = bind(recipe, table, job.clause, name)
    if bound.missing:
        return None
    subtask = write(job, recipe, bound, table, name, briefing.capacity)
    why = " ".join(bound.assumptions) or recipe.summary
    return Suggestion(
        recipe=recipe.name,
        data=name,
        title=f"{subtask.title} ({name})" if name not in subtask.title else subtask.title,
        why=why,
        subtask=subtask,
        assumptions=tuple(bound.assumptions),
    )
