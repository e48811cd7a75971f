"""Retention: what of ended runs is deleted, in SQLite. The person's plans and outcomes stay with `results_only`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nadg_kernel.model import EventType
from nadg_kernel.stores.facts import ENDED, blobs_in

if TYPE_CHECKING:
    import sqlite3

_ENDED = ", ".join(f"'{state}'" for state in sorted(ENDED))
_OLD = f"select run_id from runs where state in ({_ENDED}) and ended_at < ?"  # noqa: S608 - our own words
_RESULT_KEYS = frozenset({"result", "stdout", "stderr", "displays"})
WITH_RESULTS = (EventType.ATTEMPT_ENDED, EventType.SHARD_CACHED, EventType.ATTEMPT_PROGRESS)
_TABLES = ("events", "attempts", "shards", "subtasks", "edits", "plans", "blob_refs", "outbox")


def prune(connection: sqlite3.Connection, before: int) -> dict[str, int]:
    """Delete runs that ended before a time (microseconds), and states of workers seen before it; counts by table."""
    counts = {
        table: connection.execute(f"delete from {table} where run_id in ({_OLD})", (before,)).rowcount  # noqa: S608
        for table in (*_TABLES, "cache")
    }
    counts["runs"] = connection.execute(f"delete from runs where run_id in ({_OLD})", (before,)).rowcount  # noqa: S608
    counts["health"] = connection.execute("delete from health where at < ?", (before,)).rowcount
    return counts


def prune_results(connection: sqlite3.Connection, before: int) -> dict[str, int]:
    """Empty the results and output of runs that ended before a time; their outcomes, errors and plans stay."""
    kinds = ", ".join("?" * len(WITH_RESULTS))
    sql = f"select rowid, payload from events where run_id in ({_OLD}) and type in ({kinds})"  # noqa: S608
    emptied = 0
    for rowid, payload in connection.execute(sql, (before, *WITH_RESULTS)).fetchall():
        slim = without_results(payload)
        if slim is not None:
            connection.execute("update events set payload = ? where rowid = ?", (slim, rowid))
            emptied += 1
    cached = connection.execute(f"delete from cache where run_id in ({_OLD})", (before,)).rowcount  # noqa: S608
    return {"results": emptied, "cache": cached, "blob_refs": _refer_again(connection, before)}


def _refer_again(connection: sqlite3.Connection, before: int) -> int:
    """Keep references to blobs from what is left, attached data for instance; gives how many are gone."""
    gone = connection.execute(f"delete from blob_refs where run_id in ({_OLD})", (before,)).rowcount  # noqa: S608
    sql = f"""select run_id, payload from events where run_id in ({_OLD}) and payload like '%"sha256":"%'"""  # noqa: S608
    for run_id, payload in connection.execute(sql, (before,)).fetchall():
        for digest in blobs_in(payload):
            added = connection.execute("insert or ignore into blob_refs values (?, ?)", (digest, run_id))
            gone -= added.rowcount
    return gone


def without_results(payload: str) -> str | None:
    """An event's encoded payload without results and output; None if it has none."""
    values = json.loads(payload)
    kept = {name: value for name, value in values.items() if name not in _RESULT_KEYS}
    return None if len(kept) == len(values) else json.dumps({**kept, "pruned": True}, separators=(",", ":"))
