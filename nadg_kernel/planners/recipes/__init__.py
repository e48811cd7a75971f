"""Plans without a model: clauses of a command matched to recipes, which are plain Python files with a header."""

from nadg_kernel.planners.recipes.planner import RecipesPlanner
from nadg_kernel.planners.recipes.recipe import Recipe, library
from nadg_kernel.planners.recipes.suggest import Suggestion, suggest

__all__ = ["Recipe", "RecipesPlanner", "Suggestion", "library", "suggest"]
