"""Registers a worker in a replicated store whose Supabase is away, says so and waits to be killed by the tests."""

from __future__ import annotations

import asyncio
import sys

from nadg_kernel.stores.base import WorkerRow
from nadg_kernel.stores.replica import ReplicatedStore
from nadg_kernel.stores.sqlite import SqliteStore
from nadg_kernel.stores.supabase import SupabaseStore


async def main(path, url, key):
    store = ReplicatedStore(SqliteStore(path), SupabaseStore(url, key))
    await store.open()
    await store.upsert_workers([WorkerRow(worker_id="w1", url="https://w1.example")])
    sys.stdout.write("registered\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
