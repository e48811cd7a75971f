"""A small made-up history, written to a real store and read back, for what works on frames."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace

from nadg_kernel import analytics
from nadg_kernel.model import Plan
from nadg_kernel.stores.base import WorkerRow
from nadg_kernel.stores.sqlite import SqliteStore
from tests.stores.made import ME, START, Journal, plan

FRAMES = ("history", "attempts", "runs", "edits", "workers", "health", "shards", "summary")


def story():
    """Load needs nothing, clean and side need load, report needs both; then two edits and a drop."""
    made = plan(subtasks=("load",))
    for name, needs in (("clean", ["load"]), ("side", ["load"]), ("report", ["clean", "side"])):
        made = made.add(id=name, title=f"The {name}", code="result = 1", depends_on=needs, by="tester")
    return made.edit("report", code="result = 2", timeout_s=5, by="ann").drop("side", by="ann").approve(by="ann")


async def write_story(store):
    """Three runs: one with failures, one with a cached subtask that still runs, one that has not begun."""
    await store.upsert_workers(
        [
            WorkerRow(
                worker_id="w1", url="https://w1.example", capacity=2, status="busy", last_ping=START,
                details={"latency_ms": 10.0, "boot_id": "boot-0"}
                | {"sandbox": {"seccomp": "active", "landlock": "no: old"}},
            ),
            WorkerRow(worker_id="w2", url="https://w2.example", last_ping=START, status="asleep"),
        ]
    )  # fmt: skip
    made = story()
    for run_id in ("r1", "r2"):
        await store.create_run(run_id, made, ME)
    await store.create_run("r3", Plan(command="as drafted").add(id="a", code="1", by="x"), ME)
    journal = Journal("r1")

    def attempt(subtask, attempt_id, **more):
        """Seconds: intended +1, started +2, ended +3."""
        return journal.attempt(subtask, attempt_id=attempt_id, **more)

    def state(subtask, word, **more):
        return journal.event("subtask_state", subtask, state=word, **more)

    failed = {"outcome": "failed", "error": {"type": "ValueError", "message": "<a href='x'>no</a> rows"}}
    await store.append("r1", 1, [
        journal.event("run_started", planner="recipes"),
        state("load", "running"),
        *attempt("load", "a1", outcome="lost", reason="connection reset: by peer", seconds=1.0),
        *attempt("load", "a2", number=2, worker="w2", seconds=2.0, usage={"prompt_tokens": 10, "output_tokens": 4}),
        state("load", "succeeded"),
        state("clean", "running"),
        *attempt("clean", "a3", seconds=3.0, **failed),
        state("clean", "failed"),
        state("report", "skipped", reason="clean failed"),
        journal.event("worker_state", worker="w1", state="offline", latency_ms=30.0, boot_id="boot-1", reason="gone"),
        journal.event("run_ended", state="failed"),
    ])  # fmt: skip
    journal = Journal("r2", start=START + timedelta(days=1))
    await store.append("r2", 1, [
        journal.event("run_started", planner="recipes"),
        state("load", "running"),
        journal.event("shard_cached", "load", 0, key="k"),
        state("load", "cached"),
        state("clean", "running"),
        *attempt("clean", "b1", seconds=5.0),
        state("clean", "succeeded"),
        state("report", "running"),
        journal.event("attempt_intended", "report", 0, "b2", worker="w1", number=1),
        journal.event("attempt_started", "report", 0, "b2", worker="w1", boot_id="boot-2"),
    ])  # fmt: skip


def made_frames(folder):
    """The frames by name, as pandas, and the plan of both runs."""

    async def go():
        store = SqliteStore(folder / "nadg.db", clock=lambda: START)
        await store.open()
        out = {}
        for moment in ("empty", "full"):
            if moment == "full":
                await write_story(store)
            frames = {name: analytics.typed([batch async for batch in store.query(name)]) for name in FRAMES}
            found = [event async for event in store.read("r1")] if moment == "full" else []
            out[moment] = SimpleNamespace(**frames, plan=story(), journal=found)
        await store.close()
        return out["empty"], out["full"]

    return asyncio.run(go())
