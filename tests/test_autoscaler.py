"""Workers really come and go: local processes, and sleeping Spaces, on a draft's arrival and by the limits."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from nadg_kernel import Grid, Plan
from nadg_kernel.autoscaling import Autoscale, Autoscaler
from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.errors import SettingsError, WorkerError
from nadg_kernel.fleet import Fleet
from nadg_kernel.settings import Secret, Settings
from nadg_kernel.stores.base import WorkerRow
from nadg_kernel.stores.blobs import BlobStore
from nadg_kernel.stores.sqlite import SqliteStore
from tests.support.fault_server import FaultServer, healthy, page, status_report

SECRET = Secret("s" * 32)
EAGER = Autoscale(max_workers=2, max_local=2, patience_s=0, cool_down_s=0, idle_s=0)


class Space(FaultServer):
    """Sleeps until it is visited, or started by its host; asleep again when it is paused."""

    def __init__(self):
        super().__init__()
        self.awake = False
        self.asked = []

        async def answer(call, wire):
            if call.path == "/":
                self.awake = True
            if not self.awake:
                await page(503, "This Space is sleeping")(call, wire)
            elif call.path == "/status":
                await status_report("b")(call, wire)
            else:
                await healthy("b")(call, wire)

        self.script("GET", "/", answer)

    def wake(self, space):
        self.asked.append(("wake", space))

    def pause(self, space):
        self.asked.append(("pause", space))
        self.awake = False


class Work:
    """A run as the autoscaler sees it."""

    def __init__(self):
        self.waiting, self.under_way = {}, {}

    def backlog(self):
        return self.waiting

    def busy(self):
        return self.under_way


async def until(fleet, health, worker="s"):
    async with asyncio.timeout(20):
        async for state in fleet.engine.workers():
            if state.worker_id == worker and state.health is health:
                return state
    raise AssertionError


def row(server, **more):
    return WorkerRow(worker_id="s", url=server.url, labels=("cpu",), **more)


@pytest.fixture
async def fleet(tmp_path):
    made = Fleet(
        local=0, home=tmp_path, blobs=BlobStore(tmp_path / "b"), store=SqliteStore(tmp_path / "n"), secret=SECRET
    )
    made.engine._pace = 0.01
    await made.engine.start()
    yield made
    await made.engine.close()


async def test_a_space_is_woken_for_work_and_paused_when_idle(fleet):
    work = Work()
    async with Space() as server:
        fleet.use(row(server, details={"space": "me/s"}))
        await until(fleet, WorkerHealth.ASLEEP)
        scaler = Autoscaler(fleet, lambda: [work], host=lambda: server)
        scaler.limits = EAGER
        assert scaler.step().actions == ()
        work.waiting = {frozenset({"cpu"}): 3}
        assert [(action.start, action.name) for action in scaler.step().actions] == [(True, "s")]
        await until(fleet, WorkerHealth.READY)
        assert scaler.step().actions == (), "its two places are all that one worker has, and nothing else sleeps"
        work.waiting, work.under_way = {}, {"s": 1}
        assert scaler.step().actions == (), "busy"
        work.under_way = {}
        assert [(action.start, action.name) for action in scaler.step().actions] == [(False, "s")]
        await until(fleet, WorkerHealth.ASLEEP)
        assert server.asked == [("wake", "me/s"), ("pause", "me/s")]
        assert scaler.step().actions == (), "it is not paused twice"


async def test_what_was_awake_anyway_is_left_alone(fleet):
    async with Space() as server:
        server.awake = True
        fleet.use(row(server, details={"space": "me/s"}))
        await until(fleet, WorkerHealth.READY)
        scaler = Autoscaler(fleet, list, host=lambda: server)
        scaler.limits = EAGER
        assert scaler.step().actions == ()


@pytest.mark.parametrize(("details", "why"), [({}, "not known as a Space"), ({"space": "me/s"}, "no rights")])
async def test_a_host_that_refuses_is_noted_and_left_alone(details, why, fleet):
    work = Work()
    work.waiting = {frozenset({"cpu"}): 1}
    async with Space() as server:

        def refuse(_space):
            raise WorkerError("no rights")

        server.pause = refuse
        fleet.use(row(server, details=details))
        await until(fleet, WorkerHealth.ASLEEP)
        scaler = Autoscaler(fleet, lambda: [work], host=lambda: server)
        scaler.limits = EAGER
        scaler.step()
        await until(fleet, WorkerHealth.READY)
        work.waiting = {}
        scaler.step()
        await asyncio.gather(*scaler._doing)
        assert why in scaler.notes[-1]
        await until(fleet, WorkerHealth.READY)
        assert scaler.step().actions == ()


async def test_one_that_never_gets_ready_is_given_up(fleet):
    work, now = Work(), 0.0
    work.waiting = {frozenset(): 1}
    async with Space() as server:
        server.script("GET", "/health", page(503, "This Space is sleeping"))
        fleet.use(row(server))
        await until(fleet, WorkerHealth.ASLEEP)
        scaler = Autoscaler(fleet, lambda: [work], clock=lambda: now)
        scaler.limits = replace(EAGER, max_local=0)
        assert len(scaler.step().actions) == 1
        now = 100.0
        assert scaler.step().actions == (), "it is coming"
        now = 200.0
        found = scaler.step()
        assert (found.actions, "nothing that could be started" in found.obstacle) == ((), True)
        now = 400.0
        assert len(scaler.step().actions) == 1, "it is given another chance"
        await asyncio.gather(*scaler._doing)


async def test_a_draft_wakes_the_sleepers_that_it_could_use(tmp_path):
    async with Space() as fitting, Space() as other:
        with Grid(settings=Settings(home=tmp_path, grid_secret=SECRET, local_workers=0), planner="recipes") as grid:
            store = grid.store
            rows = [
                WorkerRow(worker_id="fits", url=fitting.url, labels=("gpu",)),
                WorkerRow(worker_id="other", url=other.url, labels=("cpu",)),
            ]
            await asyncio.wrap_future(grid.loop.submit(store.upsert_workers(rows)))
            seen = []
            woken, asleep = asyncio.Event(), asyncio.Event()
            here = asyncio.get_running_loop()

            def note(states):
                seen.append({state.worker_id: str(state.health) for state in states})
                if seen[-1].get("fits") == "ready":
                    here.call_soon_threadsafe(woken.set)
                if set(seen[-1].values()) == {"asleep"}:
                    here.call_soon_threadsafe(asleep.set)

            grid.on_workers(note)
            for item in rows:
                grid.loop.call(grid._fleet.use, item)
            async with asyncio.timeout(20):
                await asleep.wait()
                plan = Plan(command="c").add(title="needs a card", code="result = 1", labels=["gpu"])
                grid.loop.call(grid._wake_for, plan)
                await woken.wait()
            assert "waking" in [states.get("fits") for states in seen]
            assert {states.get("other") for states in seen[1:]} <= {"offline", "asleep", None}
            assert not other.awake
            await asyncio.to_thread(grid.plan, "Compute statistics")
            async with asyncio.timeout(20):
                while not other.awake:  # noqa: ASYNC110 - set by a request on this loop
                    await asyncio.sleep(0.01)


def test_local_workers_come_and_go(tmp_path):
    def wait(what):
        deadline = time.monotonic() + 60
        while not what():
            assert time.monotonic() < deadline, grid._autoscaler.notes
            time.sleep(0.02)

    def health():
        return {state.worker_id: (str(state.health), state.running) for state in grid.worker_states()}

    with Grid(home=tmp_path, local_workers=1, planner="recipes") as grid:
        assert grid.wait_ready(1, 60)
        plan = Plan(command="wait").add(id="a", code="result = list(range(99))")
        plan = plan.add(id="b", code="import time\ntime.sleep(50)", map={"over": "a", "shards": 99}).approve()
        before = grid.autoscale(EAGER, dry_run=True, plan=plan)
        assert "start a local worker" in str(before)
        assert "autoscaling is off" in str(before)
        assert list(health()) == ["local-1"], "a dry run does nothing"
        shown = grid.autoscale(EAGER)
        assert shown.enabled
        assert "nothing would be started" in str(shown)
        run = grid.run(plan, show=False)
        wait(lambda: health().get("local-2", ("", 0))[1] > 0)
        assert "the limit is 2" in str(grid.autoscale())
        run.cancel()
        run.wait(60)
        wait(lambda: list(health()) == ["local-1"])
        assert [note.partition(":")[0] for note in grid._autoscaler.notes if "shard" in note or "idle" in note][::2]
        assert not grid.autoscale(0).enabled


def test_limits_on_the_grid_itself(tmp_path):
    with Grid(home=tmp_path, local_workers=0, autoscale=3) as grid:
        assert grid.autoscale().limits.max_workers == 3
        assert grid.autoscale(5, idle_s=7).limits.idle_s == 7
        with pytest.raises(SettingsError):
            grid.autoscale(-1)
