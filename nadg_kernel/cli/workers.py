"""`nadg workers`: who is registered, each one's token, and its change in two steps."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from nadg_kernel.cli.codes import Code
from nadg_kernel.cli.console import error_line, make_console
from nadg_kernel.cli.opened import opened
from nadg_kernel.cli.tables import print_table
from nadg_kernel.engines.tokens import worker_token
from nadg_kernel.settings import load_settings

if TYPE_CHECKING:
    from nadg_kernel.registry import Rotation
    from nadg_kernel.settings import Secret
    from nadg_kernel.stores.base import WorkerRow

COLUMNS = ("worker", "url", "status", "asked", "answered", "capacity", "tasks", "token", "labels")


def add(url: str, *, worker_id: str) -> int:
    """Register a worker and say what is left to do. Raises SettingsError, WorkerError, StoreError."""

    async def work() -> tuple[WorkerRow, bool]:
        async with opened(load_settings()) as here:
            here.require("a worker is registered in Supabase, which cannot be reached")
            known = {row.worker_id for row in await here.registry.rows()}
            row = await here.registry.add(url, worker_id=worker_id)
            here.require("the worker was not registered in Supabase")
            return row, row.worker_id in known

    row, known = asyncio.run(work())
    console = make_console()
    if known:
        console.print(f"{row.url} is registered already, as {row.worker_id}")
        return Code.OK
    console.print(f"registered {row.url} as {row.worker_id}")
    console.print(f"next: set NADG_AUTH_TOKEN on it to what `nadg workers token {row.worker_id}` prints,")
    console.print(f"      then `nadg workers ping {row.worker_id}`")
    return Code.OK


def listing(*, as_json: bool) -> int:
    """Print the registered workers as they were last seen. Raises StoreError."""

    async def work() -> tuple[list[WorkerRow], str]:
        async with opened(load_settings()) as here:
            return await here.registry.rows(), here.away

    rows, away = asyncio.run(work())
    if away:
        error_line(f"as this machine last knew it: {away}")
    records = [_record(row) for row in rows]
    if as_json:
        print(json.dumps(records, indent=2))  # noqa: T201
    elif not rows:
        error_line("no worker is registered; nadg workers add URL registers one")
    else:
        shown = [{**record, "labels": ", ".join(row.labels)} for record, row in zip(records, rows, strict=True)]
        print_table(make_console(), COLUMNS, shown, numbers=("capacity", "tasks", "token"))
        for row in rows:
            if row.problem:
                error_line(f"{row.worker_id}: {row.problem}")
    return Code.OK


def remove(worker: str) -> int:
    """Forget a worker; its history stays. Raises WorkerError, StoreError."""

    async def work() -> WorkerRow:
        async with opened(load_settings()) as here:
            return await here.registry.remove(worker)

    row = asyncio.run(work())
    make_console().print(f"removed {row.worker_id} ({row.url}); its history stays")
    return Code.OK


def token(worker: str) -> int:
    """Print a worker's token and nothing else, so that a script can take it. Raises SettingsError, WorkerError."""

    async def work() -> Secret:
        settings = load_settings()
        worker_token(settings.grid_secret, "https://worker.invalid", 1)  # what is missing is said before anything else
        async with opened(settings) as here:
            here.require("how often its token was changed is known to Supabase")
            return await here.registry.token(worker)

    print(asyncio.run(work()).reveal())  # noqa: T201
    return Code.OK


def rotate(worker: str) -> int:
    """Change a token: say what to set on the worker, or use the new one if it takes it. Raises NadgError."""

    async def work() -> Rotation:
        async with opened(load_settings()) as here:
            here.require("a token is changed in Supabase, which cannot be reached")
            rotation = await here.registry.rotate(worker)
            here.require("the change was not written to Supabase")
            return rotation

    rotation = asyncio.run(work())
    name = rotation.row.worker_id
    if rotation.done:
        error_line(f"{name} takes its new token, which is used from now on; remove NADG_AUTH_TOKEN_PREVIOUS from it")
        return Code.OK
    error_line(f"{name} does not take its new token yet: {rotation.reason}")
    error_line(f"set these on it, restart it, then run `nadg workers rotate {name}` again:")
    print(f"NADG_AUTH_TOKEN={rotation.token.reveal()}")  # noqa: T201
    print(f"NADG_AUTH_TOKEN_PREVIOUS={rotation.previous.reveal()}")  # noqa: T201
    return Code.NOT_ALL_SUCCEEDED


def _record(row: WorkerRow) -> dict[str, object]:
    asked = row.last_ping
    return {
        "worker": row.worker_id,
        "url": row.url,
        "status": row.status,
        "asked": None if asked is None else asked.isoformat(timespec="seconds"),
        "answered": row.details.get("answered_at"),
        "capacity": row.capacity,
        "tasks": row.total_tasks,
        "token": row.generation,
        "labels": list(row.labels),
        "reason": row.problem or row.details.get("reason") or "",
    }
