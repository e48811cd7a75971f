"""Journal on SQLite: durable events a second with group commit, beside what the disk can sync at all."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.report import Row, at_least, run
from nadg_kernel.model import Event, EventType, Plan
from nadg_kernel.stores.owners import this_owner
from nadg_kernel.stores.sqlite import SqliteStore

BAR = 3_000
IN_FLIGHT = 64
ATTEMPTS, QUICK_ATTEMPTS = 4_000, 400
SYNCS = 300


def raw_syncs(folder: Path) -> float:
    """Appends of 4 KiB with an fsync each, a second: what a journal without group commit is bound by."""
    with (folder / "raw").open("wb", buffering=0) as file:
        begun = time.perf_counter()
        for _ in range(SYNCS):
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
        return SYNCS / (time.perf_counter() - begun)


async def durable_events(folder: Path, in_flight: int, attempts: int) -> float:
    """Events a second when as many attempts as `in_flight` each wait for intent, start and end to be on disk."""
    store = SqliteStore(folder / f"nadg-{in_flight}.db")
    await store.open()
    plan = Plan(command="bench").add(id="work", code="result = 1", by="bench").approve(by="bench")
    await store.create_run("run", plan, this_owner())
    seq, left = 0, list(range(attempts))
    result = {"value": {"format": "json", "value": {"mean": 1.5}}, "stdout": "x" * 200, "displays": [], "artifacts": []}

    async def put(kind: EventType, number: int, payload: dict[str, object]) -> None:
        nonlocal seq
        seq += 1
        event = Event(
            run_id="run",
            epoch=1,
            seq=seq,
            at=datetime.now(UTC),
            type=kind,
            subtask="work",
            shard=number,
            attempt_id=f"attempt-{number}",
            payload=payload,
        )
        await store.append("run", 1, [event])

    async def worker() -> None:
        while left:
            number = left.pop()
            await put(EventType.ATTEMPT_INTENDED, number, {"worker": "w1", "number": 1})
            await put(EventType.ATTEMPT_STARTED, number, {"worker": "w1", "boot_id": "b"})
            ended = {"outcome": "succeeded", "worker": "w1", "seconds": 0.5, "result": result}
            await put(EventType.ATTEMPT_ENDED, number, ended)

    begun = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    seconds = time.perf_counter() - begun
    assert len([event async for event in store.read("run")]) == 3 * attempts
    await store.close()
    return 3 * attempts / seconds


def rows(quick: bool) -> list[Row]:  # noqa: FBT001 - the common interface
    """Alone and together, each over what the disk can do."""
    attempts = QUICK_ATTEMPTS if quick else ATTEMPTS
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as name:
        folder = Path(name)
        syncs = raw_syncs(folder)
        alone = asyncio.run(durable_events(folder, 1, attempts // 20))
        together = asyncio.run(durable_events(folder, IN_FLIGHT, attempts))
        syncs = (syncs + raw_syncs(folder)) / 2
    beside = "over the disk alone; each event awaited before the next of its attempt"
    return [
        Row(what="the disk alone: 4 KiB and fsync", measured=syncs, unit="/s"),
        Row(what="one attempt in flight", measured=alone, unit="events/s", ratio=alone / syncs, note=beside),
        Row(
            what=f"{IN_FLIGHT} attempts in flight, group commit", measured=together, unit="events/s",
            bar=at_least(BAR, "events/s"), ratio=together / syncs, note=beside,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(run(__doc__, rows))
