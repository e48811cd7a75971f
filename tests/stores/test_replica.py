"""SQLite with Supabase as its replica: what happens when that goes away, comes back, or belongs to somebody else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from nadg_kernel.errors import StaleEpoch, StoreError
from nadg_kernel.stores.base import WorkerRow
from nadg_kernel.stores.replica import ReplicatedStore
from nadg_kernel.stores.sqlite import SqliteStore
from nadg_kernel.stores.supabase import SupabaseStore
from nadg_kernel.stores.supabase_errors import SupabaseUnreachable
from tests.stores.conftest import opened
from tests.stores.made import ME, OTHER, Journal, events, plan, rows

pytestmark = pytest.mark.xdist_group("supabase")

ROOT = Path(__file__).parents[2]
AT_ONCE = (0.05, 0.2)
FRAMES = {"runs": "run_id", "history": "subtask", "attempts": "attempt_id", "shards": "subtask", "edits": "field"}


class Changes(list):
    """How the state of replicas changed."""

    def __init__(self):
        self.happened = asyncio.Event()

    def note(self, state):
        self.append(state)
        self.happened.set()

    async def until(self, condition):
        async with asyncio.timeout(30):
            while not condition():
                self.happened.clear()
                await self.happened.wait()


@pytest.fixture
def changes():
    return Changes()


@pytest.fixture
def machine(project, tmp_path, changes, clock):
    """Opens a store of a machine by name: its own SQLite file, the common Supabase."""
    project.empty()

    @asynccontextmanager
    async def open_machine(name="here", dead=()):
        options = {"clock": clock, "is_dead": lambda owner: owner["pid"] in dead}
        local = SqliteStore(tmp_path / f"{name}.db", **options)
        remote = SupabaseStore(project.url, project.secret, **options)
        store = ReplicatedStore(local, remote, notify=changes.note, waits=AT_ONCE)
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    yield open_machine
    if project.server is None:
        project.start()


def registrar(path, project):
    command = [sys.executable, "-m", "tests.stores.registrar", str(path), project.url, project.secret]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


async def agree(store):
    """Both stores have the same events and rows."""
    assert await store.flush(30)
    for run in await store.local.unfinished() + [row async for row in _ended(store)]:
        assert await events(store.remote, run.run_id) == await events(store.local, run.run_id)
        assert await store.remote.get_plan(run.run_id) == await store.local.get_plan(run.run_id)
    for frame, key in FRAMES.items():
        here, there = [
            sorted(await rows(one, frame), key=lambda row: (row["run_id"], str(row[key]), str(row)))
            for one in (store.local, store.remote)
        ]
        assert there == here, frame


async def _ended(store):
    for row in await rows(store.local, "runs"):
        run = await store.local.get_run(row["run_id"])
        if run.ended_at is not None:
            yield run


async def run_through(store, run_id, subtasks, during=None):
    """A run of many subtasks, each journalled as a runner does; `during` is awaited half way."""
    names = tuple(f"s{number}" for number in range(subtasks))
    await store.create_run(run_id, plan(subtasks=names), ME)
    journal = Journal(run_id)
    await store.append(run_id, 1, [journal.event("run_started", planner="recipes")])
    for number, name in enumerate(names):
        await store.append(run_id, 1, [journal.event("subtask_state", name, state="running")])
        for event in journal.attempt(name, attempt_id=f"{run_id}-{name}", result={"value": number}, key=name):
            await store.append(run_id, 1, [event])
        await store.append(run_id, 1, [journal.event("subtask_state", name, state="succeeded")])
        if during is not None and number == subtasks // 2:
            await during()
    await store.append(run_id, 1, [journal.event("run_ended", state="succeeded")])
    return journal


async def test_both_agree_row_for_row(machine):
    async with machine() as store:
        await run_through(store, "r1", 5)
        await store.put_plan("r1", 1, plan(command="revised"))
        await agree(store)
        assert await store.outbox.waiting() == 0
        assert [row["run_id"] for row in await rows(store, "runs")] == ["r1"]


async def test_supabase_goes_away_within_a_run(machine, project, changes):
    """The run goes on and ends; the person hears of it once; both agree in the end (see also test_outage.py)."""

    async def go_away():
        assert await store.flush(30)
        await asyncio.to_thread(project.stop)

    async with machine() as store:
        await run_through(store, "r1", 60, during=go_away)
        assert (await store.local.get_run("r1")).state == "succeeded"
        await changes.until(lambda: len(changes) == 1)
        assert changes[0].ok is False
        assert "cannot reach Supabase at 127.0.0.1" in changes[0].reason
        assert await store.outbox.waiting() > 100
        assert len(await rows(store, "history")) == 60, "answered from the journal"
        await asyncio.to_thread(project.start)  # takes longer than several tries
        await changes.until(lambda: len(changes) == 2)
        assert changes[1].ok
        assert changes[1].caught_up > 100
        await agree(store)


async def test_what_waits_survives_a_restart(machine, project, changes):
    async with machine() as store:
        project.stop()
        await run_through(store, "r1", 3)
    async with machine() as store:
        assert store.state.ok is False
        assert await store.outbox.waiting() > 10
        await asyncio.to_thread(project.start)
        await changes.until(lambda: store.state.ok)
        await agree(store)


async def test_a_run_starts_and_is_taken_over_here_without_supabase(machine, project, clock, changes):
    """Nobody else can have heard of it."""
    project.stop()
    async with machine() as store:
        await run_through(store, "r1", 2)
        clock.forward(30)
        assert await store.claim("r1", OTHER) == 2
        journal = Journal("r1", epoch=2, seq=12)
        await store.append("r1", 2, [journal.event("run_started", resumed=True)])
        await asyncio.to_thread(project.start)
        await changes.until(lambda: store.state.ok)
        await agree(store)
        assert (await store.remote.get_run("r1")).epoch == 2


async def test_a_run_that_others_may_know_is_not_taken_over_without_supabase(machine, project, clock):
    async with machine() as store:
        await run_through(store, "r1", 1)
        await agree(store)
        project.stop()
        clock.forward(30)
        with pytest.raises(SupabaseUnreachable, match="who drives run r1 is decided there"):
            await store.claim("r1", OTHER)


async def test_a_run_moves_to_another_machine(machine, clock):
    """The first owner may not write any more, and is told so; the second has all that happened."""
    async with machine("first") as first, machine("second") as second:
        journal = await run_through(first, "r1", 2)
        await agree(first)
        with pytest.raises(StoreError, match="driven by me"):
            await second.claim("r1", OTHER)
        clock.forward(30)
        assert [run.run_id for run in await second.unfinished()] == []
        assert await second.claim("r1", OTHER) == 2
        assert await events(second.local, "r1") == await events(first.local, "r1")
        assert await rows(second.local, "history") == await rows(first.local, "history")
        later = Journal("r1", epoch=2, seq=journal.seq)
        await second.append("r1", 2, [later.event("run_started", resumed=True)])
        await agree(second)
        await first.append("r1", 1, [journal.event("cancel_requested", by="me")])
        await first.flush()
        for ask in (
            lambda: first.append("r1", 1, []),
            lambda: first.beat("r1", 1),
            lambda: first.put_plan("r1", 1, plan()),
        ):
            with pytest.raises(StaleEpoch, match="epoch 2"):
                await ask()
        clock.forward(30)
        assert await first.claim("r1", ME) == 3
        assert await events(first.local, "r1") == await events(second.local, "r1")
        await agree(first)


async def test_a_heartbeat_hears_of_a_takeover(machine, clock):
    async with machine("first") as first, machine("second") as second:
        await run_through(first, "r1", 1)
        await agree(first)
        clock.forward(30)
        await second.claim("r1", OTHER)
        with pytest.raises(StaleEpoch):
            await first.beat("r1", 1)


async def test_other_machines_runs_are_seen(machine):
    async with machine("first") as first, machine("second") as second:
        await run_through(first, "r1", 2)
        await first.create_run("open", plan(), ME)
        await first.flush()
        assert {row["run_id"] for row in await rows(second, "runs")} == {"r1", "open"}
        assert (await second.get_run("r1")).command == "Count the reviews"
        assert await second.get_plan("r1") is not None
        assert len(await events(second, "r1")) == 12
        assert [run.run_id for run in await second.unfinished()] == ["open"]


async def test_the_registry_is_common_and_kept_while_away(machine, project, changes):
    one = WorkerRow(worker_id="w1", url="https://w1.example")
    two = WorkerRow(worker_id="w2", url="https://w2.example")
    async with machine("first") as first, machine("second") as second:
        await first.upsert_workers([one])
        assert await second.workers() == [one]
        project.stop()
        await second.upsert_workers([two])
        assert await second.workers() == [one, two]
        assert not second.state.ok
        with pytest.raises(SupabaseUnreachable, match="removed there first"):
            await second.remove_worker("w1")
        await asyncio.to_thread(project.start)
        await changes.until(lambda: second.state.ok)
        assert await first.workers() == [one, two]
        assert await first.remove_worker("w1")
        assert await second.workers() == [two]


async def test_a_worker_registered_while_away_outlives_a_killed_kernel(machine, project, tmp_path, changes):
    project.stop()
    with registrar(tmp_path / "here.db", project) as process:
        assert process.stdout.readline() == "registered\n"
        process.kill()
    async with machine() as store:
        assert [row.worker_id for row in await store.workers()] == ["w1"]
        await asyncio.to_thread(project.start)
        await changes.until(lambda: store.state.ok)
        assert [row.worker_id for row in await store.remote.workers()] == ["w1"]
        assert await store.outbox.unsent_workers() == {}


async def test_workers_registered_before_supabase_was_set_come_with(machine, tmp_path):
    """And a token that was changed since keeps its generation."""
    row = WorkerRow(worker_id="w1", url="https://w1.example", generation=3)
    async with opened(SqliteStore(tmp_path / "here.db")) as alone:
        await alone.upsert_workers([row])
    async with machine() as store:
        assert await store.workers() == [row]
        assert await store.remote.workers() == [row]


async def test_a_row_that_makes_no_sense_stays_so_while_supabase_is_away(machine, project, changes):
    async with machine() as store:
        project.run("insert into worker_nodes (name, vm_url, details) values ('odd', 'https://odd.example', 'x')")
        (odd,) = await store.workers()
        assert "no JSON object" in odd.problem
        await asyncio.to_thread(project.stop)
        assert [row.problem for row in await store.workers()] == [odd.problem]
        await asyncio.to_thread(project.start)
        await changes.until(lambda: store.state.ok)
        project.run("update worker_nodes set details = '{}'")
        assert [row.problem for row in await store.workers()] == [""]


async def test_a_worker_that_changes_while_it_is_sent_is_sent_again(machine, monkeypatch):
    row = WorkerRow(worker_id="w1", url="https://w1.example")
    async with machine() as store:
        send = store.remote.upsert_workers

        async def slow(rows):
            monkeypatch.setattr(store.remote, "upsert_workers", send)
            await store.local.upsert_workers([replace(row, status="busy")])
            await send(rows)

        monkeypatch.setattr(store.remote, "upsert_workers", slow)
        await store.upsert_workers([row])
        assert [item.status for item in await store.workers()] == ["busy"]
        assert [item.status for item in await store.remote.workers()] == ["busy"]


async def test_what_supabase_has_already_is_sent_again_without_harm(machine):
    """As after a crash between Supabase's answer and the note of it."""
    async with machine() as store:
        await run_through(store, "r1", 2)
        await store.put_plan("r1", 1, plan(command="revised"))
        await agree(store)
        waiting = [("r1", 1, -1), *(("r1", 1, seq) for seq in range(1, 13)), ("r1", 1, -2)]
        sql = "insert into outbox (run_id, epoch, seq) values (?, ?, ?)"
        await store.local.transact(lambda connection: connection.executemany(sql, waiting))
        await agree(store)
        assert store.state.ok
        assert await store.outbox.waiting() == 0


async def test_a_wrong_key_is_said_at_once(project, tmp_path):
    project.empty()
    local = SqliteStore(tmp_path / "nadg.db")
    with pytest.raises(StoreError, match="does not accept SUPABASE_SERVICE_KEY"):
        await ReplicatedStore(local, SupabaseStore(project.url, "sb_secret_another")).open()
    with pytest.raises(StoreError, match="not open"):
        await local.workers()


async def test_pruning_happens_in_both(machine, clock):
    async with machine() as store:
        await run_through(store, "r1", 2)
        counts = await store.prune(Journal("x").at.replace(year=2030))
        assert counts["runs"] == 1
        assert await rows(store.local, "runs") == await rows(store.remote, "runs") == []


async def test_an_owner_of_a_dead_process_is_replaced_at_once(machine):
    async with machine() as store:
        await run_through(store, "r1", 1)
    async with machine(dead={ME.pid}) as store:
        assert await store.claim("r1", replace(OTHER, pid=300)) == 2
        await agree(store)
