"""The embedded store: one SQLite file that is always the journal, whatever else is configured."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nadg_kernel.errors import RunNotFound, StoreError
from nadg_kernel.model import Event, Plan
from nadg_kernel.stores import frames, owners, records
from nadg_kernel.stores.facts import clean, encoded, facts, micros
from nadg_kernel.stores.projection import project_plan, write_event
from nadg_kernel.stores.pruning import prune, prune_results
from nadg_kernel.stores.readers import Readers
from nadg_kernel.stores.schema import migrate
from nadg_kernel.stores.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from nadg_kernel.stores.base import Owner, RunRow, Store, WorkerRow

T = TypeVar("T")
BUSY_S = 30.0
"""How long to wait for another process that writes to the same file."""
READ_ROWS = 512
_UNFINISHED = "state in ('running', 'paused', 'interrupted')"


class SqliteStore:
    """The Store contract over a file. Several processes may use the same one.

    `clock` gives the time of heartbeats; `is_dead` says whether an owner's process is certainly gone (None: unknown).
    With `outbox` on, every event and plan waits there for a replica (see outbox.py).
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        is_dead: Callable[[Mapping[str, Any]], bool | None] = owners.is_dead,
        outbox: bool = False,
    ) -> None:
        """Nothing is touched before `open`."""
        self.path = Path(path)
        self.outbox = outbox
        self.clock, self._is_dead = clock, is_dead
        self._opening = asyncio.Lock()
        self._writer: Writer | None = None
        self._readers: Readers | None = None

    async def open(self) -> None:
        """Make the file, or bring an older one up to date."""
        async with self._opening:
            if self._writer is None:
                await asyncio.get_running_loop().run_in_executor(None, self._prepare)
                self._readers = Readers(lambda: self._connect(reader=True), self._failed)
                self._writer = Writer(self._connect, self._failed)

    async def close(self) -> None:
        """Finish what was asked for and release the file."""
        async with self._opening:
            writer, readers, self._writer, self._readers = self._writer, self._readers, None, None
            # Not in an executor: at the interpreter's exit, where a forgotten grid is closed, those take no more work.
            if readers is not None:
                readers.close()
            if writer is not None:
                writer.close()

    async def create_run(
        self, run_id: str, plan: Plan, owner: Owner, *, rehearsal: bool = False, at: datetime | None = None
    ) -> int:
        """See Store. Raises StoreError if the run exists. `at` is when it was created, if not now."""
        now, body, digest = at or self.clock(), records.encoded_plan(plan), plan.digest
        by, approved_at = (plan.approval.by, micros(plan.approval.at)) if plan.approval else (None, None)

        def work(connection: sqlite3.Connection) -> int:
            if records.current_epoch(connection, run_id) is not None:
                message = f"run {run_id!r} exists already"
                raise StoreError(message)
            connection.execute(
                """insert into runs (run_id, command, state, plan_digest, epoch, owner, heartbeat_at, created_at,
                rehearsal, planner, approved_by, approved_at) values (?, ?, 'running', ?, 1, ?, ?, ?, ?, ?, ?, ?)""",
                (
                    *(run_id, clean(plan.command), digest, json.dumps(owner.to_json()), micros(now), micros(now)),
                    *(int(rehearsal), clean(plan.planner.get("name")), clean(by), approved_at),
                ),
            )
            self._add_plan(connection, run_id, 1, now, digest, body)
            project_plan(connection, run_id, plan)
            return 1

        return await self.transact(work)

    async def append(self, run_id: str, epoch: int, events: Sequence[Event]) -> int:
        """See Store. An event that is there with another content is a StoreError: two writers share a seq."""
        prepared = []
        for event in events:
            if event.run_id != run_id or event.epoch != epoch or event.seq < 1:
                message = (
                    f"event {event.seq} of {event.run_id} (epoch {event.epoch}) is none of {run_id}, epoch {epoch}"
                )
                raise StoreError(message)
            micros(event.at)  # raises for a time without a zone
            prepared.append((event, encoded(event), facts(event)))

        def work(connection: sqlite3.Connection) -> int:
            records.check_epoch(connection, run_id, epoch)
            for event, payload, found in prepared:
                if not write_event(connection, event, payload, found):
                    records.check_same(connection, event, payload)
                elif self.outbox:
                    connection.execute(_OUTBOX, (run_id, epoch, event.seq))
            last = max((event.seq for event in events), default=0)
            connection.execute("update runs set last_seq = max(last_seq, ?) where run_id = ?", (last, run_id))
            (last_seq,) = connection.execute("select last_seq from runs where run_id = ?", (run_id,)).fetchone()
            return int(last_seq)

        return await self.transact(work)

    async def read(self, run_id: str, after: int = 0) -> AsyncIterator[Event]:
        """See Store. One consistent view: what is appended meanwhile is for the next `read`."""
        if await self.look(lambda connection: records.current_epoch(connection, run_id)) is None:
            raise RunNotFound(run_id)
        sql = f"select {records.EVENT_COLUMNS} from events where run_id = ? and seq > ? order by seq"  # noqa: S608
        reading = self._reading().pages(sql, (run_id, after), READ_ROWS, records.events_from)
        async with aclosing(reading) as pages:
            async for page in pages:
                for event in page:
                    yield event

    async def claim(self, run_id: str, owner: Owner) -> int:
        """See Store. The same owner may claim again at any time."""
        now, mine = self.clock(), owner.to_json()

        def work(connection: sqlite3.Connection) -> int:
            run = records.find_run(connection, run_id)
            if run is None:
                raise RunNotFound(run_id)
            if run.owner != mine:
                owners.refuse_takeover(run_id, run.owner, run.heartbeat_at, now, self._is_dead)
            connection.execute(
                "update runs set epoch = epoch + 1, owner = ?, heartbeat_at = ? where run_id = ?",
                (json.dumps(mine), micros(now), run_id),
            )
            return run.epoch + 1

        return await self.transact(work)

    async def beat(self, run_id: str, epoch: int) -> None:
        """See Store."""
        now = micros(self.clock())

        def work(connection: sqlite3.Connection) -> None:
            records.check_epoch(connection, run_id, epoch)
            connection.execute("update runs set heartbeat_at = ? where run_id = ?", (now, run_id))

        await self.transact(work)

    async def get_run(self, run_id: str) -> RunRow | None:
        """See Store."""
        return await self.look(lambda connection: records.find_run(connection, run_id))

    async def unfinished(self) -> list[RunRow]:
        """See Store."""
        sql = f"select {records.RUN_COLUMNS} from runs where {_UNFINISHED} order by created_at desc, run_id"  # noqa: S608
        return await self.look(lambda connection: [records.run_from(row) for row in connection.execute(sql)])

    async def put_plan(self, run_id: str, epoch: int, plan: Plan) -> None:
        """See Store. Raises StaleEpoch, RunNotFound. A plan that is the newest already is not recorded twice."""
        now, body, digest = self.clock(), records.encoded_plan(plan), plan.digest

        def work(connection: sqlite3.Connection) -> None:
            records.check_epoch(connection, run_id, epoch)
            newest = connection.execute(
                "select plan from plans where run_id = ? order by revision desc limit 1", (run_id,)
            ).fetchone()
            if newest and newest[0] == body:
                return
            connection.execute("update runs set plan_digest = ? where run_id = ?", (digest, run_id))
            if plan.approval is not None:
                connection.execute(
                    "update runs set approved_by = ?, approved_at = ? where run_id = ?",
                    (clean(plan.approval.by), micros(plan.approval.at), run_id),
                )
            self._add_plan(connection, run_id, epoch, now, digest, body)
            project_plan(connection, run_id, plan)

        await self.transact(work)

    async def get_plan(self, run_id: str) -> Plan | None:
        """See Store."""
        row = await self.look(
            lambda connection: connection.execute(
                "select plan from plans where run_id = ? order by revision desc limit 1", (run_id,)
            ).fetchone()
        )
        return None if row is None else Plan.from_json(json.loads(row[0]))

    async def workers(self) -> list[WorkerRow]:
        """See Store."""
        sql = f"select {records.WORKER_COLUMNS} from workers order by worker_id"  # noqa: S608
        return [
            records.worker_from(row) for row in await self.look(lambda connection: connection.execute(sql).fetchall())
        ]

    async def upsert_workers(self, rows: Sequence[WorkerRow]) -> None:
        """See Store. `generation` and `total_tasks` never go back; each new ping is kept for the frame `health`.

        They wait for a replica, also for one that is configured only later.
        """

        def work(connection: sqlite3.Connection) -> None:
            for row in rows:
                records.upsert_worker(connection, row)
                connection.execute("insert or replace into unsent_workers (worker_id) values (?)", (row.worker_id,))

        await self.transact(work)

    async def remove_worker(self, worker_id: str) -> bool:
        """See Store."""
        return await self.transact(
            lambda connection: connection.execute("delete from workers where worker_id = ?", (worker_id,)).rowcount > 0
        )

    async def cached(self, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """See Store."""
        return await self.look(lambda connection: records.find_cached(connection, keys))

    async def query(self, frame: str, filters: Mapping[str, Any] | None = None) -> AsyncIterator[Any]:
        """See Store. On top: `health` (states of workers over time), `summary` (attempts per day, worker, outcome).

        At least one batch, empty when there is nothing, so that the types are known.
        """
        sql, values = frames.select(frame, filters)
        spec, empty = frames.frame(frame), True
        async with aclosing(self._reading().pages(sql, values, frames.BATCH_ROWS, spec.batch)) as batches:
            async for batch in batches:
                empty = False
                yield batch
        if empty:
            yield spec.batch([])

    async def prune(self, older_than: datetime, *, results_only: bool = False) -> dict[str, int]:
        """See Store. Blobs stay until `BlobStore.sweep` is given `referenced`."""
        before = micros(older_than)
        work = prune_results if results_only else prune
        counts = await self.transact(lambda connection: work(connection, before))
        await self.look(_give_back_space)
        return counts

    async def referenced(self, digests: Sequence[str] | None = None) -> set[str]:
        """Digests of blobs that some event refers to: all, or which of these."""

        def work(connection: sqlite3.Connection) -> set[str]:
            found = {row[0] for row in connection.execute("select distinct sha256 from blob_refs")}
            return found if digests is None else found & set(digests)

        return await self.look(work)

    async def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` whole or not at all within the next transaction; durable on return."""
        if self._writer is None:
            raise StoreError(_CLOSED)
        return await self._writer.run(work)

    async def look(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`, which only reads, in a thread of the store."""
        return await self._reading().run(work)

    def _reading(self) -> Readers:
        if self._readers is None:
            raise StoreError(_CLOSED)
        return self._readers

    def _prepare(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # History may hold what code printed: for the person's eyes only. WAL files take the same mode.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = self._connect()
            try:
                migrate(connection)
            finally:
                connection.close()
        except OSError as error:
            message = f"cannot open the history {self.path}: {error.strerror or error}"
            raise StoreError(message) from error
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _connect(self, *, reader: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            if not reader:
                connection.execute("pragma auto_vacuum = incremental")  # counts only in a new file
                connection.execute("pragma journal_mode = wal")
                connection.execute("pragma synchronous = full")
                connection.execute("pragma foreign_keys = on")
            connection.create_function("contains", 2, frames.contains, deterministic=True)
        except BaseException:
            connection.close()
            raise
        return connection

    def _failed(self, error: sqlite3.Error) -> StoreError:
        text = str(error)
        advice = next((advice for part, advice in _ADVICE.items() if part in text), "")
        failure = StoreError(f"the history {self.path}: {text}{advice}")
        failure.__cause__ = error
        return failure

    def _add_plan(
        self, connection: sqlite3.Connection, run_id: str, epoch: int, now: datetime, digest: str, body: str
    ) -> None:
        (revision,) = connection.execute(
            "select ifnull(max(revision), 0) + 1 from plans where run_id = ?", (run_id,)
        ).fetchone()
        connection.execute(
            "insert into plans (run_id, revision, epoch, at, digest, plan) values (?, ?, ?, ?, ?, ?)",
            (run_id, revision, epoch, micros(now), digest, body),
        )
        if self.outbox:
            connection.execute(_OUTBOX, (run_id, epoch, -revision))


_CLOSED = "the store is not open: await store.open() first"
_OUTBOX = "insert or ignore into outbox (run_id, epoch, seq) values (?, ?, ?)"
_ADVICE = {
    "locked": "; another process has been writing to it for half a minute: end it, or wait",
    "full": "; free some space on that disk, then go on with grid.resume(run_id)",
    "not a database": "; it is some other file: set NADG_HOME to another folder, or move the file away",
    "malformed": "; it is damaged: move it away, or repair it with sqlite3's .recover",
    "disk I/O": "; the disk, or a network drive that cannot lock files, gave up: set NADG_HOME to a local folder",
    "readonly": "; it may not be written: look at its permissions and those of its folder",
    "unable to open": "; look at the permissions of its folder",
}


def _give_back_space(connection: sqlite3.Connection) -> None:
    # As a script: `execute` would stop after the first page.
    connection.executescript("pragma incremental_vacuum")


if TYPE_CHECKING:
    _keeps_the_contract: type[Store] = SqliteStore
