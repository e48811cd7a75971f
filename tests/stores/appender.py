"""Appends to a run without end, several writers at once, and says what came back: killed by the tests."""

from __future__ import annotations

import asyncio
import sys

from nadg_kernel.stores.replica import ReplicatedStore
from nadg_kernel.stores.sqlite import SqliteStore
from nadg_kernel.stores.supabase import SupabaseStore
from tests.stores.made import ME, Journal, plan


def store_of(kind, path, url, key):
    """The store of a name as its owner would open it."""
    if kind == "sqlite":
        return SqliteStore(path)
    remote = SupabaseStore(url, key)
    return remote if kind == "supabase" else ReplicatedStore(SqliteStore(path), remote)


async def main(path, run_id, count, kind="sqlite", url="", key=""):
    store = store_of(kind, path, url, key)
    await store.open()
    await store.create_run(run_id, plan(), ME)
    journal = Journal(run_id)

    async def writer():
        while journal.seq < count:
            written = [journal.event("attempt_progress", "count", 0, "a", text="x" * 2000) for _ in range(3)]
            await store.append(run_id, 1, written)
            for event in written:
                sys.stdout.write(f"{event.seq}\n")
            sys.stdout.flush()

    await asyncio.gather(*(writer() for _ in range(8)))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:]))
