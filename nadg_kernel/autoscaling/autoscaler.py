"""Autoscaler: looks, lets the policy decide, has it done. On the grid's loop; off until it is given limits."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING

from nadg_kernel.autoscaling.forecast import Forecast, action_text
from nadg_kernel.autoscaling.policy import Action, Autoscale, Decision, Demand, Kind, Member, Memory, decide
from nadg_kernel.autoscaling.provision import LocalProcesses, Spaces
from nadg_kernel.autoscaling.seen import demands_of, member, modules_in
from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.errors import NadgError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nadg_kernel.autoscaling.provision import Host, Provisioner
    from nadg_kernel.engines.base import WorkerState
    from nadg_kernel.fleet import Fleet
    from nadg_kernel.run import Run

LOOK_S = 1.0
COMING_S = 180.0
"""How long one that was started may take to be ready before it counts as not coming."""
KEPT = 200


class Autoscaler:
    """Starts and stops workers of a fleet for the runs under way. All methods but the constructor run on the loop."""

    def __init__(
        self,
        fleet: Fleet,
        runs: Callable[[], Iterable[Run]],
        *,
        host: Callable[[], Host | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`runs` gives those that this kernel drives; `host` the way to pause and start Spaces, if there is one."""
        self.limits: Autoscale | None = None
        self.notes: deque[str] = deque(maxlen=KEPT)
        """What was done and what failed, in words, newest last."""
        self._fleet, self._runs, self._clock = fleet, runs, clock
        self._provisioners: Mapping[Kind, Provisioner] = {
            Kind.LOCAL: LocalProcesses(fleet),
            Kind.SPACE: Spaces(fleet, host),
        }
        self._given = frozenset(fleet.local_names)
        self._woken: set[str] = set()
        self._coming: dict[str, float] = {}
        self._spoilt: dict[str, float] = {}
        self._idle: dict[str, float] = {}
        self._memory = Memory()
        self._obstacle = ""
        self._doing: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def set(self, limits: Autoscale | None) -> None:
        """Keep to these limits from now on; with None nothing is started or stopped any more, what is on stays."""
        self.limits = limits
        self._memory = Memory()
        if limits is None:
            self.close()
        elif self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look())
            self._task.add_done_callback(_report)

    def close(self) -> None:
        """Stop looking."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    def step(self) -> Decision:
        """Look once, and begin to do what is decided."""
        if self.limits is None:
            return Decision()
        demands, members, local = self._seen()
        found = decide(self.limits, demands, members, self._memory, self._clock(), local=local)
        self._memory = found.memory
        if found.obstacle and found.obstacle != self._obstacle:
            self.notes.append(found.obstacle)
        self._obstacle = found.obstacle
        for action in found.actions:
            self._begin(action)
        return found

    def forecast(self, limits: Autoscale | None = None, demands: Iterable[Demand] | None = None) -> Forecast:
        """What would be done now under these limits, patience and cool-down left out; nothing is done.

        `demands` stands for the queue as it is.
        """
        limits = limits or self.limits or Autoscale(max_workers=max(1, len(self._fleet.engine.snapshot())))
        queue, members, local = self._seen(demands)
        long_ago = Memory(short_since=-1e9)
        found = decide(limits, queue, members, long_ago, self._clock(), local=local)
        return Forecast(
            limits=limits,
            demands=queue,
            members=tuple(members),
            actions=found.actions,
            obstacle=found.obstacle,
            enabled=self.limits is not None,
        )

    def members(self, asked: frozenset[str] = frozenset()) -> list[Member]:
        """All workers as the policy sees them. `asked` are the labels of modules that count."""
        now = self._clock()
        busy: Counter[str] = Counter()
        for run in self._runs():
            busy.update(run.busy())
        states = {state.worker_id: state for state in self._fleet.engine.snapshot()}
        self._keep(states, now)
        out = []
        for name, state in states.items():
            idle = not max(busy[name], state.running)
            since = self._idle.setdefault(name, now) if idle else self._idle.pop(name, None)
            if name in self._spoilt and not state.local and state.health is not WorkerHealth.READY:
                continue
            out.append(
                member(
                    state,
                    labels=self._fleet.labels_of(state),
                    asked=asked,
                    busy=busy[name],
                    coming=name in self._coming,
                    ours=self._ours(name),
                    idle_since=since if idle else None,
                )
            )
        local = self._template(states.values(), asked)
        begun = [name for name in self._fleet.local_names if name not in states]
        return out + [_named(local, name, coming=True, ours=self._ours(name)) for name in begun]

    def _seen(self, demands: Iterable[Demand] | None = None) -> tuple[tuple[Demand, ...], list[Member], Member]:
        if demands is None:
            backlog: Counter[frozenset[str]] = Counter()
            for run in self._runs():
                backlog.update(run.backlog())
            demands = demands_of(backlog)
        queue = tuple(demands)
        asked = modules_in(queue)
        return queue, self.members(asked), self._template(self._fleet.engine.snapshot(), asked)

    def _template(self, states: Iterable[WorkerState], asked: frozenset[str]) -> Member:
        """What one more local process would be: like those that are here; unknown modules count as there."""
        like = next((state for state in states if state.local and state.health is WorkerHealth.READY), None)
        if like is None:
            return Member(name="", kind=Kind.LOCAL, offers=asked)
        return _named(member(like, labels=like.labels, asked=asked), "", coming=False, ours=True)

    def _ours(self, name: str) -> bool:
        return name in self._woken or (name in self._fleet.local_names and name not in self._given)

    def _keep(self, states: Mapping[str, WorkerState], now: float) -> None:
        """Forget those that came, and those that never will."""
        for name, since in list(self._coming.items()):
            state = states.get(name)
            if state is not None and state.health is WorkerHealth.READY:
                del self._coming[name]
            elif now - since > COMING_S:
                del self._coming[name]
                self._spoil(name, "it was started and did not get ready", now)
        for name, until in list(self._spoilt.items()):
            if until <= now:
                del self._spoilt[name]
        for name in [name for name in self._idle if name not in states]:
            del self._idle[name]

    def _spoil(self, name: str, why: str, now: float) -> None:
        """Leave a worker alone for a while that could not be started or stopped."""
        self._spoilt[name] = now + COMING_S
        self._woken.discard(name)
        self.notes.append(f"{name}: {why}")

    def _begin(self, action: Action) -> None:
        self.notes.append(f"{action_text(action)}: {action.reason}")
        if action.start and action.kind is Kind.SPACE:
            self._coming[action.name] = self._clock()
            self._woken.add(action.name)
        task = asyncio.get_running_loop().create_task(self._do(action))
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)
        task.add_done_callback(_report)

    async def _do(self, action: Action) -> None:
        provisioner = self._provisioners[action.kind]
        try:
            if action.start:
                before = set(self._fleet.local_names)
                await provisioner.start(action.name)
                for name in set(self._fleet.local_names) - before:
                    self._coming[name] = self._clock()
            else:
                await provisioner.stop(action.name)
                self._woken.discard(action.name)
        except (NadgError, OSError) as error:
            self._coming.pop(action.name, None)
            self._spoil(action.name or "a local worker", str(error), self._clock())

    async def _look(self) -> None:
        while True:
            self.step()
            await asyncio.sleep(LOOK_S)


def _named(like: Member, name: str, *, coming: bool, ours: bool) -> Member:
    return replace(like, name=name, kind=Kind.LOCAL, busy=0, on=True, coming=coming, ours=ours, idle_since=None)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": "autoscaling failed", "exception": error})
