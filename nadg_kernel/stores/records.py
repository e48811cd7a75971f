"""Rows of the SQLite file to records and back, and the checks that every write begins with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import RunNotFound, StaleEpoch, StoreError
from nadg_kernel.model import Event, EventType, Plan, RunState
from nadg_kernel.stores.base import RunRow, WorkerRow
from nadg_kernel.stores.facts import clean, micros, moment, number
from nadg_kernel.stores.registered import registered

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

EVENT_COLUMNS = "run_id, epoch, seq, at, type, subtask, shard, attempt_id, payload"
RUN_COLUMNS = "run_id, command, state, plan_digest, epoch, owner, heartbeat_at, created_at, ended_at, rehearsal"
WORKER_COLUMNS = "worker_id, url, status, generation, labels, capacity, total_tasks, last_ping, details"


def encoded_plan(plan: Plan) -> str:
    """A plan as JSON text. Raises StoreError for values that JSON cannot say."""
    try:
        return json.dumps(plan.to_json(), separators=(",", ":"))
    except (TypeError, ValueError) as error:
        message = f"the plan is not JSON: {error}"
        raise StoreError(message) from error


def current_epoch(connection: sqlite3.Connection, run_id: str) -> int | None:
    """The run's epoch, or None."""
    row = connection.execute("select epoch from runs where run_id = ?", (run_id,)).fetchone()
    return None if row is None else int(row[0])


def check_epoch(connection: sqlite3.Connection, run_id: str, epoch: int) -> None:
    """Raise RunNotFound or StaleEpoch unless this is the run's epoch."""
    current = current_epoch(connection, run_id)
    if current is None:
        raise RunNotFound(run_id)
    if current != epoch:
        raise StaleEpoch(run_id, epoch, current)


def check_same(connection: sqlite3.Connection, event: Event, payload: str) -> None:
    """Raise StoreError unless the journal has exactly this event under its seq."""
    row = connection.execute(
        "select epoch, type, payload from events where run_id = ? and seq = ?", (event.run_id, event.seq)
    ).fetchone()
    if row is None or tuple(row) != (event.epoch, str(event.type), payload):
        message = (
            f"event {event.seq} of run {event.run_id} is there with another content: two writers gave the same seq"
        )
        raise StoreError(message)


def find_run(connection: sqlite3.Connection, run_id: str) -> RunRow | None:
    """The run, or None."""
    sql = f"select {RUN_COLUMNS} from runs where run_id = ?"  # noqa: S608
    row = connection.execute(sql, (run_id,)).fetchone()
    return None if row is None else run_from(row)


def run_from(row: tuple[Any, ...]) -> RunRow:
    """A row of RUN_COLUMNS as a record."""
    run_id, command, state, digest, epoch, owner, heartbeat, created, ended, rehearsal = row
    created_at = moment(created)
    assert created_at is not None  # noqa: S101 - the column is not null
    return RunRow(
        run_id=run_id,
        command=command,
        state=RunState(state),
        plan_digest=digest,
        epoch=epoch,
        owner=json.loads(owner) if owner else None,
        heartbeat_at=moment(heartbeat),
        created_at=created_at,
        ended_at=moment(ended),
        rehearsal=bool(rehearsal),
    )


def event_from(row: tuple[Any, ...]) -> Event:
    """A row of EVENT_COLUMNS as a record."""
    run_id, epoch, seq, at, kind, subtask, shard, attempt_id, payload = row
    when = moment(at)
    assert when is not None  # noqa: S101 - the column is not null
    return Event(
        run_id=run_id,
        epoch=epoch,
        seq=seq,
        at=when,
        type=EventType(kind),
        subtask=subtask,
        shard=shard,
        attempt_id=attempt_id,
        payload=json.loads(payload),
    )


def events_from(rows: Sequence[tuple[Any, ...]]) -> list[Event]:
    """Rows of EVENT_COLUMNS as records."""
    return [event_from(row) for row in rows]


def worker_from(values: tuple[Any, ...]) -> WorkerRow:
    """A row of WORKER_COLUMNS as a record."""
    worker_id, url, status, generation, labels, capacity, total, ping, details = values
    row = WorkerRow(
        worker_id=worker_id,
        url=url,
        status=status,
        generation=generation,
        capacity=capacity,
        total_tasks=total,
        last_ping=moment(ping),
    )
    return registered(row, json.loads(labels), details)


def upsert_worker(connection: sqlite3.Connection, row: WorkerRow) -> None:
    """Write a worker, and its ping into `health` when it is a new one."""
    ping = None if row.last_ping is None else micros(row.last_ping)
    before = connection.execute("select last_ping from workers where worker_id = ?", (row.worker_id,)).fetchone()
    connection.execute(
        f"""insert into workers ({WORKER_COLUMNS})
        values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (worker_id) do update set url = excluded.url,
        status = excluded.status, generation = max(generation, excluded.generation), labels = excluded.labels,
        capacity = excluded.capacity, total_tasks = max(total_tasks, excluded.total_tasks),
        last_ping = ifnull(excluded.last_ping, last_ping), details = excluded.details""",  # noqa: S608
        (
            *(row.worker_id, row.url, row.status, row.generation, json.dumps(list(row.labels)), row.capacity),
            *(row.total_tasks, ping, json.dumps(dict(row.details))),
        ),
    )
    if ping is not None and (before is None or before[0] != ping):
        details = row.details
        connection.execute(
            """insert into health (at, worker, state, capacity, latency_ms, reason, boot_id)
            values (?, ?, ?, ?, ?, ?, ?)""",
            (
                *(ping, row.worker_id, row.status, row.capacity, number(details.get("latency_ms"))),
                *(clean(details.get("reason")), clean(details.get("boot_id"))),
            ),
        )


def find_cached(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Cache key -> {run_id, attempt_id, result}; where a result came from the cache itself, its first origin."""
    found: dict[str, Mapping[str, Any]] = {}
    for key in keys:
        row = connection.execute(
            """select e.run_id, e.attempt_id, e.payload from cache c join events e on e.run_id = c.run_id
            and e.seq = c.seq where c.key = ?""",
            (key,),
        ).fetchone()
        if row is not None:
            payload = json.loads(row[2])
            origin = {"run_id": payload.get("run_id") or row[0], "attempt_id": payload.get("attempt_id") or row[1]}
            found[key] = {**origin, "result": payload.get("result")}
    return found
