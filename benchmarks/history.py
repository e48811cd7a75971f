"""History on SQLite: the frames that people look at, over a million attempts."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.report import Row, at_most, run
from nadg_kernel.stores.facts import DAY, micros
from nadg_kernel.stores.owners import this_owner
from nadg_kernel.stores.sqlite import SqliteStore

BAR_S = 1.0
ATTEMPTS = 1_000_000
RUNS, QUICK_RUNS = 5_000, 100
SUBTASKS = 20
REPEATS = 5
START = datetime(2026, 8, 1, tzinfo=UTC)


def fill(path: Path, runs: int) -> None:
    """A made-up quarter: 5,000 runs of 20 subtasks with 10 attempts each, on 40 workers."""
    made = random.Random(7)  # noqa: S311 - made-up data
    owner = json.dumps(this_owner("bench").to_json())
    spacing = int(timedelta(days=90).total_seconds() * 1e6) // runs
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma synchronous = off")
        connection.execute("begin")
        for run in range(runs):
            at = micros(START) + run * spacing
            connection.execute(
                """insert into runs (run_id, command, state, plan_digest, epoch, owner, created_at, ended_at)
                values (?, ?, 'succeeded', 'd', 1, ?, ?, ?)""",
                (f"run-{run}", f"Analyse batch {run}", owner, at, at + 60_000_000),
            )
            subtasks, attempts = [], []
            for subtask in range(SUBTASKS):
                name = f"subtask_{subtask}"
                subtasks.append(
                    (f"run-{run}", name, f"Subtask {subtask}", subtask, at, "succeeded", "w1", at, at + 5_000)
                )
                for number in range(ATTEMPTS // RUNS // SUBTASKS):
                    seconds = made.expovariate(0.5)
                    outcome = made.choices(["succeeded", "failed", "lost", "timed_out"], [90, 5, 4, 1])[0]
                    end = at + int(seconds * 1e6)
                    attempts.append((f"run-{run}", name, number, f"{run}-{subtask}-{number}", 1,
                        f"worker-{made.randrange(40)}", outcome, at, at, end, end // DAY, seconds))  # fmt: skip
            connection.executemany(
                """insert into subtasks (run_id, subtask, title, position, created_at, state, worker, started_at,
                ended_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                subtasks,
            )
            connection.executemany(
                """insert into attempts (run_id, subtask, shard, attempt_id, number, worker, outcome, intended_at,
                started_at, ended_at, ended_day, seconds) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                attempts,
            )
        connection.execute("commit")


async def measure(path: Path, frame: str, **filters: Any) -> tuple[float, int]:
    """Median seconds and the number of rows."""
    store = SqliteStore(path)
    await store.open()
    times, rows = [], 0
    for _ in range(REPEATS):
        begun = time.perf_counter()
        rows = sum([batch.num_rows async for batch in store.query(frame, filters)])
        times.append(time.perf_counter() - begun)
    await store.close()
    return statistics.median(times), rows


async def prepared(path: Path) -> None:
    """A new, empty history."""
    store = SqliteStore(path)
    await store.open()
    await store.close()


def rows(quick: bool) -> list[Row]:  # noqa: FBT001 - the common interface
    """Each frame that people look at; the bar is for the summary."""
    runs = QUICK_RUNS if quick else RUNS
    asks: list[tuple[str, str, dict[str, Any]]] = [
        ("summary: per day, worker and outcome", "summary", {}),
        ("summary of the last week", "summary", {"since": START + timedelta(days=83)}),
        ("the newest 1,000 attempts", "attempts", {"limit": 1000}),
        ("the newest 1,000 attempts of a worker", "attempts", {"worker": "worker-3", "limit": 1000}),
        ("a day of attempts", "attempts", {"since": START + timedelta(days=89)}),
        ("the newest 1,000 subtasks", "history", {"limit": 1000}),
        ("subtasks by a text in title, command, error", "history", {"text": f"batch {runs - 1}"}),
        ("all runs", "runs", {}),
    ]
    found = []
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as name:
        path = Path(name) / "nadg.db"
        asyncio.run(prepared(path))
        fill(path, runs)
        size = f"; {runs * ATTEMPTS // RUNS:,} attempts in {runs:,} runs, {path.stat().st_size / 1e6:,.0f} MB"
        for title, frame, filters in asks:
            seconds, count = asyncio.run(measure(path, frame, **filters))
            note, bar = f"{count:,} rows{'' if found else size}", None if found else at_most(BAR_S * 1000, "ms")
            found.append(Row(what=title, measured=seconds * 1000, unit="ms", bar=bar, note=note))
    return found


if __name__ == "__main__":
    raise SystemExit(run(__doc__, rows))
