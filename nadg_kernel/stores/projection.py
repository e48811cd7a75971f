"""Keeps the rows that history is read from in step with the journal, event by event, within its transaction.

Events may come late or out of order (a replica catches up): a state is only overwritten by a later seq, and each
kind of event sets columns of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nadg_kernel.model import Event, EventType, Plan
from nadg_kernel.stores.facts import DAY, ENDED, blobs_in, clean, edit_rows, micros
from nadg_kernel.stores.records import EVENT_COLUMNS

if TYPE_CHECKING:
    import sqlite3

_SUBTASK = """insert or ignore into subtasks (run_id, subtask, created_at)
    select run_id, ?, created_at from runs where run_id = ?"""
_SHARD = "insert or ignore into shards (run_id, subtask, shard, state) values (?, ?, ?, 'waiting')"
_ATTEMPT = """insert or ignore into attempts (run_id, subtask, shard, attempt_id, intended_at) values (?, ?, ?, ?, ?)"""
_THIS_ATTEMPT = "run_id = ? and subtask = ? and shard = ? and attempt_id = ?"


def write_event(connection: sqlite3.Connection, event: Event, payload: str, found: dict[str, Any]) -> bool:
    """Add an event to the journal and its rows, with its encoded payload and `facts`; False if its seq is taken."""
    added = connection.execute(
        f"insert or ignore into events ({EVENT_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            *(event.run_id, event.epoch, event.seq, micros(event.at), event.type),
            *(event.subtask, event.shard, event.attempt_id, payload),
        ),
    )
    if added.rowcount == 0:
        return False
    project(connection, event, found)
    for digest in blobs_in(payload):
        connection.execute("insert or ignore into blob_refs values (?, ?)", (digest, event.run_id))
    return True


def project(connection: sqlite3.Connection, event: Event, found: dict[str, Any]) -> None:
    """Update the rows that an event with these `facts` concerns. It must be new: applied twice, it counts twice."""
    apply = _APPLY.get(event.type)
    if apply is not None:
        apply(connection, event, found)


def project_plan(connection: sqlite3.Connection, run_id: str, plan: Plan) -> None:
    """One row per subtask of a plan's newest revision, and one per edited field that is not there yet.

    A subtask that a revision dropped keeps its row if it was attempted: history is not rewritten.
    """
    (created,) = connection.execute("select created_at from runs where run_id = ?", (run_id,)).fetchone()
    connection.executemany(
        """insert into subtasks (run_id, subtask, title, kind, position, created_at, state)
        values (?, ?, ?, ?, ?, ?, ?) on conflict (run_id, subtask) do update set
        title = excluded.title, kind = excluded.kind, position = excluded.position""",
        [
            (run_id, item.id, clean(item.name), item.kind, number, created, "held" if item.hold else "waiting")
            for number, item in enumerate(plan.subtasks)
        ],
    )
    known = {row[0] for row in connection.execute("select subtask from subtasks where run_id = ?", (run_id,))}
    connection.executemany(
        "delete from subtasks where run_id = ? and subtask = ? and attempts = 0",
        [(run_id, name) for name in known - set(plan.ids)],
    )
    connection.executemany(
        """insert or ignore into edits (run_id, at, "by", kind, subtask, field, "before", "after")
        values (?, ?, ?, ?, ?, ?, ?, ?)""",
        [(run_id, micros(row.pop("at")), *row.values()) for row in edit_rows(plan)],
    )


def _intended(connection: sqlite3.Connection, event: Event, found: dict[str, Any]) -> None:
    at, key = micros(event.at), _key(event)
    connection.execute(
        """insert into attempts (run_id, subtask, shard, attempt_id, intended_at, number, worker, cache_key)
        values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (run_id, subtask, shard, attempt_id) do update set
        intended_at = excluded.intended_at, number = excluded.number, cache_key = excluded.cache_key,
        worker = ifnull(attempts.worker, excluded.worker)""",
        (*key, at, found["number"], found["worker"], found["key"]),
    )
    connection.execute(
        """insert into shards (run_id, subtask, shard, state, state_seq, worker, attempt_id, attempts, started_at)
        values (?, ?, ?, 'running', ?, ?, ?, 1, ?) on conflict (run_id, subtask, shard) do update set
        attempts = attempts + 1, started_at = min(ifnull(started_at, excluded.started_at), excluded.started_at)""",
        (*key[:3], event.seq, found["worker"], key[3], at),
    )
    connection.execute(
        """update shards set state = 'running', state_seq = ?, worker = ?, attempt_id = ?, outcome = null,
        ended_at = null where run_id = ? and subtask = ? and shard = ? and state_seq < ?""",
        (event.seq, found["worker"], key[3], *key[:3], event.seq),
    )
    connection.execute(_SUBTASK, (event.subtask, event.run_id))
    connection.execute(
        """update subtasks set attempts = attempts + 1, attempt_seq = max(attempt_seq, ?),
        worker = case when attempt_seq < ? then ? else worker end where run_id = ? and subtask = ?""",
        (event.seq, event.seq, found["worker"], event.run_id, event.subtask),
    )


def _started(connection: sqlite3.Connection, event: Event, found: dict[str, Any]) -> None:
    key = _key(event)
    connection.execute(_ATTEMPT, (*key, micros(event.at)))
    connection.execute(
        f"update attempts set started_at = ?, boot_id = ?, worker = ifnull(?, worker) where {_THIS_ATTEMPT}",  # noqa: S608
        (micros(event.at), found["boot_id"], found["worker"], *key),
    )


def _ended(connection: sqlite3.Connection, event: Event, found: dict[str, Any]) -> None:
    key, at, outcome = _key(event), micros(event.at), found["outcome"]
    connection.execute(_ATTEMPT, (*key, at))
    row = connection.execute(
        f"select cache_key, worker, started_at from attempts where {_THIS_ATTEMPT}",  # noqa: S608
        key,
    ).fetchone()
    worker = found["worker"] or row[1]
    seconds = found["seconds"]
    if seconds is None and row[2] is not None:
        seconds = (at - row[2]) / 1e6
    connection.execute(
        f"""update attempts set outcome = ?, worker = ?, ended_at = ?, ended_day = ?, seconds = ?, error = ?,
        memory_mb = ?, cpu_s = ?, prompt_tokens = ?, output_tokens = ? where {_THIS_ATTEMPT}""",  # noqa: S608
        (
            *(outcome, worker, at, at // DAY if outcome else None, seconds, found["error"]),
            *(found["memory_mb"], found["cpu_s"], found["prompt_tokens"], found["output_tokens"], *key),
        ),
    )
    connection.execute(_SHARD, key[:3])
    connection.execute(
        """update shards set state = ?, state_seq = ?, outcome = ?, worker = ?, attempt_id = ?, ended_at = ?, error = ?
        where run_id = ? and subtask = ? and shard = ? and state_seq < ?""",
        (
            _SHARD_STATE.get(outcome, "failed"),
            event.seq,
            outcome,
            worker,
            key[3],
            at,
            found["error"],
            *key[:3],
            event.seq,
        ),
    )
    connection.execute(_SUBTASK, (event.subtask, event.run_id))
    connection.execute(
        """update subtasks set outcome = ?, worker = ?, error = ifnull(?, error), attempt_seq = ?
        where run_id = ? and subtask = ? and attempt_seq < ?""",
        (outcome, worker, found["error"], event.seq, event.run_id, event.subtask, event.seq),
    )
    connection.execute("update workers set total_tasks = total_tasks + 1 where worker_id = ?", (worker,))
    cache_key = found["key"] or row[0]
    if cache_key and outcome == "succeeded":
        _remember(connection, event, cache_key)


# A lost or rejected attempt leaves its shard to be tried again; whether that happens, the subtask's state says.
_SHARD_STATE = {
    "succeeded": "succeeded",
    "cancelled": "cancelled",
    "lost": "ready",
    "rejected": "ready",
}


def _cached(connection: sqlite3.Connection, event: Event, found: dict[str, Any]) -> None:
    at, shard = micros(event.at), (event.run_id, event.subtask, event.shard or 0)
    connection.execute(_SHARD, shard)
    connection.execute(
        """update shards set state = 'cached', state_seq = ?, started_at = ifnull(started_at, ?), ended_at = ?,
        error = null where run_id = ? and subtask = ? and shard = ? and state_seq < ?""",
        (event.seq, at, at, *shard, event.seq),
    )
    if found["key"]:
        _remember(connection, event, found["key"])


def _remember(connection: sqlite3.Connection, event: Event, key: str) -> None:
    connection.execute(
        """insert into cache (key, run_id, seq, at) values (?, ?, ?, ?) on conflict (key) do update set
        run_id = excluded.run_id, seq = excluded.seq, at = excluded.at where excluded.at >= cache.at""",
        (key, event.run_id, event.seq, micros(event.at)),
    )


def _shards_fixed(connection: sqlite3.Connection, event: Event, found: dict[str, Any]) -> None:
    connection.execute(_SUBTASK, (event.subtask, event.run_id))
    connection.execute(
        "update subtasks set shards = ? where run_id = ? and subtask = ?",
        (found["count"], event.run_id, event.subtask),
    )


def _subtask_state(connection: sqlite3.Connection, event: Event, found: dict[str, Any]) -> None:
    state, at = found["state"], micros(event.at)
    connection.execute(_SUBTASK, (event.subtask, event.run_id))
    connection.execute(
        """update subtasks set state = :state, state_seq = :seq, reason = :reason,
        started_at = case when :state = 'running' then ifnull(started_at, :at) when :state = 'waiting' then null
            when :state = 'cached' then ifnull(started_at, :at) else started_at end,
        ended_at = case when :state in ('succeeded', 'cached', 'failed', 'skipped', 'cancelled') then :at end,
        error = case when :state in ('succeeded', 'cached', 'waiting') then null
            when :state = 'failed' then ifnull(error, :reason) else error end
        where run_id = :run and subtask = :subtask and state_seq < :seq""",
        {
            "state": state,
            "seq": event.seq,
            "reason": found["reason"],
            "at": at,
            "run": event.run_id,
            "subtask": event.subtask,
        },
    )


def _worker_state(connection: sqlite3.Connection, event: Event, found: dict[str, Any]) -> None:
    connection.execute(
        """insert into health (at, worker, run_id, state, capacity, latency_ms, reason, boot_id)
        values (?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            *(micros(event.at), found["worker"], event.run_id, found["state"], found["capacity"]),
            *(found["latency_ms"], found["reason"], found["boot_id"]),
        ),
    )


def _run_started(connection: sqlite3.Connection, event: Event, found: dict[str, Any]) -> None:
    connection.execute(
        "update runs set planner = ifnull(?, planner) where run_id = ?", (found["planner"], event.run_id)
    )
    _run_again(connection, event, found)


def _run_again(connection: sqlite3.Connection, event: Event, _found: dict[str, Any]) -> None:
    connection.execute(
        "update runs set state = 'running', state_seq = ?, ended_at = null where run_id = ? and state_seq < ?",
        (event.seq, event.run_id, event.seq),
    )


def _run_ended(connection: sqlite3.Connection, event: Event, found: dict[str, Any]) -> None:
    ended = micros(event.at) if found["state"] in ENDED else None
    connection.execute(
        "update runs set state = ?, state_seq = ?, ended_at = ? where run_id = ? and state_seq < ?",
        (found["state"], event.seq, ended, event.run_id, event.seq),
    )


def _key(event: Event) -> tuple[str, str, int, str]:
    return event.run_id, event.subtask or "", event.shard or 0, event.attempt_id or ""


_APPLY = {
    EventType.RUN_STARTED: _run_started,
    EventType.PLAN_REVISED: _run_again,
    EventType.SHARDS_FIXED: _shards_fixed,
    EventType.ATTEMPT_INTENDED: _intended,
    EventType.ATTEMPT_STARTED: _started,
    EventType.ATTEMPT_ENDED: _ended,
    EventType.SHARD_CACHED: _cached,
    EventType.SUBTASK_STATE: _subtask_state,
    EventType.WORKER_STATE: _worker_state,
    EventType.RUN_ENDED: _run_ended,
}
