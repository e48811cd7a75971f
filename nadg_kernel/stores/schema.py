"""The SQLite schema as a list of migrations; `PRAGMA user_version` says how many of them a file has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg_kernel.errors import StoreError

if TYPE_CHECKING:
    import sqlite3

# Times are integers: microseconds since 1970, UTC. Texts named payload, plan, owner, labels and details are JSON.
FIRST = (
    """create table runs (
        run_id text primary key, command text not null, state text not null, state_seq integer not null default 0,
        plan_digest text not null, epoch integer not null, owner text, heartbeat_at integer,
        created_at integer not null, ended_at integer, rehearsal integer not null default 0, planner text,
        approved_by text, approved_at integer, last_seq integer not null default 0)""",
    "create index runs_by_time on runs (created_at)",
    "create index runs_unfinished on runs (created_at) where state in ('running', 'paused', 'interrupted')",
    """create table plans (
        run_id text not null references runs on delete cascade, revision integer not null, epoch integer not null,
        at integer not null, digest text not null, plan text not null, primary key (run_id, revision))""",
    # One row per changed field, so that "what do people change in a split?" is a query.
    """create table edits (
        id integer primary key, run_id text not null references runs on delete cascade, at integer not null,
        "by" text not null, kind text not null, subtask text, field text not null default '', "before" text,
        "after" text)""",
    "create unique index edits_once on edits (run_id, at, kind, ifnull(subtask, ''), field)",
    "create index edits_by_time on edits (at)",
    # The journal. Payloads can be large, so this table keeps its rowid.
    """create table events (
        run_id text not null references runs on delete cascade, seq integer not null, epoch integer not null,
        at integer not null, type text not null, subtask text, shard integer, attempt_id text,
        payload text not null)""",
    "create unique index events_in_order on events (run_id, seq)",
    # What the events add up to, written in the transaction that writes them.
    """create table subtasks (
        run_id text not null references runs on delete cascade, subtask text not null, title text not null default '',
        kind text not null default 'python', position integer not null default 0, created_at integer not null,
        state text not null default 'waiting', state_seq integer not null default 0, outcome text, worker text,
        started_at integer, ended_at integer, attempts integer not null default 0,
        attempt_seq integer not null default 0, shards integer, error text, reason text,
        primary key (run_id, subtask)) without rowid""",
    "create index subtasks_by_time on subtasks (created_at)",
    """create table shards (
        run_id text not null references runs on delete cascade, subtask text not null, shard integer not null,
        state text not null, state_seq integer not null default 0, outcome text, worker text, attempt_id text,
        attempts integer not null default 0, started_at integer, ended_at integer, error text,
        primary key (run_id, subtask, shard)) without rowid""",
    """create table attempts (
        id integer primary key, run_id text not null references runs on delete cascade, subtask text not null,
        shard integer not null, attempt_id text not null, number integer, worker text, outcome text,
        intended_at integer not null, started_at integer, ended_at integer, seconds real, error text, memory_mb real,
        cpu_s real, prompt_tokens integer, output_tokens integer, cache_key text, boot_id text)""",
    "create unique index attempts_once on attempts (run_id, subtask, shard, attempt_id)",
    "create index attempts_by_time on attempts (intended_at)",
    "create index attempts_by_worker on attempts (worker, intended_at)",
    """create table workers (
        worker_id text primary key, url text not null, status text not null, generation integer not null default 1,
        labels text not null default '[]', capacity integer not null default 1, total_tasks integer not null default 0,
        last_ping integer, details text not null default '{}')""",
    """create table health (
        id integer primary key, at integer not null, worker text not null, run_id text, state text not null,
        capacity integer, latency_ms real, reason text, boot_id text, layers text)""",
    "create index health_by_worker on health (worker, at)",
    "create index health_by_time on health (at)",
    """create table cache (
        key text primary key, run_id text not null, seq integer not null, at integer not null) without rowid""",
    "create index cache_by_run on cache (run_id)",
    """create table blob_refs (
        sha256 text not null, run_id text not null references runs on delete cascade, primary key (sha256, run_id))
        without rowid""",
    "create index blob_refs_by_run on blob_refs (run_id)",
    # What a replica has not confirmed yet: an event by its seq, the plan of revision n as seq -n.
    """create table outbox (
        id integer primary key, run_id text not null references runs on delete cascade, epoch integer not null,
        seq integer not null, unique (run_id, epoch, seq))""",
)

# The day (since 1970) in a column of its own, so that the index covers the summary frame: a million attempts are
# grouped without touching or sorting the table. SQLite does not do that over an expression.
SECOND = (
    "drop index if exists attempts_summary",
    "alter table attempts add column ended_day integer",
    "update attempts set ended_day = ended_at / 86400000000 where outcome is not null",
    """create index attempts_by_day on attempts (ended_day, worker, outcome, seconds)
        where ended_day is not null""",
)

# Workers that a replica has not heard of as they are here. An id is never given twice, so that what changes while it
# is being sent is sent again.
THIRD = (
    """create table unsent_workers (
        id integer primary key autoincrement,
        worker_id text not null unique references workers on delete cascade)""",
)

MIGRATIONS = (FIRST, SECOND, THIRD)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database (in autocommit mode) to the newest version. Raises StoreError if it is from a later one.

    All steps are one transaction, so processes that open a new file together do not meet.
    """
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("begin immediate")
    try:
        version = _version(connection)
        if version > len(MIGRATIONS):
            message = (
                f"the history was written by a later nadg-kernel (schema {version}, this one knows "
                f"{len(MIGRATIONS)}): update it with pip install -U nadg-kernel"
            )
            raise StoreError(message)
        for migration in MIGRATIONS[version:]:
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"pragma user_version = {len(MIGRATIONS)}")
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("pragma user_version").fetchone()[0])
