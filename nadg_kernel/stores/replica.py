"""SQLite as the journal with Supabase as its replica: work goes on without Supabase, and catches up with it.

Who may write a run is decided in Supabase wherever it was ever heard of; what happened is decided in the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import RunNotFound, StaleEpoch, StoreError
from nadg_kernel.stores.outbox import Outbox
from nadg_kernel.stores.supabase_errors import SupabaseUnreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from nadg_kernel.model import Event, Plan
    from nadg_kernel.stores.base import Owner, RunRow, Store, WorkerRow
    from nadg_kernel.stores.outbox import Batch
    from nadg_kernel.stores.sqlite import SqliteStore
    from nadg_kernel.stores.supabase import SupabaseStore

SOON_S, LATEST_S = 0.5, 15.0
"""Waits between tries while Supabase is away, from the first to the longest."""
CATCH_UP_S = 5.0
"""How long a question about history waits for the replica to have all of it."""
_log = logging.getLogger("nadg")


@dataclass(frozen=True, kw_only=True)
class ReplicaState:
    """How the replica is. `caught_up` counts what was sent after it had been away; `reason` says why it is away."""

    ok: bool = True
    reason: str = ""
    since: datetime | None = None
    caught_up: int = 0


class ReplicatedStore:
    """The Store contract over a journal and its replica.

    `notify` is called, on the event loop, whenever the replica goes away and when it has caught up.
    """

    def __init__(
        self,
        local: SqliteStore,
        remote: SupabaseStore,
        *,
        notify: Callable[[ReplicaState], None] | None = None,
        waits: tuple[float, float] = (SOON_S, LATEST_S),
    ) -> None:
        """Nothing is sent before `open`."""
        self.local, self.remote = local, remote
        self.outbox = Outbox(local)
        self.state = ReplicaState()
        self.notify = notify
        self._waits = waits
        self._taken: dict[str, StaleEpoch] = {}
        self._wake = asyncio.Event()
        self._flushing: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the journal, then Supabase. That it cannot be reached is no error; a wrong key or schema is."""
        await self.local.open()
        if self._task is None:
            try:
                await self.remote.open()
            except SupabaseUnreachable as error:
                self._away(error)
            except BaseException:
                await self.local.close()
                raise
            self._wake.set()
            self._task = asyncio.create_task(self._replicate(), name="nadg-replica")

    async def close(self) -> None:
        """Send what waits if Supabase takes it now, then close both."""
        if self._task is not None:
            await self.flush(CATCH_UP_S if self.state.ok else 0)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self.remote.close()
        await self.local.close()

    async def flush(self, timeout_s: float = CATCH_UP_S) -> bool:
        """Wait until the replica has everything; False if it has not within the time."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushing.append(done)
        self._wake.set()
        try:
            await asyncio.wait_for(done, timeout_s)
        except TimeoutError:
            return False
        return True

    async def create_run(self, run_id: str, plan: Plan, owner: Owner, *, rehearsal: bool = False) -> int:
        """See Store. Without Supabase the run is this machine's alone until it is back."""
        at = self.local.clock()
        record = partial(self.remote.record_run, run_id, plan, owner.to_json(), at=at, rehearsal=rehearsal)
        await self._remotely(None, record)
        epoch = await self.local.create_run(run_id, plan, owner, rehearsal=rehearsal, at=at)
        self._wake.set()
        return epoch

    async def append(self, run_id: str, epoch: int, events: Sequence[Event]) -> int:
        """See Store. Durable in the journal; the replica follows. Once that knows of another owner: StaleEpoch."""
        self._check_taken(run_id)
        last = await self.local.append(run_id, epoch, events)
        self._wake.set()
        return last

    async def claim(self, run_id: str, owner: Owner) -> int:
        """See Store. The epoch is taken in Supabase; a run of another machine is copied here first.

        Without Supabase only a run that it has never heard of can be claimed: nobody else can have it.
        """
        here = await self.local.get_run(run_id)
        if not (self.state.ok and await self.flush()):
            if here is not None and await self.outbox.holds(run_id):
                return await self.local.claim(run_id, owner)
            raise self._unreachable(f"who drives run {run_id} is decided there")
        epoch: int | None = await self._remotely(None, self.remote.claim, run_id, owner)
        if epoch is None:
            raise self._unreachable(f"who drives run {run_id} is decided there")
        if here is None or here.epoch != epoch - 1:  # somebody else had it since
            await self._import(run_id)
        await self.outbox.adopt_epoch(run_id, owner, epoch, self.local.clock())
        self._taken.pop(run_id, None)
        return epoch

    async def beat(self, run_id: str, epoch: int) -> None:
        """See Store."""
        self._check_taken(run_id)
        await self.local.beat(run_id, epoch)
        if not await self.outbox.holds(run_id):
            try:
                await self._remotely(None, self.remote.beat, run_id, epoch)
            except StaleEpoch as error:
                self._taken[run_id] = error
                raise

    async def read(self, run_id: str, after: int = 0) -> AsyncIterator[Event]:
        """See Store."""
        source: Store = self.local if await self.local.get_run(run_id) else self.remote
        async for event in source.read(run_id, after):
            yield event

    async def get_run(self, run_id: str) -> RunRow | None:
        """See Store."""
        return await self.local.get_run(run_id) or await self._remotely(None, self.remote.get_run, run_id)

    async def unfinished(self) -> list[RunRow]:
        """See Store. Runs of this machine and of others."""
        here = await self.local.unfinished()
        there = await self._remotely([], self.remote.unfinished)
        ids = {run.run_id for run in here}
        rest = [run for run in there if run.run_id not in ids and await self.local.get_run(run.run_id) is None]
        return sorted([*here, *rest], key=lambda run: run.created_at, reverse=True)

    async def put_plan(self, run_id: str, epoch: int, plan: Plan) -> None:
        """See Store."""
        self._check_taken(run_id)
        await self.local.put_plan(run_id, epoch, plan)
        self._wake.set()

    async def get_plan(self, run_id: str) -> Plan | None:
        """See Store."""
        return await self.local.get_plan(run_id) or await self._remotely(None, self.remote.get_plan, run_id)

    async def workers(self) -> list[WorkerRow]:
        """See Store. The registry is Supabase's; its copy here serves while that is away."""
        found: list[WorkerRow] | None = None
        if self.state.ok and await self.flush():
            found = await self._remotely(None, self.remote.workers)
        if found is None:
            return await self.local.workers()
        await self.outbox.adopt_workers(found)
        return found

    async def upsert_workers(self, rows: Sequence[WorkerRow]) -> None:
        """See Store. They wait in the journal while Supabase is away."""
        await self.local.upsert_workers(rows)
        await self._remotely(None, self._send_workers)

    async def remove_worker(self, worker_id: str) -> bool:
        """See Store. Needs Supabase: elsewhere the worker would live on."""
        if not self.state.ok:
            raise self._unreachable("a worker is removed there first")
        there = await self.remote.remove_worker(worker_id)
        return await self.local.remove_worker(worker_id) or there

    async def cached(self, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """See Store. Only results whose bytes are on this machine."""
        return await self.local.cached(keys)

    async def query(self, frame: str, filters: Mapping[str, Any] | None = None) -> AsyncIterator[Any]:
        """See Store. The history of all machines once the replica has everything; of this one while it has not."""
        batches, first = self.remote.query(frame, filters), None
        if self.state.ok and await self.flush():
            first = await self._remotely(None, lambda: anext(batches))
        if first is None:
            batches = self.local.query(frame, filters)
        else:
            yield first
        async for batch in batches:
            yield batch

    async def prune(self, older_than: datetime, *, results_only: bool = False) -> dict[str, int]:
        """See Store. In both; the counts are the replica's. Needs Supabase."""
        if not (self.state.ok and await self.flush()):
            raise self._unreachable("history is pruned there too")
        counts = await self.remote.prune(older_than, results_only=results_only)
        await self.local.prune(older_than, results_only=results_only)
        return counts

    async def referenced(self, digests: Sequence[str] | None = None) -> set[str]:
        """See SqliteStore."""
        return await self.local.referenced(digests)

    def _check_taken(self, run_id: str) -> None:
        if run_id in self._taken:
            raise self._taken[run_id]

    def _unreachable(self, why: str) -> SupabaseUnreachable:
        return SupabaseUnreachable(f"this needs Supabase, as {why}: {self.state.reason or 'it does not keep up'}")

    async def _remotely(self, otherwise: Any, ask: Callable[..., Any], *arguments: Any) -> Any:
        """What Supabase says, or `otherwise` while it is away; that it goes away is noted."""
        if not self.state.ok:
            return otherwise
        try:
            return await ask(*arguments)
        except SupabaseUnreachable as error:
            self._away(error)
            self._wake.set()
            return otherwise

    async def _import(self, run_id: str) -> None:
        run, plan = await self.remote.get_run(run_id), await self.remote.get_plan(run_id)
        if run is None or plan is None:
            raise RunNotFound(run_id)
        events = [event async for event in self.remote.read(run_id)]
        await self.outbox.drop(run_id)
        await self.outbox.import_run(run, plan, events)

    async def _replicate(self) -> None:
        wait, sent = self._waits[0], 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            flushing, self._flushing = self._flushing, []
            try:
                await self.remote.open()
                await self._send_workers()
                while (batch := await self.outbox.next()) is not None:
                    await self._send(batch)
                    sent += len(batch.keys)
            except Exception as error:  # noqa: BLE001 - it is shown to the person, and tried again
                self._flushing += flushing
                self._away(error)
                await asyncio.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311 - not everyone at once
                wait = min(self._waits[1], wait * 2)
                self._wake.set()
                continue
            wait = self._waits[0]
            self._back(sent)
            sent = 0
            for done in flushing:
                if not done.done():
                    done.set_result(None)

    async def _send(self, batch: Batch) -> None:
        try:
            await self._deliver(batch)
        except StaleEpoch as error:
            if error.current < batch.run.epoch:  # a run that was claimed here while Supabase had not heard of it
                await self.remote.adopt(batch.run.run_id, batch.run.owner or {}, batch.run.epoch)
                await self._deliver(batch)
            else:
                self._taken[batch.run.run_id] = error
                await self.outbox.drop(batch.run.run_id)
                _log.warning("%s", error)
                return
        except RunNotFound:
            await self.outbox.drop(batch.run.run_id)  # pruned there
            return
        await self.outbox.confirm(batch.keys)

    async def _deliver(self, batch: Batch) -> None:
        run = batch.run
        if batch.plan is None:
            await self.remote.append(run.run_id, run.epoch, batch.events)
        elif batch.revision == 1:
            await self.remote.record_run(
                run.run_id,
                batch.plan,
                run.owner or {},
                at=run.created_at,
                rehearsal=run.rehearsal,
                epoch=run.epoch,
            )
        else:
            at = batch.at or run.created_at
            await self.remote.record_plan(run.run_id, run.epoch, batch.plan, at=at, revision=batch.revision)

    async def _send_workers(self) -> None:
        if unsent := await self.outbox.unsent_workers():
            await self.remote.upsert_workers(list(unsent.values()))
            await self.outbox.confirm_workers(unsent)

    def _away(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, StoreError) else f"{type(error).__name__}: {error}"
        if self.state.ok:
            self._changed(ReplicaState(ok=False, reason=reason, since=self.local.clock()))
        else:
            self.state = replace(self.state, reason=reason)

    def _back(self, sent: int) -> None:
        if not self.state.ok:
            self._changed(ReplicaState(since=self.local.clock(), caught_up=sent))

    def _changed(self, state: ReplicaState) -> None:
        self.state = state
        if self.notify is not None:
            self.notify(state)


if TYPE_CHECKING:
    _keeps_the_contract: type[Store] = ReplicatedStore
