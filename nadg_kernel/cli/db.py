"""`nadg db check`: what keeps the history, whether it can be used, and what to do where it cannot."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nadg_kernel.cli.codes import Code
from nadg_kernel.cli.console import make_console
from nadg_kernel.errors import MissingExtra, SettingsError, StoreError
from nadg_kernel.settings import load_settings
from nadg_kernel.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from nadg_kernel.settings import Settings

TABLES = ("runs", "events", "attempts", "workers", "outbox")
READ = ("history", "attempts", "runs", "edits", "workers", "shards", "health", "summary")
"""Frames of Supabase that are looked into: each needs grants of its own."""


def check() -> int:
    """Print a line or two on each store; gives 1 where one cannot be used. Raises SettingsError."""
    looks = asyncio.run(look_at_stores(load_settings()))
    console = make_console()
    for look in looks:
        for number, line in enumerate(look.lines):
            console.print(f"{look.store if number == 0 else '':<10}{line}")
    return Code.OK if all(look.good for look in looks) else Code.NOT_ALL_SUCCEEDED


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a look at one store found, in words."""

    store: str
    good: bool
    lines: tuple[str, ...]


async def look_at_stores(settings: Settings) -> list[Look]:
    """Look at SQLite, then Supabase; a store that cannot be used is an answer too, never an error."""
    looks = []
    for name, look in (("SQLite", _sqlite), ("Supabase", _supabase)):
        try:
            looks.append(Look(store=name, good=True, lines=tuple(await look(settings))))
        except (StoreError, SettingsError, MissingExtra) as error:
            looks.append(Look(store=name, good=False, lines=(str(error),)))
    return looks


async def _sqlite(settings: Settings) -> list[str]:
    path = settings.home / "nadg.db"
    if not path.exists():
        return [f"{path} is not there yet; it is made when it is first needed"]
    store = SqliteStore(path)
    await store.open()
    try:
        version, damage, counts = await store.look(_facts)
    finally:
        await store.close()
    if damage != "ok":
        message = f"the history {path} is damaged ({damage}): move it away, or repair it with sqlite3's .recover"
        raise StoreError(message)
    waiting = counts.pop("outbox")
    rows = ", ".join(f"{count:,} {table}" for table, count in counts.items())
    late = [f"{waiting:,} events and plans wait for Supabase"] if waiting else []
    return [f"{path}, {_size(path) / 1e6:,.1f} MB, schema {version}: ok", rows, *late]


def _facts(connection: sqlite3.Connection) -> tuple[int, str, dict[str, int]]:
    (version,) = connection.execute("pragma user_version").fetchone()
    (damage,) = connection.execute("pragma quick_check(1)").fetchone()
    counts = {table: connection.execute(f"select count(*) from {table}").fetchone()[0] for table in TABLES}  # noqa: S608
    return version, damage, counts


def _size(path: Path) -> int:
    """With the write-ahead log beside it."""
    beside = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in beside if file.exists())


async def _supabase(settings: Settings) -> list[str]:
    if not settings.supabase_url and not settings.supabase_service_key:
        return ["not set: SUPABASE_URL and SUPABASE_SERVICE_KEY would make a project's tables a replica"]
    lacking = "SUPABASE_SERVICE_KEY" if settings.supabase_url else "SUPABASE_URL"
    if not (settings.supabase_url and settings.supabase_service_key):
        message = f"{lacking} is not set, and Supabase needs both SUPABASE_URL and SUPABASE_SERVICE_KEY"
        raise SettingsError(message)
    from nadg_kernel.stores.supabase import SupabaseStore

    store = SupabaseStore(settings.supabase_url, settings.supabase_service_key.reveal())
    await store.open()
    try:
        workers = await store.workers()
        for frame in READ:
            async for _batch in store.query(frame, {"limit": 1}):
                pass
    finally:
        await store.close()
    odd = [f"{row.worker_id}: {row.problem}" for row in workers if row.problem]
    return [f"{store.url}: ok, {len(workers):,} workers registered, all frames can be read", *odd]
