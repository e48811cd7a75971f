"""Scaling: how many workers there are, by a person's limits; and sleepers, woken while a person still reviews."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nadg_kernel.autoscaling import Autoscale, Forecast, plan_demand, to_wake
from nadg_kernel.estimates import shard_count
from nadg_kernel.grid.base import GridBase
from nadg_kernel.runner.roster import modules_needed, needs

if TYPE_CHECKING:
    from concurrent.futures import Future

    from nadg_kernel.autoscaling import Autoscaler, Demand
    from nadg_kernel.model import Plan
    from nadg_kernel.settings import Settings


class Scaling(GridBase):
    """The part of the Grid that starts and stops workers."""

    _autoscaler: Autoscaler

    def autoscale(
        self,
        max_workers: int | Autoscale | None = None,
        *,
        dry_run: bool = False,
        plan: Plan | Sequence[Plan] | None = None,
        **limits: Any,
    ) -> Forecast:
        """Start workers while shards wait and stop those that were idle, at most `max_workers` at a time; 0 ends it.

        Off until it is asked for. Local processes are started and stopped, registered workers that sleep are woken,
        and paused again where they are Spaces and HF_TOKEN is set. `limits` are the other fields of `Autoscale`; an
        `Autoscale` may be given itself. Gives what would be done now, which prints; with `dry_run` that is all, and
        with `plan` (one or several) as if its shards waited. Without arguments it says how things stand. Raises
        SettingsError.
        """
        self._tell_errors()
        wanted = _limits(max_workers, limits, self._autoscaler.limits)
        if not dry_run and max_workers is not None:
            off = wanted is not None and not wanted.max_workers
            self.loop.run(self._set_limits(None if off else wanted))
        plans = plan if plan is None or isinstance(plan, Sequence) else [plan]
        return self.loop.run(self._forecast(wanted, plans))

    async def _set_limits(self, limits: Autoscale | None) -> None:
        self._autoscaler.set(limits)

    async def _forecast(self, limits: Autoscale | None, plans: Sequence[Plan] | None) -> Forecast:
        return self._autoscaler.forecast(limits, None if plans is None else _demand(*plans))

    def _drafted(self, future: Future[Plan]) -> None:
        """A draft has come: wake the sleepers that it could use, while the person looks at it."""
        if not future.cancelled() and future.exception() is None and self.loop.running:
            self.loop.call(self._wake_for, future.result())

    def _wake_for(self, plan: Plan) -> None:
        asked = frozenset(label for item in plan.subtasks for label in modules_needed(item))
        for name in to_wake(_demand(plan), self._autoscaler.members(asked)):
            self.loop.spawn(self._fleet.engine.wake(name))


class HubHost:
    """The Hub as autoscaling needs it; loaded only when a Space is started or paused."""

    def __init__(self, settings: Settings) -> None:
        """With the token of these settings."""
        self._settings = settings

    def wake(self, space: str) -> None:
        """Start a Space."""
        from nadg_kernel.deploy import hub

        hub.wake(space, self._settings)

    def pause(self, space: str) -> None:
        """Stop a Space until it is woken."""
        from nadg_kernel.deploy import hub

        hub.pause(space, self._settings)


def _demand(*plans: Plan) -> list[Demand]:
    return [
        demand
        for plan in plans
        for demand in plan_demand(plan, {item.id: shard_count(plan, item) for item in plan.subtasks}, needs)
    ]


def _limits(given: int | Autoscale | None, more: dict[str, Any], now: Autoscale | None) -> Autoscale | None:
    if isinstance(given, Autoscale):
        return replace(given, **more)
    if given is not None:
        return Autoscale(max_workers=given, **more)
    if now is None:
        return None
    return replace(now, **more)
