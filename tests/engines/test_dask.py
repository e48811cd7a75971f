"""What only a Dask cluster has: places in its queue, workers that come, leave, lack the package or are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys

import pytest
import pytest_asyncio

from nadg_kernel import Grid, Plan, SettingsError, WorkerError
from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.engines.dask import cluster as clusters
from nadg_kernel.engines.dask import plugin
from nadg_kernel.engines.dask.cluster import Cluster
from nadg_kernel.engines.dask.engine import DaskEngine
from nadg_kernel.engines.dask.frames import Frame, checked, fault, unpack
from nadg_kernel.engines.dask.members import labels, members
from nadg_kernel.engines.faults import Broken, NotOurs, Refused, Unreached, WrongBytes
from nadg_kernel.model import EventType, Limits
from nadg_kernel.wire import Refusal
from tests.engines.made import Memory, end_of, spec, until

pytestmark = pytest.mark.xdist_group("dask")
module_loop = pytest.mark.asyncio(loop_scope="module")
SLEEPER = "import time\nprint('here', flush=True)\ntime.sleep(60)"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine(dask_cluster):
    engine = DaskEngine(dask_cluster.scheduler_address, Memory())
    await engine.start()
    await until(engine, "dask-0", lambda state: state.health is WorkerHealth.READY)
    yield engine
    await engine.close()


def attempt(name, code, worker_id="dask-0"):
    return spec(name, code, worker_id=worker_id, limits=Limits(timeout_s=60))


@module_loop
async def test_an_attempt_that_waits_for_a_place_is_cancelled_at_once(engine):
    first = attempt("first", SLEEPER)
    end = None
    async for event in engine.submit(first):
        if event.type == "stdout":
            second = asyncio.create_task(end_of(engine.submit(attempt("second", "result = 1"))))
            async with asyncio.timeout(30):
                while len(engine._cluster._flights) < 2:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.01)
            await engine.cancel("second", "dask-0")
            waited = await second
            await engine.cancel("first", "dask-0")
        end = event
    assert waited["outcome"] == "cancelled"
    assert end.data["outcome"] == "cancelled"
    again = await end_of(engine.submit(attempt("second", "result = 1")))
    assert again["outcome"] == "cancelled"


@module_loop
async def test_an_input_leaves_this_side_once_for_all_workers(engine, monkeypatch):
    await until(engine, "dask-1", lambda state: state.health is WorkerHealth.READY)
    scatters = []
    client = engine._cluster.client
    scatter = client.scatter
    monkeypatch.setattr(client, "scatter", lambda *a, **k: scatters.append(a) or scatter(*a, **k))
    data = os.urandom(200_000)
    digest = engine._blobs.put(data)
    inputs = {"data": {"format": "bytes", "sha256": digest, "size": len(data), "note": ""}}
    for worker in ("dask-0", "dask-1", "dask-0"):
        sent = spec(f"with-{worker}", "result = len(inputs['data'])", worker_id=worker, inputs=inputs)
        end = await end_of(engine.submit(sent))
        assert end["result"]["value"]["value"] == len(data), end
    assert len(scatters) == 1


@module_loop
async def test_a_worker_without_the_package_says_what_to_install_and_is_seen_to_leave(engine, tmp_path):
    (tmp_path / "nadg_kernel.py").write_text("raise ModuleNotFoundError('No module named nadg_kernel')")
    address = engine._cluster.address
    command = [sys.executable, "-m", "dask", "worker", address, "--no-nanny", "--nthreads", "1", "--name", "bare"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [*command, "--no-dashboard"], env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL
    ) as bare:
        try:
            state = await until(engine, "dask-bare", lambda state: "install" in state.reason)
            assert state.health is WorkerHealth.OFFLINE
            assert "nadg-kernel[dask]" in state.reason
            bare.send_signal(signal.SIGKILL)
            await until(engine, "dask-bare", lambda state: "left the cluster" in state.reason)
        finally:
            bare.kill()
    end = await end_of(engine.submit(attempt("nobody", "result = 1", "dask-bare")))
    assert end["outcome"] == "rejected"


def test_a_run_loses_nothing_when_a_dask_worker_is_killed(dask_cluster, tmp_path):
    from distributed import Client

    rows = list(range(8))
    with Client(dask_cluster) as client, Grid(home=tmp_path, planner="recipes", engine=client) as grid:
        assert grid.wait_ready(2, 60)
        assert all(state.labels >= {"dask"} and not state.local for state in grid.worker_states())
        where = {f"dask-{item['name']}": address for address, item in client.scheduler_info()["workers"].items()}
        pids = client.run(os.getpid)
        plan = Plan(
            command="squares", data={"n": grid.check(Plan(command="x"), {"n": rows}).context.attached["n"].schema}
        )
        code = "import time\nprint('began', flush=True)\ntime.sleep(0.3)\nresult = [x * x for x in inputs['n']]"
        plan = plan.add(id="square", code=code, map={"over": "n", "shards": 8})
        plan = plan.add(id="sum", code="result = sum(map(sum, inputs['square']))", depends_on=["square"])
        run = grid.run(plan.approve(), {"n": rows}, show=False)
        killed = []

        def kill_first(event):
            if event.type is EventType.ATTEMPT_PROGRESS and not killed:
                killed.append(event.attempt_id)
                os.kill(pids[where[begun[event.attempt_id]]], signal.SIGKILL)
            elif event.type is EventType.ATTEMPT_STARTED:
                begun[event.attempt_id] = event.payload["worker"]

        begun = {}
        run.subscribe(kill_first)
        run.wait(90)
        assert run.ok, run
        assert run["square"].value == [[x * x] for x in rows]
        assert run["sum"].value == sum(x * x for x in rows)
        attempts = grid.attempts(run=run.id).set_index("attempt_id")
        assert attempts.loc[killed[0], "outcome"] == "lost"
        ended = attempts[attempts["outcome"] == "succeeded"]
        assert sorted(zip(ended["subtask"], ended["shard"], strict=True)) == [
            *(("square", n) for n in rows),
            ("sum", 0),
        ]
        assert set(attempts["worker"]) == {"dask-0", "dask-1"}
        history = grid.history(run=run.id).set_index("subtask")
        assert history["state"].to_dict() == {"square": "succeeded", "sum": "succeeded"}


@pytest.mark.parametrize("engine", ["localhost:8786", "dask://", "http://x:1", 8786, object()])
def test_what_is_no_cluster_is_refused(engine):
    with pytest.raises(SettingsError, match="dask://HOST:PORT"):
        Cluster(engine)


def test_an_address_where_nothing_answers_is_an_error_where_the_person_is(tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "CONNECT_S", 0.2)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    with pytest.raises(WorkerError, match=f"no Dask scheduler answers at 127.0.0.1:{port}"):
        Grid(home=tmp_path, planner="recipes", engine=f"dask://127.0.0.1:{port}")


class Bare:
    """A client of a cluster none of whose workers has the package."""

    status = "running"

    async def run_on_scheduler(self, function):
        return function()

    async def run(self, function, on_error):
        return {"tcp://a:1": ModuleNotFoundError("No module named 'nadg_kernel'")}


async def test_a_cluster_without_the_package_says_what_to_install_where():
    cluster = Cluster("dask://a:1")
    cluster._client = Bare()
    with pytest.raises(WorkerError, match=r"install nadg-kernel\[dask\].* in the environment of the Dask scheduler"):
        await cluster.check()


async def test_a_sandbox_that_nobody_uses_ends_and_starts_again(monkeypatch):
    told = []
    ended = asyncio.Event()

    class Fake:
        def __init__(self, worker):
            told.append("made")

        async def start(self):
            told.append("started")

        async def way_in(self, boot_id):
            return boot_id

        async def close(self):
            told.append("closed")
            ended.set()

    monkeypatch.setattr(plugin, "_Beside", Fake)
    sandbox = plugin.SandboxPlugin(idle_s=0.01)
    sandbox.setup(object())
    with sandbox.in_use():
        assert await sandbox.client("boot") == "boot"
        await asyncio.sleep(0.05)
        assert not ended.is_set()
    await asyncio.wait_for(ended.wait(), 30)
    await sandbox.client()
    await sandbox.teardown(None)
    assert told == ["made", "started", "closed"] * 2


def test_workers_keep_their_names_and_offer_their_resources():
    about = {"name": 0, "status": "running"}
    identity = {
        "workers": {
            "tcp://10.0.0.1:4000": about,
            "tcp://10.0.0.1:4001": {"name": "tcp://10.0.0.1:4001", "status": "paused"},
            "tcp://10.0.0.1:4002": {"name": "big one", "status": "running"},
            "tcp://10.0.0.1:4003": {"name": 0, "status": "running"},
            "tcp://10.0.0.1:4004": {"name": "leaving", "status": "closing_gracefully"},
        }
    }
    found = members(identity)
    assert list(found) == ["dask-0", "dask-10.0.0.1-4001", "dask-big-one", "dask-10.0.0.1-4003"]
    assert [name for name, member in found.items() if member.paused] == ["dask-10.0.0.1-4001"]
    assert labels("big one", "tcp://a:1", {"GPU": 2, "FPGA": 0}) == ("dask", "name:big-one", "gpu")
    assert labels("tcp://a:1", "tcp://a:1", {}) == ("dask",)


def test_answers_and_faults_cross_as_bytes():
    frame = Frame(kind="answer", about={"n": 1}, parts=(b"", b"\x00\xff"))
    assert unpack(frame.pack()) == frame
    assert checked(frame, "w") is frame
    refused = Refused("w", 429, Refusal(error="full", missing=["ab"]), 1.5)
    with pytest.raises(Refused, match="full") as raised:
        checked(unpack(fault(refused).pack()), "w")
    assert (raised.value.status, raised.value.retry_after, raised.value.missing) == (429, 1.5, ("ab",))
    for error in (Unreached("a"), Broken("b"), WrongBytes("c"), NotOurs("d")):
        with pytest.raises(type(error), match=str(error)):
            checked(fault(error), "w")


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00\x05{}", Frame(kind="a", parts=(b"x",)).pack()[:-1], None, {}])
def test_what_is_no_answer_is_broken(data):
    with pytest.raises(Broken):
        unpack(data)
