"""The loop that drives a run: event, apply, decide, append durably, and only then submit."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from nadg_kernel.engines.base import AttemptSpec
from nadg_kernel.errors import NadgError, PlanNotApproved, StaleEpoch
from nadg_kernel.model import EventType, RunState, SubtaskState
from nadg_kernel.runner import revision
from nadg_kernel.runner.attempts import Attempts
from nadg_kernel.runner.folders import Folders
from nadg_kernel.runner.inputs import Inputs
from nadg_kernel.runner.intents import Intent, Rerun, Revise
from nadg_kernel.runner.journal import Journal
from nadg_kernel.runner.ledger import Ledger
from nadg_kernel.runner.mailbox import Mailbox, now
from nadg_kernel.runner.places import Places
from nadg_kernel.runner.roster import News, Roster, needs
from nadg_kernel.runner.shards import Shards
from nadg_kernel.scheduler import RetryPolicy, Scheduler, Start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nadg_kernel.engines.base import Blobs, Engine, WorkerState
    from nadg_kernel.model import Event, Plan
    from nadg_kernel.scheduler import Cancel as Kill
    from nadg_kernel.stores.base import Owner, Store

HEARTBEAT_S = 5.0
KILL_S = 20.0
"""How long the end of a cancelled attempt is waited for before it counts as ended."""


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
        about: Mapping[str, Any] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        seed: int | None = None,
        policy: RetryPolicy | None = None,
        estimates: Mapping[str, float] | None = None,
        heartbeat_s: float = HEARTBEAT_S,
        kill_s: float = KILL_S,
    ) -> None:
        """Prepare a run; nothing is written or sent before `run`.

        `data` maps names to ValueRefs as dicts, their blobs kept already; `files` a relative path to (sha256, size).
        With `epoch` None the run is created in the store; with an epoch (from `store.claim`) and the `history` that
        the store gives, it is resumed. `estimates` are expected seconds by subtask id, where they are known. `about`
        is kept with the run's start, for whoever resumes it. Raises PlanNotApproved for a draft that is no rehearsal.
        """
        if not plan.approved and not rehearsal:
            raise PlanNotApproved(plan.command)
        self.run_id, self.rehearsal = run_id, rehearsal
        self._engine, self._store, self._owner = engine, store, owner
        self._created = epoch is not None
        self._history = tuple(history)
        self._heartbeat_s = heartbeat_s
        self._journal = Journal(store, run_id, clock, listener)
        self._journal.epoch = epoch or 0
        folders = Folders(plan, data, blobs)
        self._scheduler = Scheduler(
            plan,
            seed=seed,
            policy=policy,
            estimates=estimates,
            requires=lambda subtask: needs(subtask, folders.modules(subtask)),
        )
        self._inputs = Inputs(data, blobs)
        told = {**(about or {}), "owner": owner.to_json(), "rehearsal": rehearsal}
        self._ledger = Ledger(plan, self._journal, self._scheduler, self._inputs, told)
        self._roster = Roster(folders.modules)
        self._mailbox = Mailbox()
        self._places = Places(engine, self._mailbox.wake)
        self._degraded: dict[str, Any] | None = None
        self._attempts = Attempts(self._ledger, engine, self._mailbox, self._places, kill_s)
        self._shards = Shards(
            run_id=run_id,
            ledger=self._ledger,
            roster=self._roster,
            store=store,
            mailbox=self._mailbox,
            files=files or {},
            folders=folders,
            rehearsal=rehearsal,
        )
        self._intents: deque[Intent] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self._driving = self._closed = False
        self._wake_at: float | None = None

    @property
    def plan(self) -> Plan:
        """The plan as it is driven now."""
        return self._ledger.plan

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

    def backlog(self) -> dict[frozenset[str], int]:
        """Shards that only want for a place, by the labels that a worker must offer; none while nobody drives it."""
        return self._scheduler.backlog() if self._driving else {}

    def busy(self) -> Counter[str]:
        """How many of its attempts each worker carries now."""
        return Counter(worker for _, worker in self._scheduler.attempts().values()) if self._driving else Counter()

    def note_store(self, store: str, reason: str, caught_up: int = 0) -> None:
        """Journal that a replica of the store is away (`reason`), or that it has caught up with so many events."""
        kind = EventType.STORE_DEGRADED if reason else EventType.STORE_RECOVERED
        payload = {"store": store, "reason": reason} if reason else {"store": store, "caught_up": caught_up}
        self._degraded = payload if reason else None  # told at the start of a run that begins while it is away
        if self._driving:
            self._mailbox.post(lambda: self._noted(kind, payload))

    def _noted(self, kind: EventType, payload: dict[str, Any]) -> None:
        self._journal.add(kind, payload=payload)

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
        self._mailbox.wake()

    async def run(self) -> RunState:
        """Drive the run until nothing runs and nothing can; gives its state. May be called again after that.

        A store that says that somebody else took over ends it as `interrupted`. A mistake of ours ends the run as
        failed and is raised.
        """
        if self._driving:
            raise RuntimeError(f"run {self.run_id} is being driven already")
        self._driving, self._closed = True, False
        self._idle.clear()
        self._places.join()
        try:
            return await self._drive()
        except StaleEpoch as error:
            if (event := self._ledger.end(RunState.INTERRUPTED, error)) is not None:
                self._journal.tell(event)  # written by nobody: the run has another owner
            return RunState.INTERRUPTED
        except Exception as error:
            await self._break(error)
            raise
        finally:
            self._driving = False
            self._places.leave()
            self._mailbox.dismiss()
            self._idle.set()

    async def close(self) -> None:
        """Stop driving. What runs goes on where it can; the run can be resumed."""
        self._closed = True
        self._mailbox.wake()
        await self._idle.wait()

    async def _drive(self) -> RunState:
        await self._begin()
        while not self._closed:
            await self._turn()
            if self._scheduler.run_state is RunState.RUNNING or self._shards.counting:
                await self._mailbox.wait([*self._attempts.due(), self._journal.due, self._wake_at or math.inf])
                continue
            await self._rest()
            if not self._intents:
                return self._scheduler.run_state
        interrupted = self._ledger.end(RunState.INTERRUPTED, "its grid was closed") is not None
        await self._journal.flush()
        return RunState.INTERRUPTED if interrupted else self._scheduler.run_state

    async def _begin(self) -> None:
        self._mailbox.failure = None
        if not self._created:
            self._journal.epoch = await self._store.create_run(
                self.run_id, self.plan, self._owner, rehearsal=self.rehearsal
            )
            self._created = True
            self._ledger.start(resumed=False)
        elif self._history:
            self._resume()
        if self._degraded is not None:
            self._noted(EventType.STORE_DEGRADED, self._degraded)
        if self._ledger.live:
            self._shards.count_data()
        self._mailbox.spawn(self._beat())
        for state in self._engine.snapshot():
            self._on_worker(state)
        self._mailbox.spawn(self._watch())
        self._attempts.follow_again()

    def _resume(self) -> None:
        """Be where the journal ends. Attempts whose end is not in it may still run somewhere."""
        history, self._history = self._history, ()
        heard = self._ledger.replay(history)
        for key, (shard, worker) in self._scheduler.attempts().items():
            subtask = self.plan[shard.subtask]
            spec = AttemptSpec(
                attempt_id=key,
                run_id=self.run_id,
                subtask=subtask.id,
                shard=shard.number,
                shards=self._scheduler.count(subtask.id) or 1,
                worker_id=worker,
                kind=subtask.kind,
                code=subtask.code,
                limits=subtask.limits,
            )
            self._attempts.expect(spec, after_id=heard.get(key, 0))

    async def _rest(self) -> None:
        """Nothing runs and nothing can: say so, once."""
        state = self._scheduler.run_state
        held = [item.id for item in self.plan.subtasks if self._scheduler.state(item.id) is SubtaskState.HELD]
        self._ledger.end(state, f"held: {', '.join(held)}" if state is RunState.PAUSED else "")
        await self._journal.flush()
        await self._attempts.kills_sent()

    async def _break(self, error: Exception) -> None:
        """A mistake of ours, or a store that does not write: kill what runs and say why, as far as that is possible."""
        reason = error if isinstance(error, NadgError) else f"internal error: {error!r}"
        event = self._ledger.end(RunState.FAILED, reason)
        failures = await self._attempts.kill_all()
        try:
            await self._journal.flush()
        except NadgError as unwritten:
            failures.append(unwritten)
            if event is not None:
                self._journal.tell(event)
        for also in failures:
            error.add_note(f"while ending the run: {also!r}")

    async def _turn(self) -> None:
        """Take in what happened, decide, make it durable, then act."""
        self._mailbox.drain()
        while self._intents:
            await self._heed(self._intents.popleft())
        self._attempts.overdue()
        if crowded := self._places.crowded():
            for state in self._roster.states.values():
                self._tell_worker(self._roster.update(state, self.plan.subtasks))
        specs, kills = await self._decide()
        self._places.want(self._scheduler.wanted(now()) if crowded else frozenset())
        self._ledger.report(self._scheduler.changes())
        if specs or kills or self._journal.due <= now():
            await self._journal.flush()
        for spec in specs:
            self._attempts.submit(spec)
        for kill in kills:
            self._attempts.kill(kill.attempt_id, kill.worker)

    async def _decide(self) -> tuple[list[AttemptSpec], list[Kill]]:
        """Everything that can be decided now, journalled but not yet sent."""
        specs: list[AttemptSpec] = []
        kills: list[Kill] = []
        while True:
            while opened := self._scheduler.opened():
                await self._shards.look_up(opened)
            for name in self._scheduler.unfixed():
                self._shards.count(self.plan[name])
            decisions, self._wake_at = self._scheduler.decide(now())
            if not decisions:
                return specs, kills
            for item in decisions:
                if not isinstance(item, Start):
                    kills.append(item)
                elif (spec := await self._shards.intend(item)) is not None:
                    self._places.take(spec.attempt_id, spec.worker_id)
                    specs.append(spec)

    async def _heed(self, intent: Intent) -> None:
        if isinstance(intent, Revise):
            await self._revise(intent)
        elif isinstance(intent, Rerun):
            self._rerun(intent)
        else:
            self._ledger.heed(intent)

    async def _watch(self) -> None:
        async for state in self._engine.workers():
            self._mailbox.post(partial(self._on_worker, state))

    def _on_worker(self, state: WorkerState) -> None:
        gone = set(self._roster.states) - {item.worker_id for item in self._engine.snapshot()} - {state.worker_id}
        for news in (self._roster.update(state, self.plan.subtasks), *map(self._roster.remove, sorted(gone))):
            self._tell_worker(news)

    def _tell_worker(self, news: News) -> None:
        if news.new and self._ledger.live:
            self._journal.add(EventType.WORKER_STATE, payload=news.payload)
        elsewhere = self._places.elsewhere(news.told["worker"])
        self._ledger.tell_scheduler(EventType.WORKER_STATE, {**news.told, "elsewhere": elsewhere})

    def _rerun(self, intent: Rerun) -> None:
        if intent.subtask not in self.plan.ids:
            return
        good = self._scheduler.state(intent.subtask).good
        (self._shards.uncached.add if good else self._shards.uncached.discard)(intent.subtask)
        self._reset((), revision.reset(self.plan, (intent.subtask,)), intent.by)

    async def _revise(self, intent: Revise) -> None:
        changed = revision.changed(self.plan, intent.plan)
        gone = tuple(name for name in changed if name not in intent.plan.ids)
        await self._store.put_plan(self.run_id, self._journal.epoch, intent.plan)
        self._scheduler.revise(intent.plan)
        self._reset(changed, revision.reset(intent.plan, changed), intent.by, gone=gone, plan=intent.plan)
        self._shards.count_data()
        for state in list(self._roster.states.values()):  # other imports may be needed now
            self._tell_worker(self._roster.update(state, self.plan.subtasks))

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
        self._attempts.abandon(void, f"overtaken by a revision of {by}")
        self._shards.forget(void)
        self._ledger.plan = plan or self.plan
        payload = {"digest": self.plan.digest, "by": by, "changed": list(changed), "reset": list(reset)}
        self._ledger.record(EventType.PLAN_REVISED, payload=payload)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            await self._store.beat(self.run_id, self._journal.epoch)
