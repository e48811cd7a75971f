"""Planners by name: those of the package, and those that other packages offer as entry points."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import NadgError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nadg_kernel.planners.base import Planner
    from nadg_kernel.settings import Settings

GROUP = "nadg_kernel.planners"
"""Entry points of this group: a name, and a callable that takes Settings and gives a Planner."""


def make_planner(name: str | None, settings: Settings) -> Planner:
    """The planner of this name; without one that of the settings, else Gemini where there is a key, else recipes.

    Raises SettingsError for an unknown name and MissingExtra or PlannerError where the planner cannot be made.
    """
    wanted = name or settings.planner or ("gemini" if settings.gemini_api_key else "recipes")
    factory = _BUILT_IN.get(wanted) or _from_elsewhere(wanted)
    if factory is None:
        known = ", ".join(planner_names())
        message = f"there is no planner {wanted!r}; there are: {known}"
        raise SettingsError(message)
    planner: Planner = factory(settings)
    if not hasattr(planner, "draft"):
        message = f"the entry point {wanted!r} of {GROUP} gives no planner: it has no `draft`"
        raise SettingsError(message)
    return planner


def planner_names() -> list[str]:
    """Names that `make_planner` takes: the package's own first."""
    others = sorted({point.name for point in entry_points(group=GROUP)} - set(_BUILT_IN))
    return [*_BUILT_IN, *others]


def _from_elsewhere(name: str) -> Callable[[Settings], Any] | None:
    for point in entry_points(group=GROUP):
        if point.name == name:
            try:
                return point.load()  # type: ignore[no-any-return]
            except NadgError:
                raise
            except Exception as error:  # a package that fails at import must not take the Grid with it
                message = f"the planner {name!r} of {point.value} cannot be loaded: {error!r}"
                raise SettingsError(message) from error
    return None


def _recipes(_settings: Settings) -> Planner:
    from nadg_kernel.planners.recipes import RecipesPlanner

    return RecipesPlanner()


def _gemini(settings: Settings) -> Planner:
    from nadg_kernel.planners.gemini import make_gemini

    return make_gemini(settings)


def _chat(_settings: Settings) -> Planner:
    from nadg_kernel.planners.chat import ChatPlanner

    return ChatPlanner()


_BUILT_IN: dict[str, Callable[[Settings], Planner]] = {
    "gemini": _gemini,
    "chat": _chat,
    "recipes": _recipes,
}
