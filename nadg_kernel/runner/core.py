"""The loop that drives a run: event, apply, decide, append durably, and only then submit."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from nadg_kernel.engines.base import AttemptEvent, AttemptSpec, WorkerHealth
from nadg_kernel.errors import NadgError, PlanNotApproved, StaleEpoch
from nadg_kernel.model import EventType, Outcome, Permissions, RunState, SubtaskState
from nadg_kernel.runner import revision
from nadg_kernel.runner.caching import cache_key, environment, imported_modules
from nadg_kernel.runner.flights import Flight
from nadg_kernel.runner.inputs import InputMissing, Inputs
from nadg_kernel.runner.intents import Cancel, Hold, Intent, Rerun, Revise, Skip
from nadg_kernel.runner.journal import Journal
from nadg_kernel.scheduler import RetryPolicy, Scheduler, Start, labels_needed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence

    from nadg_kernel.engines.base import Blobs, Engine, WorkerState
    from nadg_kernel.model import Event, Plan, Subtask
    from nadg_kernel.scheduler import Cancel as Kill
    from nadg_kernel.scheduler import Change
    from nadg_kernel.stores.base import Owner, Store

HEARTBEAT_S = 5.0
KILL_S = 20.0
"""How long the end of a cancelled attempt is waited for before it counts as ended."""
ENVIRONMENTS = 8
"""Different sets of package versions among the workers that are looked up in the cache."""
MODULE = "import "
"""Prefix of the label that stands for an importable module, between runner and scheduler only."""


class Runner:
    """Drives one run to its rest, as often as asked. All methods belong to one event loop.

    The only writer: every decision is durable in the store before the engine hears of it, every result before its
    subtask counts as succeeded.
    """

    def __init__(  # noqa: PLR0913 - what it brings together is given by keyword
        self,
        *,
        run_id: str,
        plan: Plan,
        data: Mapping[str, Mapping[str, Any]],
        engine: Engine,
        store: Store,
        blobs: Blobs,
        owner: Owner,
        files: Mapping[str, tuple[str, int]] | None = None,
        listener: Callable[[Event], None] | None = None,
        epoch: int | None = None,
        history: Sequence[Event] = (),
        rehearsal: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        seed: int | None = None,
        policy: RetryPolicy | None = None,
        heartbeat_s: float = HEARTBEAT_S,
        kill_s: float = KILL_S,
    ) -> None:
        """Prepare a run; nothing is written or sent before `run`.

        `data` maps names to ValueRefs as dicts, their blobs kept already; `files` a relative path to (sha256, size).
        With `epoch` None the run is created in the store; with an epoch (from `store.claim`) and the `history` that
        the store gives, it is resumed. Raises PlanNotApproved for a draft that is no rehearsal.
        """
        if not plan.approved and not rehearsal:
            raise PlanNotApproved(plan.command)
        self.run_id, self.plan, self.rehearsal = run_id, plan, rehearsal
        self._engine, self._store, self._blobs, self._owner = engine, store, blobs, owner
        self._files = dict(files or {})
        self._journal = Journal(store, run_id, clock, listener)
        self._created = epoch is not None
        self._journal.epoch = epoch or 0
        self._inputs = Inputs(data, blobs)
        self._scheduler = Scheduler(plan, seed=seed, policy=policy, requires=_requires)
        self._heartbeat_s, self._kill_s = heartbeat_s, kill_s
        self._history = tuple(history)
        self._flights: dict[str, Flight] = {}
        self._workers: dict[str, tuple[Any, ...]] = {}
        self._states: dict[str, WorkerState] = {}
        self._splitting: dict[str, object] = {}
        self._uncached: set[str] = set()
        self._inbox: deque[Callable[[], None]] = deque()
        self._intents: deque[Intent] = deque()
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._failure: BaseException | None = None
        self._helpers: set[asyncio.Task[Any]] = set()
        self._kills: set[asyncio.Task[Any]] = set()
        self._driving = self._live = self._closed = False
        self._wake_at: float | None = None

    @property
    def epoch(self) -> int:
        """The epoch that this runner writes in; 0 before the run exists."""
        return self._journal.epoch

    @property
    def state(self) -> RunState:
        """What the run's subtasks add up to now."""
        return self._scheduler.run_state

    def waiting_for(self, subtask: str) -> str:
        """Why a subtask does not run now, for a person; empty if it runs or is over."""
        return self._scheduler.waiting_for(subtask)

    def request(self, intent: Intent) -> None:
        """Ask for something; it is done while `run` runs, also when that is called only later.

        Raises EditError for a subtask that is not in the plan, PlanNotApproved for a plan that is a draft.
        """
        if isinstance(intent, Revise):
            if not intent.plan.approved:
                raise PlanNotApproved(intent.plan.command)
        elif intent.subtask is not None:
            self.plan[intent.subtask]
        self._intents.append(intent)
        self._wake.set()

    async def run(self) -> RunState:
        """Drive the run until nothing runs and nothing can; gives its state. May be called again after that.

        A store that says that somebody else took over ends it as `interrupted`. A mistake of ours ends the run as
        failed and is raised.
        """
        if self._driving:
            raise RuntimeError(f"run {self.run_id} is being driven already")
        self._driving, self._closed = True, False
        self._idle.clear()
        try:
            await self._begin()
            while not self._closed:
                await self._turn()
                if self._scheduler.run_state is not RunState.RUNNING and not self._splitting:
                    await self._rest()
                    if not self._intents:
                        return self._scheduler.run_state
                else:
                    await self._wait()
            return await self._interrupt("its grid was closed")
        except StaleEpoch as error:
            self._live = False
            self._journal.tell(
                self._journal.unwritten(EventType.RUN_ENDED, payload=_ended(RunState.INTERRUPTED, error))
            )
            return RunState.INTERRUPTED
        except Exception as error:
            await self._break(error)
            raise
        finally:
            self._driving = False
            self._idle.set()
            for task in (*self._helpers, *(f.task for f in self._flights.values() if f.task is not None)):
                task.cancel()

    async def close(self) -> None:
        """Stop driving. What runs goes on where it can; the run can be resumed."""
        self._closed = True
        self._wake.set()
        await self._idle.wait()

    # -- begin and end

    async def _begin(self) -> None:
        if not self._created:
            self._journal.epoch = await self._store.create_run(
                self.run_id, self.plan, self._owner, rehearsal=self.rehearsal
            )
            self._created = True
            self._start_run(resumed=False)
        elif self._history:
            self._replay()
        self._failure = None
        if self._live:
            self._split_data()
        self._spawn(self._beat())
        for state in self._engine.snapshot():
            self._on_worker(state)
        self._spawn(self._watch())
        for flight in list(self._flights.values()):
            flight.reattached = True
            self._follow(flight, self._engine.reattach(flight.spec, flight.after_id))

    def _replay(self) -> None:
        """Be again where the journal ends, whatever this kernel's workers are now."""
        history, self._history = self._history, ()
        now = self._now()
        after: dict[str, int] = {}
        states: dict[str | None, Any] = {}
        for event in history:
            self._journal.seq = max(self._journal.seq, event.seq)
            if event.type is EventType.ATTEMPT_PROGRESS:
                after[event.attempt_id or ""] = int(event.payload.get("event_id") or 0)
            elif event.type is EventType.SUBTASK_STATE:
                states[event.subtask] = event.payload["state"]
            if event.type is not EventType.WORKER_STATE:
                self._apply(event, now)
        news = [change for change in self._scheduler.changes() if states.get(change.subtask) != change.state]
        if self._scheduler.run_state not in {RunState.RUNNING, RunState.PAUSED}:
            return
        self._start_run(resumed=True)
        self._report(news)
        for key, (shard, worker) in self._scheduler.attempts().items():
            spec = AttemptSpec(
                attempt_id=key,
                run_id=self.run_id,
                subtask=shard.subtask,
                shard=shard.number,
                shards=self._scheduler.count(shard.subtask) or 1,
                worker_id=worker,
                kind=self.plan[shard.subtask].kind,
                code=self.plan[shard.subtask].code,
                limits=self.plan[shard.subtask].limits,
            )
            self._flights[key] = Flight(spec, began=now, after_id=after.get(key, 0))

    def _start_run(self, *, resumed: bool) -> None:
        self._live = True
        payload = {
            "plan": self.plan.digest,
            "command": self.plan.command,
            "planner": dict(self.plan.planner),
            "owner": self._owner.to_json(),
            "rehearsal": self.rehearsal,
            "resumed": resumed,
            "data": self._inputs.references,
        }
        self._journal.add(EventType.RUN_STARTED, payload=payload)

    def _split_data(self) -> None:
        """Count the shards of all that maps over attached data, before it is needed."""
        for subtask in self.plan.subtasks:
            known = self._scheduler.count(subtask.id) is not None
            if subtask.map is not None and subtask.map.over in self._inputs.data and not known:
                self._split_later(subtask)

    async def _rest(self) -> None:
        """Nothing runs and nothing can: say so, once."""
        state = self._scheduler.run_state
        if self._live:
            self._live = False
            held = [item.id for item in self.plan.subtasks if self._scheduler.state(item.id) is SubtaskState.HELD]
            reason = f"held: {', '.join(held)}" if state is RunState.PAUSED else ""
            self._journal.add(EventType.RUN_ENDED, payload=_ended(state, reason))
        await self._journal.flush()
        if self._kills:
            await asyncio.wait(self._kills, timeout=self._kill_s)

    async def _interrupt(self, reason: str) -> RunState:
        if not self._live:
            return self._scheduler.run_state
        self._live = False
        self._journal.add(EventType.RUN_ENDED, payload=_ended(RunState.INTERRUPTED, reason))
        await self._journal.flush()
        return RunState.INTERRUPTED

    async def _break(self, error: Exception) -> None:
        """A mistake of ours, or a store that does not write: kill what runs and say why, as far as that is possible."""
        self._live = False
        reason = str(error) if isinstance(error, NadgError) else f"internal error: {error!r}"
        event = self._journal.add(EventType.RUN_ENDED, payload=_ended(RunState.FAILED, reason))
        kills = [self._engine.cancel(key, flight.spec.worker_id) for key, flight in self._flights.items()]
        results = await asyncio.gather(*kills, self._journal.flush(), return_exceptions=True)
        for also in results:
            if isinstance(also, BaseException):
                error.add_note(f"while ending the run: {also!r}")
        if isinstance(results[-1], BaseException):
            self._journal.tell(event)

    # -- one turn of the loop

    async def _turn(self) -> None:
        """Take in what happened, decide, make it durable, then act."""
        if self._failure is not None:
            raise self._failure
        while self._inbox:
            self._inbox.popleft()()
        while self._intents:
            await self._heed(self._intents.popleft())
        self._overdue()
        launches, kills = await self._decide()
        self._report(self._scheduler.changes())
        await self._journal.flush()
        for flight in launches:
            self._follow(flight, self._engine.submit(flight.spec))
        for kill in kills:
            self._kill(kill)

    async def _decide(self) -> tuple[list[Flight], list[Kill]]:
        """Everything that can be decided now, journalled but not yet sent."""
        launches: list[Flight] = []
        kills: list[Kill] = []
        while True:
            while opened := self._scheduler.opened():
                await self._look_up(opened)
            for name in self._scheduler.unfixed():
                self._split_later(self.plan[name])
            decisions, self._wake_at = self._scheduler.decide(self._now())
            if not decisions:
                return launches, kills
            for item in decisions:
                if not isinstance(item, Start):
                    kills.append(item)
                elif (flight := await self._intend(item)) is not None:
                    launches.append(flight)

    async def _wait(self) -> None:
        """Sleep until something happens or something is due."""
        due = [flight.output.ready_at for flight in self._flights.values() if flight.output]
        due += [flight.kill_by for flight in self._flights.values() if flight.kill_by is not None]
        if self._wake_at is not None:
            due.append(self._wake_at)
        timer = None
        if due:
            timer = asyncio.get_running_loop().call_later(max(0.0, min(due) - self._now()), self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        if timer is not None:
            timer.cancel()

    def _report(self, changes: Sequence[Change]) -> None:
        for change in changes:
            payload = {"state": str(change.state), "reason": change.reason}
            self._add(EventType.SUBTASK_STATE, change.subtask, payload=payload)

    def _overdue(self) -> None:
        """Journal output that was said a while ago, and stop waiting for ends that do not come."""
        now = self._now()
        for flight in list(self._flights.values()):
            if flight.output and flight.output.ready_at <= now:
                self._say(flight)
            if flight.kill_by is not None and flight.kill_by <= now:
                reason = "the worker did not confirm the kill in time"
                self._end(flight, {"outcome": Outcome.CANCELLED, "reason": reason})

    def _add(
        self,
        kind: EventType,
        subtask: str | None = None,
        shard: int | None = None,
        attempt_id: str | None = None,
        payload: dict[str, Any] | None = None,
    ) -> Event:
        """Journal an event; a run at rest starts again by it."""
        if not self._live:
            self._start_run(resumed=True)
        return self._journal.add(kind, subtask, shard, attempt_id, payload)

    def _apply(self, event: Event, now: float) -> None:
        """Let scheduler and inputs know; the order of the two matters for ends that no longer count."""
        if event.type is EventType.ATTEMPT_ENDED and event.payload["outcome"] == Outcome.SUCCEEDED:
            if self._scheduler.current(event.attempt_id or ""):
                self._inputs.keep(event.subtask or "", event.shard or 0, event.payload.get("result"))
        elif event.type is EventType.SHARD_CACHED:
            self._inputs.keep(event.subtask or "", event.shard or 0, event.payload.get("result"))
        elif event.type is EventType.PLAN_REVISED:
            self._inputs.forget(event.payload.get("reset") or ())
        self._scheduler.apply(event, now)

    # -- shards and cache

    def _split_later(self, subtask: Subtask) -> None:
        """Count a mapped subtask's shards in the background."""
        if subtask.id in self._splitting:
            return
        token = self._splitting[subtask.id] = object()
        plan = self.plan

        async def split() -> None:
            try:
                count = await self._inputs.split(plan, subtask)
            except InputMissing:
                count = 1  # its one shard ends with the reason
            self._post(partial(self._fixed, subtask.id, token, count))

        self._spawn(split())

    def _fixed(self, name: str, token: object, count: int) -> None:
        if self._splitting.get(name) is not token:
            return  # overtaken by a revision
        del self._splitting[name]
        self._apply(self._add(EventType.SHARDS_FIXED, name, payload={"count": count}), self._now())

    async def _look_up(self, opened: list[str]) -> None:
        """Take results of shards that just became startable from the cache, where they are."""
        wanted: dict[str, tuple[str, int]] = {}
        for name in opened:
            subtask, shards = self.plan[name], self._scheduler.count(name) or 0
            if not subtask.cacheable or name in self._uncached:
                continue
            able = [state for state in self._states.values() if _requires(subtask) <= _offers(state)]
            around = {environment(subtask.code, state) for state in able} - {None}
            for shard in range(shards if len(around) <= ENVIRONMENTS else 0):
                try:
                    spec = await self._spec(subtask, shard, worker="", attempt_id="")
                except InputMissing:
                    continue
                wanted |= {cache_key(spec, item): (name, shard) for item in around if item}
        if not wanted:
            return
        found = await self._store.cached(list(wanted))
        for key, origin in found.items():
            name, shard = wanted[key]
            result = origin.get("result")
            if result is None or not self._inputs.complete(result):
                continue
            payload = {
                "key": key,
                "run_id": origin["run_id"],
                "attempt_id": origin["attempt_id"],
                "result": dict(result),
            }
            self._apply(self._add(EventType.SHARD_CACHED, name, shard, payload=payload), self._now())

    # -- attempts

    async def _spec(self, subtask: Subtask, shard: int, *, worker: str, attempt_id: str) -> AttemptSpec:
        shards = self._scheduler.count(subtask.id) or 1
        permissions = Permissions(gpu=subtask.permissions.gpu) if self.rehearsal else subtask.permissions
        return AttemptSpec(
            attempt_id=attempt_id,
            run_id=self.run_id,
            subtask=subtask.id,
            shard=shard,
            shards=shards,
            worker_id=worker,
            kind=subtask.kind,
            code=subtask.code,
            inputs=await self._inputs.of_shard(self.plan, subtask, shard, shards),
            files=self._files,
            limits=subtask.limits,
            permissions=permissions,
        )

    async def _intend(self, start: Start) -> Flight | None:
        """Journal that an attempt is going to be sent. Without its inputs it ends before it begins."""
        subtask, shard = self.plan[start.shard.subtask], start.shard.number
        attempt_id = f"{subtask.id[:40]}-{shard}-{uuid.uuid4().hex[:16]}"
        payload: dict[str, Any] = {"worker": start.worker, "number": start.number}
        try:
            spec = await self._spec(subtask, shard, worker=start.worker, attempt_id=attempt_id)
        except InputMissing as error:
            self._apply(self._add(EventType.ATTEMPT_INTENDED, subtask.id, shard, attempt_id, payload), self._now())
            detail = {"type": "InputMissing", "message": str(error)}
            end = {"outcome": str(Outcome.FAILED), "worker": start.worker, "seconds": 0.0, "error": detail}
            self._apply(self._add(EventType.ATTEMPT_ENDED, subtask.id, shard, attempt_id, end), self._now())
            return None
        if subtask.cacheable and start.worker in self._states:
            around = environment(subtask.code, self._states[start.worker])
            if around is not None:
                payload["key"] = cache_key(spec, around)
        self._apply(self._add(EventType.ATTEMPT_INTENDED, subtask.id, shard, attempt_id, payload), self._now())
        flight = self._flights[attempt_id] = Flight(spec, began=self._now())
        return flight

    def _follow(self, flight: Flight, events: AsyncIterator[AttemptEvent]) -> None:
        async def follow() -> None:
            async for event in events:
                self._post(partial(self._on_attempt, flight, event))
                if event.type == "ended":
                    return
            self._post(partial(self._on_attempt, flight, AttemptEvent(type="ended", data=_SILENT)))

        if not flight.over:
            flight.task = self._spawn(follow())

    def _on_attempt(self, flight: Flight, event: AttemptEvent) -> None:
        if flight.over:
            return
        flight.after_id = event.id or flight.after_id
        if event.type == "ended":
            payload = dict(event.data)
            if flight.reattached and payload["outcome"] == Outcome.LOST:
                payload["resumed"] = True
            self._end(flight, payload)
        elif event.type == "started":
            payload = {"worker": flight.spec.worker_id, **event.data}
            self._add(EventType.ATTEMPT_STARTED, *_place(flight), payload)
        else:
            flight.output.add(event)
            if flight.output.ready_at <= self._now():
                self._say(flight)

    def _say(self, flight: Flight) -> None:
        self._add(EventType.ATTEMPT_PROGRESS, *_place(flight), flight.output.take(self._now()))

    def _end(self, flight: Flight, payload: dict[str, Any]) -> None:
        if flight.output:
            self._say(flight)
        payload["outcome"] = str(payload["outcome"])
        payload.setdefault("worker", flight.spec.worker_id)
        payload.setdefault("seconds", self._now() - flight.began)
        flight.over = True
        del self._flights[flight.spec.attempt_id]
        self._apply(self._add(EventType.ATTEMPT_ENDED, *_place(flight), payload), self._now())

    def _kill(self, kill: Kill) -> None:
        flight = self._flights.get(kill.attempt_id)
        if flight is not None:
            flight.kill_by = self._now() + self._kill_s
        self._send_kill(kill.attempt_id, kill.worker)

    def _send_kill(self, attempt_id: str, worker_id: str) -> None:
        task = self._spawn(self._engine.cancel(attempt_id, worker_id))
        self._kills.add(task)
        task.add_done_callback(self._kills.discard)

    # -- workers

    async def _watch(self) -> None:
        async for state in self._engine.workers():
            self._post(partial(self._on_worker, state))

    def _on_worker(self, state: WorkerState) -> None:
        gone = set(self._states) - {item.worker_id for item in self._engine.snapshot()} - {state.worker_id}
        self._worker_is(state)
        for worker_id in gone:
            del self._states[worker_id]
            self._workers.pop(worker_id, None)
            self._tell_worker({"worker": worker_id, "state": "removed", "capacity": 0, "labels": []}, ())

    def _worker_is(self, state: WorkerState) -> None:
        self._states[state.worker_id] = state
        health = WorkerHealth(state.health)
        payload = {
            "worker": state.worker_id,
            "state": str(health),
            "capacity": state.capacity,
            "labels": sorted(state.labels),
            "reason": state.reason,
            "latency_ms": state.latency_ms,
            "boot_id": state.boot_id,
        }
        seen = (health, state.capacity, state.labels, state.reason, state.boot_id)
        news = self._workers.get(state.worker_id) != seen
        self._workers[state.worker_id] = seen
        needed = {label for item in self.plan.subtasks for label in _modules(item)}
        extra = needed if state.modules is None else needed & _module_labels(state)
        self._tell_worker(payload, extra, journal=news)

    def _tell_worker(self, payload: dict[str, Any], extra: Any, *, journal: bool = True) -> None:
        """Tell the scheduler, and the journal if there is something new in it and the run is not at rest."""
        if journal and self._live:
            self._journal.add(EventType.WORKER_STATE, payload=payload)
        told = {**payload, "labels": [*payload["labels"], *extra]}
        self._scheduler.apply(self._journal.unwritten(EventType.WORKER_STATE, payload=told), self._now())

    # -- intents

    async def _heed(self, intent: Intent) -> None:
        """Do what a person asked for, as far as it still makes sense."""
        name = None if isinstance(intent, Revise) else intent.subtask
        if isinstance(intent, Revise):
            await self._revise(intent)
        elif isinstance(intent, Rerun):
            if name in self.plan.ids:
                good = self._scheduler.state(intent.subtask).good
                self._uncached = self._uncached | {intent.subtask} if good else self._uncached - {intent.subtask}
                self._reset((), revision.reset(self.plan, (intent.subtask,)), intent.by)
        elif self._over(name):
            return
        elif isinstance(intent, Cancel):
            self._intent(EventType.CANCEL_REQUESTED, name, {"by": intent.by})
        elif isinstance(intent, Hold):
            self._intent(EventType.HOLD_SET, name, {"on": intent.on, "by": intent.by})
        elif isinstance(intent, Skip):
            payload = {"state": str(SubtaskState.SKIPPED), "reason": f"skipped by {intent.by}", "by": intent.by}
            self._intent(EventType.SUBTASK_STATE, name, payload)

    def _over(self, name: str | None) -> bool:
        if name is None:
            return self._scheduler.run_state not in {RunState.RUNNING, RunState.PAUSED}
        return name not in self.plan.ids or self._scheduler.state(name).final

    def _intent(self, kind: EventType, name: str | None, payload: dict[str, Any]) -> None:
        self._apply(self._add(kind, name, payload=payload), self._now())

    async def _revise(self, intent: Revise) -> None:
        changed = revision.changed(self.plan, intent.plan)
        gone = tuple(name for name in changed if name not in intent.plan.ids)
        await self._store.put_plan(self.run_id, self._journal.epoch, intent.plan)
        self._scheduler.revise(intent.plan)
        self._reset(changed, revision.reset(intent.plan, changed), intent.by, gone=gone, plan=intent.plan)
        self._split_data()
        for state in list(self._states.values()):
            self._worker_is(state)  # other imports may be needed now

    def _reset(
        self,
        changed: tuple[str, ...],
        reset: tuple[str, ...],
        by: str,
        *,
        gone: tuple[str, ...] = (),
        plan: Plan | None = None,
    ) -> None:
        """Journal a revision. What runs for subtasks that start anew ends first, so that no late end overtakes."""
        void = {*reset, *gone}
        for flight in [item for item in self._flights.values() if item.spec.subtask in void]:
            self._end(flight, {"outcome": Outcome.CANCELLED, "reason": f"overtaken by a revision of {by}"})
            if flight.task is not None:
                flight.task.cancel()
            self._send_kill(flight.spec.attempt_id, flight.spec.worker_id)
        for name in void:
            self._splitting.pop(name, None)
        self.plan = plan or self.plan
        payload = {"digest": self.plan.digest, "by": by, "changed": list(changed), "reset": list(reset)}
        self._intent(EventType.PLAN_REVISED, None, payload)

    # -- helpers

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            await self._store.beat(self.run_id, self._journal.epoch)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a helper whose exception ends the run."""
        task = asyncio.get_running_loop().create_task(work)
        self._helpers.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._helpers.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()
            self._wake.set()

    def _post(self, message: Callable[[], None]) -> None:
        self._inbox.append(message)
        self._wake.set()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


_SILENT: Mapping[str, Any] = {"outcome": "lost", "reason": "the engine stopped reporting before the attempt ended"}


def _place(flight: Flight) -> tuple[str, int, str]:
    return flight.spec.subtask, flight.spec.shard, flight.spec.attempt_id


def _ended(state: RunState, reason: object) -> dict[str, Any]:
    return {"state": str(state), "reason": str(reason)}


def _modules(subtask: Subtask) -> frozenset[str]:
    if subtask.kind != "python":
        return frozenset()
    return frozenset(MODULE + name for name in imported_modules(subtask.code))


def _requires(subtask: Subtask) -> frozenset[str]:
    """Labels that a worker must offer, the modules that the code imports among them."""
    return labels_needed(subtask) | _modules(subtask)


def _module_labels(state: WorkerState) -> frozenset[str]:
    return frozenset(MODULE + name for name in state.modules or ())


def _offers(state: WorkerState) -> frozenset[str]:
    return state.labels | _module_labels(state)
