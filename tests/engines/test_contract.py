"""The contract of engines, over real workers: through HTTP and through Dask an attempt is the same."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio

from nadg_kernel import values
from nadg_kernel.engines.base import Engine, WorkerHealth
from nadg_kernel.engines.dask.engine import DaskEngine
from nadg_kernel.engines.http import HttpEngine
from nadg_kernel.engines.local import LocalWorkers
from nadg_kernel.model import Limits, Outcome
from tests.engines.made import Memory, all_of, end_of, spec, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("dask")]
LARGE = 300_000
SLEEPER = "import time\nprint('here', flush=True)\ntime.sleep(60)"


@dataclass
class Rig:
    engine: Engine
    blobs: Memory
    worker: str
    kill: Callable[[], Awaitable[None]]
    number: int = 0

    def spec(self, code="result = 42", **fields):
        self.number += 1
        return spec(
            f"contract-{self.number}", code, **{"worker_id": self.worker, "limits": Limits(timeout_s=60), **fields}
        )

    async def run(self, code, **fields):
        return await all_of(self.engine.submit(self.spec(code, **fields)))


@asynccontextmanager
async def over_http(folder):
    blobs = Memory()
    engine = HttpEngine([], blobs)
    await engine.start()
    local = LocalWorkers(
        1, folder, lambda c: engine.lose_worker(c.endpoint, c.reason) if c.reason else engine.put_worker(c.endpoint)
    )
    processes = []
    launch = local.launch
    local.launch = lambda *arguments: processes.append(launch(*arguments)) or processes[-1]
    await local.start()

    async def kill():
        processes[-1].kill()

    try:
        yield Rig(engine, blobs, "local-1", kill)
    finally:
        await local.close()
        await engine.close()


@asynccontextmanager
async def over_dask(cluster):
    blobs = Memory()
    engine = DaskEngine(cluster.scheduler_address.replace("tcp://", "dask://"), blobs)
    await engine.start()

    async def kill():
        pids = await engine._cluster.client.run(os.getpid, workers=[engine._members["dask-0"].address])
        os.kill(*pids.values(), signal.SIGKILL)

    try:
        yield Rig(engine, blobs, "dask-0", kill)
    finally:
        await engine.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["http", "dask"])
async def rig(request, tmp_path_factory):
    if request.param == "http":
        making = over_http(tmp_path_factory.mktemp("local"))
    else:
        making = over_dask(request.getfixturevalue("dask_cluster"))
    async with making as rig:
        await ready(rig)
        yield rig


async def ready(rig):
    return await until(rig.engine, rig.worker, lambda s: s.health is WorkerHealth.READY and s.modules is not None)


def types(events):
    return [event.type for event in events]


async def test_a_worker_says_what_it_is(rig):
    state = await ready(rig)
    assert state.capacity >= 1
    assert state.boot_id
    assert "numpy" in state.modules
    assert any(label.startswith("python:") for label in state.labels)
    assert "rlimits" in state.sandbox
    assert state in rig.engine.snapshot()


async def test_a_success_is_started_told_and_ended_once(rig):
    events = await rig.run("print('hello')\nprogress(0.5, 'half')\nresult = {'n': 1}")
    assert types(events)[0] == "started"
    assert sorted(types(events)[1:-1]) == ["progress", "stdout"]
    assert types(events)[-1] == "ended"
    ids = [event.id for event in events[:-1]]
    assert ids == sorted(set(ids))
    told = {event.type: event.data for event in events}
    assert told["progress"] == {"fraction": 0.5, "text": "half"}
    assert told["stdout"] == {"text": "hello\n"}
    assert told["ended"]["outcome"] == Outcome.SUCCEEDED
    assert told["ended"]["worker"] == rig.worker
    assert told["ended"]["result"]["value"]["value"] == {"n": 1}
    assert told["ended"]["result"]["stdout"] == "hello\n"
    assert told["ended"]["layers"]


async def test_a_failure_is_a_result(rig):
    end = (await rig.run("x = 1\nx / 0"))[-1].data
    assert end["outcome"] == Outcome.FAILED
    assert (end["error"]["type"], end["error"]["line"]) == ("ZeroDivisionError", 2)


async def test_an_attempt_ends_at_its_time_limit(rig):
    end = (await rig.run(SLEEPER, limits=Limits(timeout_s=0.2)))[-1].data
    assert end["outcome"] == Outcome.TIMED_OUT


async def test_large_values_displays_and_files_are_on_this_side_at_the_end(rig):
    data = os.urandom(LARGE)
    ref = values.to_ref(values.encode(data), 1000, lambda _sha256, data: rig.blobs.put(data))
    code = (
        "from pathlib import Path\nPath('out.bin').write_bytes(inputs['data'])\n"
        "display('x' * 200_000)\nresult = inputs['data'][::-1]"
    )
    events = await rig.run(code, inputs={"data": ref})
    end = events[-1].data
    assert end["outcome"] == Outcome.SUCCEEDED, end
    assert rig.blobs.has(end["result"]["value"]["sha256"])
    assert rig.blobs.get(end["result"]["value"]["sha256"]) == data[::-1]
    (file,) = end["result"]["artifacts"]
    assert (file["path"], file["size"]) == ("out.bin", LARGE)
    assert rig.blobs.get(file["sha256"]) == data
    (shown,) = [event.data for event in events if event.type == "display"]
    assert shown == end["result"]["displays"][0]
    again = await rig.run(code, inputs={"data": ref})
    assert again[-1].data["result"]["value"] == end["result"]["value"]


async def test_files_lie_in_the_working_directory(rig):
    digest = rig.blobs.put(b"some text")
    events = await rig.run("result = open('in/a.txt').read()", files={"in/a.txt": (digest, 9)})
    assert events[-1].data["result"]["value"]["value"] == "some text"


async def test_a_running_attempt_is_cancelled(rig):
    attempt = rig.spec(SLEEPER)
    end = None
    async for event in rig.engine.submit(attempt):
        if event.type == "stdout":
            await rig.engine.cancel(attempt.attempt_id, rig.worker)
        end = event
    assert end.data["outcome"] == Outcome.CANCELLED


async def test_an_attempt_is_cancelled_before_it_comes(rig):
    attempt = rig.spec("result = 1")
    await rig.engine.cancel(attempt.attempt_id, rig.worker)
    assert (await end_of(rig.engine.submit(attempt)))["outcome"] == Outcome.CANCELLED


async def test_the_same_id_is_the_same_attempt(rig):
    attempt = rig.spec("import uuid\nresult = uuid.uuid4().hex")
    first, second = [await end_of(rig.engine.submit(attempt)) for _ in range(2)]
    assert first["outcome"] == Outcome.SUCCEEDED
    assert first["result"]["value"] == second["result"]["value"]


async def test_an_attempt_outlives_who_followed_it(rig):
    attempt = rig.spec("import time\nprint('here', flush=True)\ntime.sleep(0.2)\nresult = 'done'")
    stream = rig.engine.submit(attempt)
    async for event in stream:
        if event.type == "stdout":
            seen = event.id
            break
    await stream.aclose()
    events = await all_of(rig.engine.reattach(attempt, seen))
    assert types(events) == ["ended"]
    assert events[-1].data["result"]["value"]["value"] == "done"


async def test_who_is_not_known_is_lost_or_rejected(rig):
    end = await end_of(rig.engine.reattach(rig.spec()))
    assert end["outcome"] == Outcome.LOST
    end = await end_of(rig.engine.submit(rig.spec(worker_id="nobody")))
    assert end["outcome"] == Outcome.REJECTED
    assert "nobody" in end["reason"]


async def test_input_bytes_that_are_not_here_reject(rig):
    ref = {"format": "bytes", "sha256": hashlib.sha256(b"other").hexdigest(), "size": 5, "note": ""}
    end = (await rig.run("result = 1", inputs={"data": ref}))[-1].data
    assert end["outcome"] == Outcome.REJECTED
    assert "blob folder" in end["reason"]


async def test_what_ran_on_a_killed_worker_is_lost_and_it_comes_back(rig):
    before = await ready(rig)
    end = None
    async for event in rig.engine.submit(rig.spec(SLEEPER)):
        if event.type == "stdout":
            await rig.kill()
        end = event
    assert end.data["outcome"] == Outcome.LOST
    assert rig.worker in end.data["reason"]
    await until(rig.engine, rig.worker, lambda s: s.health is WorkerHealth.READY and s.boot_id != before.boot_id)
    assert (await rig.run("result = 1"))[-1].data["outcome"] == Outcome.SUCCEEDED
