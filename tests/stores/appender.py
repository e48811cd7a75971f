"""Appends to a run without end, several writers at once, and says what came back: killed by the tests."""

from __future__ import annotations

import asyncio
import sys

from nadg_kernel.stores.sqlite import SqliteStore
from tests.stores.made import ME, Journal, plan


async def main(path, run_id, count):
    store = SqliteStore(path)
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
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
