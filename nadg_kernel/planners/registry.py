"""Which planner a name means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg_kernel.errors import PlannerError
from nadg_kernel.planners.recipes import RecipesPlanner

if TYPE_CHECKING:
    from nadg_kernel.planners.base import Planner
    from nadg_kernel.settings import Settings


def make_planner(name: str | None, settings: Settings) -> Planner:
    """The planner of this name; None takes the settings' choice. Raises PlannerError listing what there is."""
    wanted = name or settings.planner or "recipes"
    if wanted == "recipes":
        return RecipesPlanner()
    message = f"there is no planner {wanted!r} (there are: recipes)"
    raise PlannerError(message)
