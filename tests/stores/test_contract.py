"""What every store keeps: the contract in stores/base.py, in the order in which it says it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest

from nadg_kernel.errors import RunNotFound, StaleEpoch, StoreError
from nadg_kernel.model import RunState
from nadg_kernel.stores.base import FRAMES, WorkerRow
from nadg_kernel.stores.supabase import SupabaseStore
from tests.stores.made import ME, OTHER, START, Journal, events, plan, rows

NASTY = "ü 日本語 🙂 \x00 \ud800 \u2028 '; drop table runs; -- %_\\ \x1b[31m"


async def test_opening_twice_is_fine(store):
    await store.open()
    assert await store.workers() == []


async def test_a_run_and_its_plan(store, clock):
    made = plan()
    assert await store.create_run("r1", made, ME) == 1
    run = await store.get_run("r1")
    assert (run.command, run.state, run.epoch, run.rehearsal) == (made.command, RunState.RUNNING, 1, False)
    assert (run.plan_digest, run.owner, run.heartbeat_at) == (made.digest, ME.to_json(), clock())
    assert (run.created_at, run.ended_at) == (clock(), None)
    assert await store.get_plan("r1") == made


async def test_a_rehearsal_says_so(store):
    await store.create_run("r1", plan(), ME, rehearsal=True)
    assert (await store.get_run("r1")).rehearsal
    assert (await rows(store, "runs"))[0]["rehearsal"] is True


async def test_a_run_id_is_used_once(store):
    await store.create_run("r1", plan(), ME)
    with pytest.raises(StoreError, match="exists already"):
        await store.create_run("r1", plan(), OTHER)


async def test_missing_runs(store):
    assert await store.get_run("nope") is None
    assert await store.get_plan("nope") is None
    for ask in (
        lambda: store.append("nope", 1, [Journal("nope").event("run_started")]),
        lambda: store.claim("nope", ME),
        lambda: store.beat("nope", 1),
        lambda: store.put_plan("nope", 1, plan()),
        lambda: events(store, "nope"),
    ):
        with pytest.raises(RunNotFound, match="nope"):
            await ask()


async def test_events_come_back_as_they_were_in_order(store):
    await store.create_run("r1", plan(), ME)
    journal = Journal("r1")
    written = [
        journal.event(
            "run_started", plan="d", command="c", planner="recipes", owner={}, rehearsal=False, resumed=False
        ),
        *journal.attempt(),
        journal.event("worker_state", worker="w1", state="ready", capacity=2, labels=["gpu"], latency_ms=1.25),
    ]
    assert await store.append("r1", 1, written[:2]) == 2
    assert await store.append("r1", 1, written[2:]) == 5
    assert await events(store, "r1") == written
    assert await events(store, "r1", after=3) == written[3:]
    assert await events(store, "r1", after=99) == []


async def test_times_keep_their_microseconds_in_any_zone(store):
    await store.create_run("r1", plan(), ME)
    at = datetime(2026, 3, 29, 3, 30, 0, 123457, tzinfo=timezone(timedelta(hours=2)))
    event = replace(Journal("r1").event("run_started"), at=at)
    await store.append("r1", 1, [event])
    (found,) = await events(store, "r1")
    assert found.at == at
    assert found.at.utcoffset() == timedelta(0)
    with pytest.raises(StoreError, match="zone"):
        await store.append("r1", 1, [replace(event, seq=2, at=at.replace(tzinfo=None))])


async def test_an_append_is_whole_or_not_at_all(store):
    await store.create_run("r1", plan(), ME)
    journal = Journal("r1")
    good, bad = journal.event("run_started"), journal.event("run_ended", state="succeeded", reason=object())
    with pytest.raises(StoreError, match="not JSON"):
        await store.append("r1", 1, [good, bad])
    wrong = replace(bad, payload={"state": "no such state"})
    with pytest.raises(StoreError, match="run_ended"):
        await store.append("r1", 1, [good, wrong])
    with pytest.raises(StoreError, match="none of r1"):
        await store.append("r1", 1, [good, replace(bad, run_id="r2", payload={"state": "failed"})])
    assert await events(store, "r1") == []
    assert (await store.get_run("r1")).state is RunState.RUNNING


async def test_duplicates_are_written_once(store):
    await store.create_run("r1", plan(), ME)
    attempt = Journal("r1").attempt(error={"type": "ValueError", "message": "no"}, outcome="failed")
    for _ in range(3):
        assert await store.append("r1", 1, attempt) == 3
    await store.append("r1", 1, attempt[1:])
    assert await events(store, "r1") == attempt
    (history,) = await rows(store, "history")
    assert history["attempts"] == 1
    assert len(await rows(store, "attempts")) == 1


async def test_two_events_with_one_seq_are_an_error(store):
    await store.create_run("r1", plan(), ME)
    first = Journal("r1").event("cancel_requested", by="me")
    await store.append("r1", 1, [first])
    with pytest.raises(StoreError, match="same seq"):
        await store.append("r1", 1, [replace(first, payload={"by": "you"})])
    assert await events(store, "r1") == [first]


async def test_out_of_order_events_add_up_to_the_same(store):
    """In any order, the rows are those of the right one."""
    approved = plan()
    for run_id in ("sorted", *(f"shuffled-{n}" for n in range(3))):
        await store.create_run(run_id, approved, ME)
        journal = Journal(run_id)
        story = [
            journal.event("run_started", planner="recipes"),
            journal.event("shards_fixed", "count", count=2),
            journal.event("subtask_state", "count", state="ready"),
            journal.event("subtask_state", "count", state="running"),
            *journal.attempt(attempt_id="a1", outcome="lost", reason="gone"),
            *journal.attempt(
                attempt_id="a2", number=2, worker="w2", error={"type": "E", "message": "m"}, outcome="failed"
            ),
            *journal.attempt(attempt_id="b1", shard=1),
            journal.event("subtask_state", "count", state="failed", reason="1 of 2 shards"),
            journal.event("run_ended", state="failed"),
        ]
        if run_id != "sorted":
            random.Random(run_id).shuffle(story)
        for event in story:
            await store.append(run_id, 1, [event])
        assert [event.seq for event in await events(store, run_id)] == list(range(1, 16))

    def alike(found):
        return [{k: v for k, v in row.items() if k != "run_id"} for row in found]

    for frame in ("runs", "shards", "attempts"):
        expected = alike(await rows(store, frame, run="sorted"))
        for n in range(3):
            assert alike(await rows(store, frame, run=f"shuffled-{n}")) == expected, frame
    for n in range(3):
        (history,) = await rows(store, "history", run=f"shuffled-{n}")
        found = [history[name] for name in ("state", "attempts", "shards", "worker", "outcome")]
        assert found == ["failed", 3, 2, "w1", "succeeded"]


async def test_eight_writers_at_once(store):
    """Each appends to its own run and all to a common one; nothing is lost, mixed or doubled."""
    steps = 5 if isinstance(store, SupabaseStore) else 25
    await store.create_run("common", plan(), ME)
    common = Journal("common")
    shared = [common.event("attempt_progress", "count", 0, "a", text=str(n)) for n in range(8 * steps)]

    async def writer(number):
        run_id = f"own-{number}"
        await store.create_run(run_id, plan(), ME)
        journal = Journal(run_id)
        for step in range(steps):
            one = journal.event("attempt_progress", "count", 0, "a", text=f"{number}/{step}")
            await asyncio.gather(store.append(run_id, 1, [one]), store.append("common", 1, [shared[step * 8 + number]]))

    await asyncio.gather(*(writer(number) for number in range(8)))
    assert await events(store, "common") == shared
    for number in range(8):
        found = await events(store, f"own-{number}")
        assert [event.payload["text"] for event in found] == [f"{number}/{step}" for step in range(steps)]


async def test_a_refused_write_does_not_touch_its_neighbours(store):
    """Good and bad writes that are asked for at once."""
    await store.create_run("good", plan(), ME)
    await store.create_run("taken", plan(), ME)
    await store.claim("taken", ME)
    journal, old = Journal("good"), Journal("taken")
    writes = []
    for _ in range(20):
        writes += [store.append("good", 1, [journal.event("run_started")])]
        writes += [store.append("taken", 1, [old.event("run_started")])]
        writes += [store.append("missing", 1, [])]
    done = await asyncio.gather(*writes, return_exceptions=True)
    assert all(isinstance(last, int) for last in done[0::3])
    assert {type(error) for error in done[1::3]} == {StaleEpoch}
    assert {type(error) for error in done[2::3]} == {RunNotFound}
    assert [event.seq for event in await events(store, "good")] == list(range(1, 21))
    assert await events(store, "taken") == []


async def test_any_text_survives(store):
    made = plan(command=NASTY).edit("count", title=NASTY, instruction=NASTY, by=NASTY).approve(by=NASTY)
    await store.create_run("r1", made, replace(ME, name=NASTY))
    assert await store.get_plan("r1") == made
    journal = Journal("r1")
    written = [
        *journal.attempt(outcome="failed", worker=NASTY, error={"type": NASTY, "message": NASTY, "traceback": NASTY}),
        journal.event("attempt_progress", "count", 0, "a1", stdout=NASTY, fraction=float("inf"), text=NASTY),
        journal.event("worker_state", worker="w1", state=NASTY, reason=NASTY, latency_ms=float("nan")),
    ]
    await store.append("r1", 1, written)
    assert repr(await events(store, "r1")) == repr(written)  # repr, as nan is not equal to itself
    for frame in FRAMES:
        assert isinstance(await rows(store, frame), list)
    (attempt,) = await rows(store, "attempts")
    assert "日本語 🙂" in attempt["error"]


async def test_ten_megabyte_results(store):
    await store.create_run("r1", plan(), ME)
    big = "".join(random.Random(1).choices("abcdefü日", k=10_000_000))
    result = {"value": {"format": "text", "value": big}, "stdout": "x" * 1000}
    attempt = Journal("r1").attempt(result=result, key="k1")
    await store.append("r1", 1, attempt)
    found = (await events(store, "r1"))[-1].payload["result"]
    if isinstance(store, SupabaseStore):
        assert found["size"] > 10_000_000
        assert found["preview"].startswith('{"value":{"format":"text"')
        assert await store.cached(["k1"]) == {}
    else:
        assert found == result
        assert (await store.cached(["k1"]))["k1"]["result"] == result


async def test_old_epochs_write_nothing(store, clock):
    await store.create_run("r1", plan(), ME)
    old = Journal("r1")
    await store.append("r1", 1, [old.event("run_started")])
    clock.forward(21)
    assert await store.claim("r1", OTHER) == 2
    for ask in (
        lambda: store.append("r1", 1, [old.event("run_ended", state="failed")]),
        lambda: store.append("r1", 1, []),
        lambda: store.append("r1", 3, []),
        lambda: store.beat("r1", 1),
        lambda: store.put_plan("r1", 1, plan(command="another")),
    ):
        with pytest.raises(StaleEpoch, match="epoch 2"):
            await ask()
    new = Journal("r1", epoch=2, seq=1)
    assert await store.append("r1", 2, [new.event("run_started", resumed=True)]) == 2
    assert [(event.epoch, event.seq) for event in await events(store, "r1")] == [(1, 1), (2, 2)]
    assert (await store.get_plan("r1")).command == "Count the reviews"


async def test_a_fresh_heartbeat_refuses_a_takeover_and_names_the_owner(store, clock):
    await store.create_run("r1", plan(), ME)
    clock.forward(19)
    with pytest.raises(StoreError, match=r"driven by me \(process 100 on here\).*try again in 1 s"):
        await store.claim("r1", OTHER)
    await store.beat("r1", 1)
    clock.forward(19)
    with pytest.raises(StoreError, match="driven by me"):
        await store.claim("r1", OTHER)
    clock.forward(1)
    assert await store.claim("r1", OTHER) == 2
    assert (await store.get_run("r1")).owner == OTHER.to_json()


async def test_a_dead_owner_is_stale_at_once(store, dead):
    await store.create_run("r1", plan(), ME)
    dead.add(ME.pid)
    assert await store.claim("r1", OTHER) == 2


async def test_the_same_owner_may_claim_again(store):
    await store.create_run("r1", plan(), ME)
    assert await store.claim("r1", ME) == 2
    with pytest.raises(StaleEpoch):
        await store.beat("r1", 1)


async def test_of_two_that_claim_at_once_one_wins(store, clock):
    await store.create_run("r1", plan(), ME)
    clock.forward(30)
    third = replace(OTHER, name="third", pid=300)
    done = await asyncio.gather(store.claim("r1", OTHER), store.claim("r1", third), return_exceptions=True)
    assert {type(item) for item in done} == {StoreError, int}
    assert 2 in done


async def test_unfinished_runs_newest_first(store, clock):
    for number, state in enumerate(["succeeded", "paused", "failed", "interrupted", "cancelled", None]):
        clock.forward(1)
        await store.create_run(f"r{number}", plan(), ME)
        if state:
            await store.append(f"r{number}", 1, [Journal(f"r{number}").event("run_ended", state=state)])
    assert [run.run_id for run in await store.unfinished()] == ["r5", "r3", "r1"]
    run = await store.get_run("r0")
    assert (run.state, run.ended_at) == (RunState.SUCCEEDED, START + timedelta(seconds=1))
    journal = Journal("r0", seq=1)
    await store.append("r0", 1, [journal.event("plan_revised", digest="d", by="me", changed=[], reset=["count"])])
    run = await store.get_run("r0")
    assert (run.state, run.ended_at) == (RunState.RUNNING, None)


async def test_plan_revisions_keep_draft_and_edits(store, clock):
    first = plan(subtasks=("count", "report"))
    await store.create_run("r1", first, ME)
    second = first.edit("count", code="result = 2", timeout_s=5, by="ann").drop("report", by="ann").approve(by="ann")
    await store.put_plan("r1", 1, second)
    await store.put_plan("r1", 1, second)
    assert await store.get_plan("r1") == second
    assert (await store.get_run("r1")).plan_digest == second.digest
    found = await rows(store, "edits", run="r1")
    assert [(row["kind"], row["subtask"], row["field"]) for row in reversed(found)] == [
        ("add", "count", "subtask"),
        ("add", "report", "subtask"),
        ("edit", "count", "code"),
        ("edit", "count", "limits"),
        ("drop", "report", "subtask"),
    ]
    code = next(row for row in found if row["field"] == "code")
    assert (code["by"], code["before"], code["after"]) == ("ann", '"result = 1"', '"result = 2"')
    assert code["at"] == second.edits[2].at
    assert [row["subtask"] for row in await rows(store, "history")] == ["count"]


async def test_workers(store):
    ping = datetime(2026, 11, 24, 11, 59, tzinfo=UTC)
    one = WorkerRow(worker_id="w1", url="https://w1.example", labels=("gpu", "model:x"), capacity=4, last_ping=ping)
    two = WorkerRow(worker_id="w2", url="https://w2.example", details={"version": "1", "text": "ü"})
    await store.upsert_workers([two, one])
    assert await store.workers() == [one, two]
    changed = replace(one, status="asleep", generation=3, details={"latency_ms": 12.5})
    await store.upsert_workers([changed])
    await store.upsert_workers([replace(changed, generation=2)])
    assert await store.workers() == [changed, two]
    assert await store.remove_worker("w1") is True
    assert await store.remove_worker("w1") is False
    assert [row["worker"] for row in await rows(store, "workers")] == ["w2"]


async def test_details_of_a_worker_may_be_anything(store):
    """They come from workers, and from rows that were written by hand."""
    ping = datetime(2026, 11, 24, 11, 59, tzinfo=UTC)
    odd = {"latency_ms": "fast", "reason": ["a", 1], "boot_id": {"b": True}, "sandbox": 7, "nested": {"x": [None]}}
    row = WorkerRow(worker_id="w1", url="https://w1.example", last_ping=ping, details=odd)
    await store.upsert_workers([row])
    assert await store.workers() == [row]
    (health,) = await rows(store, "health", worker="w1")
    assert (health["latency_ms"], health["state"], health["at"]) == (None, "active", ping)


async def test_the_store_counts_a_workers_tasks_and_keeps_its_history(store):
    await store.upsert_workers([WorkerRow(worker_id="w1", url="https://w1.example", total_tasks=7)])
    await store.create_run("r1", plan(), ME)
    await store.append("r1", 1, Journal("r1").attempt())
    assert (await store.workers())[0].total_tasks == 8
    await store.upsert_workers([WorkerRow(worker_id="w1", url="https://w1.example")])
    assert (await store.workers())[0].total_tasks == 8
    await store.remove_worker("w1")
    assert [row["worker"] for row in await rows(store, "attempts")] == ["w1"]


async def test_the_newest_success_is_cached(store, clock):
    for run_id in ("r1", "r2"):
        await store.create_run(run_id, plan(), ME)
    first, second = Journal("r1"), Journal("r2", start=START + timedelta(minutes=1))
    await store.append("r1", 1, first.attempt(key="k", result={"value": 1}))
    await store.append("r2", 1, second.attempt(key="k", result={"value": 2}, attempt_id="a2"))
    await store.append("r2", 1, second.attempt(key="failed", attempt_id="a3", outcome="failed", number=2))
    assert await store.cached(["k", "failed", "unknown"]) == {
        "k": {"run_id": "r2", "attempt_id": "a2", "result": {"value": 2}}
    }
    hit = second.event("shard_cached", "count", 0, key="k", run_id="r1", attempt_id="a1", result={"value": 2})
    await store.append("r2", 1, [hit])
    assert (await store.cached(["k"]))["k"] == {"run_id": "r1", "attempt_id": "a1", "result": {"value": 2}}
    (shard,) = await rows(store, "shards", run="r2")
    assert shard["state"] == "cached"


async def test_history_of_a_run(store):
    await store.create_run("r1", plan(subtasks=("count", "report")), ME)
    journal = Journal("r1")
    story = [
        journal.event("run_started", planner="gemini"),
        journal.event("shards_fixed", "count", count=1),
        journal.event("subtask_state", "count", state="running"),
        *journal.attempt(outcome="lost", reason="the worker went away", attempt_id="a1"),
        *journal.attempt(
            outcome="failed", attempt_id="a2", number=2, worker="w2",
            error={"type": "ValueError", "message": "no rows", "line": 3},
            usage={"memory_mb": 12.5, "cpu_s": 0.25, "prompt_tokens": 7, "output_tokens": 8},
        ),
        journal.event("subtask_state", "count", state="failed"),
        journal.event("subtask_state", "report", state="skipped", reason="count failed"),
        journal.event("run_ended", state="failed"),
    ]  # fmt: skip
    await store.append("r1", 1, story)
    count, report = await rows(store, "history")
    expected = {
        "run_id": "r1", "subtask": "count", "title": "The count", "state": "failed", "worker": "w2", "attempts": 2,
        "shards": 1, "error": "ValueError: no rows", "command": "Count the reviews", "outcome": "failed",
        "started_at": story[2].at, "ended_at": story[9].at, "seconds": 7.0,
    }  # fmt: skip
    assert {name: count[name] for name in expected} == expected
    assert (report["state"], report["reason"], report["attempts"]) == ("skipped", "count failed", 0)
    second, first = await rows(store, "attempts")
    assert (first["outcome"], first["error"], first["number"]) == ("lost", "the worker went away", 1)
    expected = {
        "attempt_id": "a2", "shard": 0, "worker": "w2", "outcome": "failed", "seconds": 0.5, "memory_mb": 12.5,
        "cpu_s": 0.25, "prompt_tokens": 7, "output_tokens": 8, "intended_at": story[6].at, "started_at": story[7].at,
        "ended_at": story[8].at,
    }  # fmt: skip
    assert {name: second[name] for name in expected} == expected
    (run,) = await rows(store, "runs")
    assert (run["state"], run["planner"], run["subtasks"], run["failed"]) == ("failed", "gemini", 2, 1)


async def test_a_rerun_starts_afresh_in_the_history(store):
    await store.create_run("r1", plan(), ME)
    journal = Journal("r1")
    states = ["running", "failed", "waiting", "running", "succeeded"]
    story = [journal.event("subtask_state", "count", state=state, reason="why") for state in states]
    await store.append("r1", 1, story)
    (row,) = await rows(store, "history")
    assert (row["state"], row["error"], row["started_at"], row["seconds"]) == ("succeeded", None, story[3].at, 1.0)


@pytest.mark.parametrize("frame", FRAMES)
async def test_an_empty_frame_has_its_types(store, frame):
    batches = [batch async for batch in store.query(frame)]
    assert len(batches) == 1
    assert batches[0].num_rows == 0
    assert "run_id" in batches[0].schema.names or frame == "workers"
    assert pa.null() not in batches[0].schema.types


async def test_filters(store, clock):
    """Two runs, an hour apart, on two workers."""
    for number in (1, 2):
        run_id = f"r{number}"
        await store.create_run(run_id, plan(command=f"Zähle {number}% davon", subtasks=("a", "b")), ME)
        journal = Journal(run_id, start=clock())
        bad = {"outcome": "failed", "error": {"type": "E", "message": f"Öl_{number}"}}
        await store.append(run_id, 1, [journal.event("subtask_state", "a", state="running")])
        await store.append(run_id, 1, journal.attempt("a", worker=f"w{number}"))
        await store.append(run_id, 1, [journal.event("subtask_state", "a", state="succeeded")])
        await store.append(run_id, 1, journal.attempt("b", attempt_id="b1", worker=f"w{number}", **bad))
        clock.forward(3600)

    async def found(frame, **filters):
        return sorted((row["run_id"], row.get("subtask")) for row in await rows(store, frame, **filters))

    assert await found("history", run="r1") == [("r1", "a"), ("r1", "b")]
    assert await found("history", state="succeeded") == [("r1", "a"), ("r2", "a")]
    assert await found("history", state=["succeeded", "waiting"], worker="w2") == [("r2", "a"), ("r2", "b")]
    assert await found("history", outcome="failed", subtask="b", run=["r2", "r9"]) == [("r2", "b")]
    assert await found("attempts", since=START + timedelta(minutes=30)) == [("r2", "a"), ("r2", "b")]
    assert await found("attempts", until=START + timedelta(minutes=30), outcome="succeeded") == [("r1", "a")]
    assert await found("runs", since=START + timedelta(minutes=30)) == [("r2", None)]
    assert await found("history", text="öl_1") == [("r1", "b")]
    assert await found("history", text="ZÄHLE 2%") == [("r2", "a"), ("r2", "b")]
    assert await found("history", text="THE A") == [("r1", "a"), ("r2", "a")]
    assert await found("history", text="_") == [("r1", "b"), ("r2", "b")]
    assert await found("runs", text="1%") == [("r1", None)]
    assert await found("attempts", text="' or 1=1 --") == []
    assert await found("attempts", limit=0) == []
    assert len(await found("attempts", limit=3)) == 3
    assert [row["run_id"] for row in await rows(store, "history", limit=1)] == ["r2"]


@pytest.mark.parametrize(
    ("frame", "filters", "message"),
    [
        ("histori", {}, "no frame 'histori'"),
        ("runs", {"worker": "w1"}, "no filter 'worker'"),
        ("history", {"colour": "red"}, "no filter 'colour'"),
        ("history", {"limit": -1}, "limit"),
        ("history", {"since": "yesterday"}, "since"),
        ("history", {"since": datetime(2026, 1, 1)}, "zone"),  # noqa: DTZ001 - the point
    ],
)
async def test_what_cannot_be_asked(store, frame, filters, message):
    with pytest.raises(StoreError, match=message):
        await rows(store, frame, **filters)


async def test_pruning(store, clock):
    """An old run that ended, an old one that has not, and a new one."""
    for number, ends in enumerate([True, False, True]):
        run_id = f"r{number}"
        await store.create_run(run_id, plan(), ME)
        journal = Journal(run_id, start=clock())
        result = {"value": {"format": "json", "value": 1}, "stdout": "printed"}
        await store.append(run_id, 1, journal.attempt(key=f"k{number}", result=result))
        if ends:
            await store.append(run_id, 1, [journal.event("run_ended", state="succeeded")])
        clock.forward(86_400)
    counts = await store.prune(START + timedelta(hours=36), results_only=True)
    assert counts["results"] == 1
    assert (await events(store, "r0"))[2].payload["outcome"] == "succeeded"
    assert "result" not in (await events(store, "r0"))[2].payload
    assert "result" in (await events(store, "r1"))[2].payload
    assert set(await store.cached(["k0", "k1", "k2"])) == {"k1", "k2"}
    assert len(await rows(store, "attempts")) == 3
    counts = await store.prune(START + timedelta(hours=36))
    assert (counts["runs"], counts["events"], counts["attempts"]) == (1, 4, 1)
    assert await store.get_run("r0") is None
    for frame in ("runs", "history", "attempts", "shards", "edits"):
        assert {row["run_id"] for row in await rows(store, frame)} == {"r1", "r2"}
    assert (await store.prune(START + timedelta(hours=36)))["runs"] == 0


async def test_a_closed_store_says_so(store):
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="not open"):
        await store.workers()
    with pytest.raises(StoreError, match="not open"):
        await store.append("r1", 1, [])
