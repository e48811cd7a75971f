"""How planners are asked: chosen by name, told what is known of workers and data, and held to their own errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from nadg_kernel.attachments import attach_all, surroundings
from nadg_kernel.errors import NadgError, PlannerError
from nadg_kernel.evidence import sample_rows
from nadg_kernel.model import Command
from nadg_kernel.planners.base import Briefing, Planner
from nadg_kernel.planners.registry import make_planner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nadg_kernel.data import Attached
    from nadg_kernel.fleet import Fleet
    from nadg_kernel.loop import BackgroundLoop
    from nadg_kernel.model import Context, Plan
    from nadg_kernel.planners.chat import ChatPlanner
    from nadg_kernel.settings import Settings
    from nadg_kernel.stores.blobs import BlobStore

T = TypeVar("T")

READY_S = 15.0
"""How long a draft waits for the local workers, so that it can say which imports exist."""
Samples = int | Mapping[str, int]
"""Rows that the person allows to be sent: of all data, or by name. 0 is the default everywhere."""


def chosen(planner: str | Planner | None, settings: Settings) -> Planner:
    """A planner by name, or the one given; None is that of the settings. Raises SettingsError."""
    return make_planner(planner, settings) if planner is None or isinstance(planner, str) else planner


class Asking:
    """What every question to a planner stands on."""

    def __init__(self, *, settings: Settings, loop: BackgroundLoop, fleet: Fleet, blobs: BlobStore) -> None:
        """Keep what a briefing is made of; nobody is asked yet."""
        self.previewing: Callable[[Plan, str], object] | None = None
        self._settings, self._loop, self._fleet, self._blobs = settings, loop, fleet, blobs

    def around(self, attached: Mapping[str, Attached]) -> Context:
        """What a plan over this data is checked against now, and how it says what a call over it would send."""
        return replace(surroundings(attached, self._fleet.engine.snapshot()), preview=self.previewing)

    def _command(
        self, text: str, data: Mapping[str, object] | None, samples: Samples
    ) -> tuple[Command, dict[str, Attached], dict[str, str]]:
        """A command with its data, and the rows that may be told. Raises DataError."""
        attached = attach_all(data, self._blobs)
        rows = sample_rows(attached, samples, self._blobs)
        return Command(text=text, data={name: item.schema for name, item in attached.items()}), attached, rows

    async def _briefing(self, attached: Mapping[str, Attached], rows: Mapping[str, str] | None = None) -> Briefing:
        await self._fleet.settle(READY_S)
        states = self._fleet.engine.snapshot()
        packages = {name: version for state in states for name, version in state.packages.items()}
        capacity = max(1, sum(state.capacity for state in states if state.health == "ready"))
        return Briefing(context=self.around(attached), packages=packages, capacity=capacity, samples=rows or {})


def chat() -> ChatPlanner:
    """The planner for copy and paste."""
    from nadg_kernel.planners.chat import ChatPlanner  # most grids never need it

    return ChatPlanner()


def receiver(planner: Planner) -> str:
    """The model that a planner sends to; empty where it has none."""
    return str(getattr(getattr(planner, "model", None), "name", ""))


def able(planner: Planner, method: str, what: str) -> Any:
    """A method that only planners with a model have. Raises PlannerError that says who can."""
    found = getattr(planner, method, None)
    if found is None:
        message = f"the planner {planner.name} cannot {what}"
        raise PlannerError(message)
    return found


async def asked(planner: Planner, ask: Callable[[], Awaitable[T]]) -> T:
    """What a planner answers. Raises PlannerError for whatever else it raises."""
    try:
        return await ask()
    except NadgError:
        raise
    except Exception as error:  # a planner from elsewhere may raise anything; what was asked is not lost
        message = f"the planner {planner.name} failed: {error!r}"
        raise PlannerError(message) from error
