"""What of the journal a replica has not confirmed yet, and what a replica gives back to a journal that lacks it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import RunNotFound, StaleEpoch, StoreError
from nadg_kernel.model import Event, Plan
from nadg_kernel.stores import records
from nadg_kernel.stores.base import RunRow
from nadg_kernel.stores.facts import clean, encoded, facts, micros, moment
from nadg_kernel.stores.projection import project_plan, write_event

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from nadg_kernel.stores.base import Owner, WorkerRow
    from nadg_kernel.stores.sqlite import SqliteStore

Key = tuple[str, int, int]
"""(run_id, epoch, seq); the plan of revision n has the seq -n."""
MOST_CHARS = 2_000_000
"""Payloads of one batch, about."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What is sent at once: events of one run in order, or one revision of its plan."""

    run: RunRow
    keys: tuple[Key, ...]
    events: tuple[Event, ...] = ()
    plan: Plan | None = None
    revision: int = 0
    at: datetime | None = None


class Outbox:
    """The outbox of a SqliteStore."""

    def __init__(self, store: SqliteStore) -> None:
        """The store begins to keep what it writes from now on."""
        self._store = store
        store.outbox = True

    async def waiting(self) -> int:
        """How much waits."""
        sql = "select count(*) from outbox"
        return int(await self._store.look(lambda connection: connection.execute(sql).fetchone()[0]))

    async def pending(self, limit: int = 500) -> list[Key]:
        """What waits, oldest first."""
        sql = "select run_id, epoch, seq from outbox order by id limit ?"
        return await self._store.look(lambda connection: connection.execute(sql, (limit,)).fetchall())

    async def next(self) -> Batch | None:
        """The oldest that waits and what follows it and can be sent with it; None if nothing waits."""
        return await self._store.look(_next_batch)

    async def confirm(self, keys: Sequence[Key]) -> None:
        """Take out what the replica has."""
        sql = "delete from outbox where run_id = ? and epoch = ? and seq = ?"
        await self._store.transact(lambda connection: connection.executemany(sql, keys))

    async def drop(self, run_id: str) -> int:
        """Give up what waits of a run that another owner has taken over; gives how much."""
        sql = "delete from outbox where run_id = ?"
        return await self._store.transact(lambda connection: connection.execute(sql, (run_id,)).rowcount)

    async def holds(self, run_id: str) -> bool:
        """Whether the run's first plan still waits: the replica has never heard of the run."""
        sql = "select 1 from outbox where run_id = ? and seq = -1"
        return await self._store.look(lambda connection: connection.execute(sql, (run_id,)).fetchone()) is not None

    async def unsent_workers(self) -> dict[int, WorkerRow]:
        """Workers that the replica has not heard of as they are here, by what `confirm_workers` takes."""
        sql = f"""select id, {records.WORKER_COLUMNS} from unsent_workers join workers using (worker_id)
            order by id"""  # noqa: S608 - constants
        found = await self._store.look(lambda connection: connection.execute(sql).fetchall())
        return {row[0]: records.worker_from(row[1:]) for row in found}

    async def confirm_workers(self, marks: Iterable[int]) -> None:
        """Take out workers that the replica has; what changed since it was read stays."""
        sql, values = "delete from unsent_workers where id = ?", [(mark,) for mark in marks]
        await self._store.transact(lambda connection: connection.executemany(sql, values))

    async def adopt_workers(self, rows: Sequence[WorkerRow]) -> None:
        """Make the registry here what the replica's is; what it has not heard of stays as it is here."""
        kept = {row.worker_id for row in rows}

        def work(connection: sqlite3.Connection) -> None:
            unsent = {row[0] for row in connection.execute("select worker_id from unsent_workers")}
            here = {row[0] for row in connection.execute("select worker_id from workers")}
            connection.executemany("delete from workers where worker_id = ?", [(i,) for i in here - kept - unsent])
            for row in rows:
                if row.worker_id not in unsent:
                    records.upsert_worker(connection, row)

        await self._store.transact(work)

    async def adopt_epoch(self, run_id: str, owner: Owner, epoch: int, now: datetime) -> None:
        """Take over an epoch that the replica has given. Raises StaleEpoch if a higher one is here, RunNotFound."""

        def work(connection: sqlite3.Connection) -> None:
            current = records.current_epoch(connection, run_id)
            if current is None:
                raise RunNotFound(run_id)
            if epoch < current:
                raise StaleEpoch(run_id, epoch, current)
            connection.execute(
                "update runs set epoch = ?, owner = ?, heartbeat_at = ? where run_id = ?",
                (epoch, json.dumps(owner.to_json()), micros(now), run_id),
            )

        await self._store.transact(work)

    async def import_run(self, run: RunRow, plan: Plan, events: Sequence[Event]) -> None:
        """Put a run as the replica has it in the place of what is here of it; nothing of it waits then."""
        prepared = [(event, encoded(event), facts(event)) for event in events]
        body = records.encoded_plan(plan)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("delete from cache where run_id = ?", (run.run_id,))
            connection.execute("delete from runs where run_id = ?", (run.run_id,))
            _insert_run(connection, run, plan)
            connection.execute(
                "insert into plans (run_id, revision, epoch, at, digest, plan) values (?, 1, ?, ?, ?, ?)",
                (run.run_id, run.epoch, micros(run.created_at), plan.digest, body),
            )
            project_plan(connection, run.run_id, plan)
            for event, payload, found in prepared:
                if not write_event(connection, event, payload, found):
                    message = f"the replica gave event {event.seq} of run {run.run_id} twice"
                    raise StoreError(message)
            last = max((event.seq for event in events), default=0)
            connection.execute("update runs set last_seq = ? where run_id = ?", (last, run.run_id))

        await self._store.transact(work)


def _next_batch(connection: sqlite3.Connection) -> Batch | None:
    keys = connection.execute("select run_id, epoch, seq from outbox order by id limit 500").fetchall()
    if not keys:
        return None
    run = records.find_run(connection, keys[0][0])
    assert run is not None  # noqa: S101 - the outbox goes with its run
    if keys[0][2] < 0:
        return _plan_batch(connection, run, keys[0])
    # Order matters within a run only, so that many runs at a time are few batches.
    mine = [key for key in keys if key[0] == run.run_id]
    events: list[Event] = []
    chars = 0
    for run_id, _, seq in mine:
        if seq < 0 or chars > MOST_CHARS:
            break
        sql = f"select {records.EVENT_COLUMNS} from events where run_id = ? and seq = ?"  # noqa: S608
        row = connection.execute(sql, (run_id, seq)).fetchone()
        events.append(records.event_from(row))
        chars += len(row[-1])
    return Batch(run=run, keys=tuple(mine[: len(events)]), events=tuple(events))


def _plan_batch(connection: sqlite3.Connection, run: RunRow, key: Key) -> Batch:
    body, at = connection.execute(
        "select plan, at from plans where run_id = ? and revision = ?", (run.run_id, -key[2])
    ).fetchone()
    return Batch(run=run, keys=(key,), plan=Plan.from_json(json.loads(body)), revision=-key[2], at=moment(at))


def _insert_run(connection: sqlite3.Connection, run: RunRow, plan: Plan) -> None:
    owner: Mapping[str, Any] | None = run.owner
    by, at = (plan.approval.by, micros(plan.approval.at)) if plan.approval else (None, None)
    connection.execute(
        """insert into runs (run_id, command, state, plan_digest, epoch, owner, heartbeat_at, created_at, ended_at,
        rehearsal, planner, approved_by, approved_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            *(run.run_id, clean(run.command), str(run.state), run.plan_digest, run.epoch, json.dumps(owner)),
            None if run.heartbeat_at is None else micros(run.heartbeat_at),
            *(micros(run.created_at), None if run.ended_at is None else micros(run.ended_at), int(run.rehearsal)),
            *(clean(plan.planner.get("name")), clean(by), at),
        ),
    )
