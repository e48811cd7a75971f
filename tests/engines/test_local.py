"""Local workers run real code, come back when they die, and never outlive the kernel."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import pytest_asyncio

from nadg_kernel import values
from nadg_kernel.data import attach
from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.engines.http import HttpEngine
from nadg_kernel.engines.local import LocalWorkers, worker_environment, worker_folder
from nadg_kernel.model import Limits
from tests.engines.made import Memory, all_of, end_of, spec, until
from tests.support.frames import large_frame

ROOT = Path(__file__).parents[2]
POSIX = os.name == "posix"


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def fleet(tmp_path_factory):
    """One worker for a class of tests: each start costs a second."""
    blobs = Memory()
    engine = HttpEngine([], blobs)
    await engine.start()

    def changed(change):
        if change.reason:
            engine.lose_worker(change.endpoint, change.reason)
        else:
            engine.put_worker(change.endpoint)

    local = LocalWorkers(1, tmp_path_factory.mktemp("home"), changed)
    await local.start()
    yield SimpleNamespace(engine=engine, local=local, blobs=blobs)
    await local.close()
    await engine.close()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(condition, within=5.0):
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def pid_of(fleet):
    return fleet.local._keepers[0]._process._popen.pid


@pytest.mark.asyncio(loop_scope="class")
class TestRealWorker:
    async def test_everything_of_an_attempt(self, fleet):
        await until(fleet.engine, "local-1", lambda state: state.health is WorkerHealth.READY)
        state = fleet.engine.snapshot()[0]
        assert state.local
        assert "pandas" in state.modules
        assert state.boot_id
        large = values.to_ref(values.encode("x" * 200_000), 65536, lambda _sha256, data: fleet.blobs.put(data))
        code = (
            "import sys\n"
            "print('out'); print('err', file=sys.stderr)\n"
            "progress(0.5, 'half')\n"
            "open('made.txt', 'w').write(inputs['small'])\n"
            "result = {'length': len(inputs['large']), 'again': inputs['large'], 'shard': [shard, shards]}\n"
        )
        inputs = {"large": large, "small": {"format": "json", "value": "tiny", "size": 6}}
        events = await all_of(
            fleet.engine.submit(spec("e1", code, worker_id="local-1", inputs=inputs, shard=1, shards=3))
        )
        kinds = [event.type for event in events]
        assert kinds[0] == "started"
        assert {"stdout", "stderr", "progress"} <= set(kinds)
        end = events[-1].data
        assert end["outcome"] == "succeeded", end
        result = values.decode(values.from_ref(end["result"]["value"], fleet.blobs.get))
        assert result == {"length": 200_000, "again": "x" * 200_000, "shard": [1, 3]}
        assert (end["result"]["stdout"], end["result"]["stderr"]) == ("out\n", "err\n")
        (artifact,) = end["result"]["artifacts"]
        assert artifact["path"] == "made.txt"
        assert fleet.blobs[artifact["sha256"]] == b"tiny"

        failed = await end_of(fleet.engine.submit(spec("e2", "x = 1\nx / 0", worker_id="local-1")))
        assert (failed["outcome"], failed["error"]["type"]) == ("failed", "ZeroDivisionError")
        assert failed["error"]["line"] == 2

        late = spec("e3", "while True: pass", worker_id="local-1", limits=Limits(timeout_s=0.3))
        assert (await end_of(fleet.engine.submit(late)))["outcome"] == "timed_out"

        again = await end_of(fleet.engine.reattach(spec("e2", worker_id="local-1"), after_id=1))
        assert again["error"] == failed["error"]
        assert (await end_of(fleet.engine.reattach(spec("e9", worker_id="local-1"))))["outcome"] == "lost"

        other = await end_of(fleet.engine.submit(spec("e1", "other", worker_id="local-1")))
        assert other["outcome"] == "rejected"
        assert "another body" in other["reason"]

    async def test_a_large_frame_goes_there_and_back_exactly(self, fleet):
        frame = large_frame()
        attached = attach("rows", frame, fleet.blobs)
        assert attached.problems == ()
        code = (
            "frame = inputs['rows']\n"
            "result = {'frame': frame, 'dtypes': [str(dtype) for dtype in frame.dtypes]}\n"
            "result['index'] = str(frame.index.dtypes.to_list())\n"
        )
        end = await end_of(
            fleet.engine.submit(spec("f1", code, worker_id="local-1", inputs={"rows": attached.ref}, limits=Limits()))
        )
        assert end["outcome"] == "succeeded", end
        result = values.decode(values.from_ref(end["result"]["value"], fleet.blobs.get))
        assert result["dtypes"] == [str(dtype) for dtype in frame.dtypes]
        assert result["index"] == str(frame.index.dtypes.to_list())
        pd.testing.assert_frame_equal(result["frame"], frame, check_exact=True)

    async def test_cancel_running_and_not_yet_arrived(self, fleet):
        async for event in fleet.engine.submit(spec("c1", "import time; time.sleep(60)", worker_id="local-1")):
            if event.type == "started":
                await fleet.engine.cancel("c1", "local-1")
        assert event.data["outcome"] == "cancelled"
        await fleet.engine.cancel("c2", "local-1")
        assert (await end_of(fleet.engine.submit(spec("c2", worker_id="local-1"))))["outcome"] == "cancelled"

    async def test_a_killed_worker_loses_its_attempts_and_comes_back(self, fleet):
        first = fleet.engine.snapshot()[0]
        async for event in fleet.engine.submit(spec("k1", "import time; time.sleep(60)", worker_id="local-1")):
            if event.type == "started":
                os.kill(pid_of(fleet), signal.SIGTERM if not POSIX else signal.SIGKILL)
        assert event.data["outcome"] == "lost"
        again = await until(
            fleet.engine,
            "local-1",
            lambda state: state.health is WorkerHealth.READY and state.boot_id not in {"", first.boot_id},
        )
        assert again.url != first.url
        assert (await end_of(fleet.engine.submit(spec("k2", worker_id="local-1"))))["outcome"] == "succeeded"

    async def test_without_its_token_it_does_nothing(self, fleet):
        import httpx2

        url = fleet.local.endpoints[0].url
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{url}/execute", json={"task": "1"})
        assert answer.status_code == 401
        assert fleet.local.endpoints[0].token.reveal() not in repr(fleet.local.endpoints)

    async def test_close_ends_the_process(self, fleet):
        pid = pid_of(fleet)
        await fleet.local.close()
        assert not alive(pid)


class TestStart:
    async def test_two_are_ready_with_tokens_of_their_own(self, tmp_path):
        workers = LocalWorkers(2, tmp_path / "home")
        endpoints = await workers.start()
        assert sorted(item.worker_id for item in endpoints) == ["local-1", "local-2"]
        assert len({item.token.reveal() for item in endpoints}) == 2
        await workers.close()

    async def test_none(self, tmp_path):
        workers = LocalWorkers(0, tmp_path)
        assert await workers.start() == ()
        await workers.close()

    def script(self, tmp_path, text):
        folder = tmp_path / "worker"
        folder.mkdir()
        (folder / "main.py").write_text(text)
        return folder

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("import sys; print('no module named fastapi', file=sys.stderr); sys.exit(3)", "code 3.*no module named"),
            ("print('hello')", "did not start"),
            ("import sys; sys.stderr.write('x' * 10**7); sys.exit(1)", "xxx"),
        ],
        ids=["error", "no announcement", "flood"],
    )
    async def test_a_worker_that_does_not_start_says_why(self, text, says, tmp_path, monkeypatch):
        monkeypatch.setattr("nadg_kernel.engines.local.BACKOFF_S", (0.01,))
        changes = []
        over = asyncio.Event()

        def changed(change):
            changes.append(change)
            if change.final:
                over.set()

        workers = LocalWorkers(1, tmp_path / "home", changed, folder=self.script(tmp_path, text))
        assert await workers.start() == ()
        async with asyncio.timeout(60):
            await over.wait()
        assert len(changes) == 4
        import re

        assert re.search(says, workers.failures["local-1"], re.DOTALL)
        assert len(workers.failures["local-1"]) < 3000
        await workers.close()

    async def test_silence_is_a_failure_too(self, tmp_path, monkeypatch):
        monkeypatch.setattr("nadg_kernel.engines.local.READY_S", 0.1)
        monkeypatch.setattr("nadg_kernel.engines.local._END_S", 0.1)
        folder = self.script(tmp_path, "import time\nwhile True: time.sleep(1)")
        workers = LocalWorkers(1, tmp_path / "home", folder=folder)
        assert await workers.start() == ()
        assert "said nothing" in workers.failures["local-1"]
        await workers.close()

    async def test_missing_files_are_named(self, tmp_path):
        workers = LocalWorkers(1, tmp_path / "home", folder=tmp_path / "nothing")
        await workers.start()
        assert "main.py" in workers.failures["local-1"]
        await workers.close()

    def test_the_files_are_found(self):
        assert (worker_folder() / "main.py").is_file()


def test_the_environment_has_no_secret_of_the_person():
    given = {
        "PATH": "/bin",
        "Path": "C:\\",
        "GEMINI_API_KEY": "1",
        "SUPABASE_SERVICE_KEY": "2",
        "HF_TOKEN": "3",
        "NADG_GRID_SECRET": "4",
        "AWS_SECRET_ACCESS_KEY": "5",
        "MY_PASSWORD": "6",
        "HTTPS_PROXY": "http://user:pass@p",
    }
    made = worker_environment("local-1", "token", given)
    assert made == {
        "PATH": "/bin",
        "Path": "C:\\",
        "HOST": "127.0.0.1",
        "PORT": "0",
        "WORKER_ID": "local-1",
        "NADG_AUTH_TOKEN": "token",
    }


KERNEL = """
import asyncio, json, multiprocessing, pathlib, sys, threading, time
from nadg_kernel.engines.local import LocalWorkers
from nadg_kernel.loop import BackgroundLoop

def linger():
    time.sleep(30)

loop = BackgroundLoop()
workers = LocalWorkers(2, pathlib.Path(sys.argv[1]))
loop.run(workers.start())
pids = [keeper._process._popen.pid for keeper in workers._keepers]
child = multiprocessing.get_context("fork").Process(target=linger) if sys.argv[2] == "fork" else None
if child:
    child.start()
print(json.dumps({"workers": pids, "child": child.pid if child else None}), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_a_kernel_that_is_killed_leaves_nothing(how, tmp_path):
    """Also when a child that the person's code forked lives on with copies of the kernel's descriptors."""
    kernel = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", KERNEL, str(tmp_path), how], stdout=subprocess.PIPE, cwd=ROOT
    )
    said = json.loads(kernel.stdout.readline())
    family = [pid for root in said["workers"] for pid in descendants(root)]
    assert len(family) > 2
    kernel.kill()
    kernel.wait()
    kernel.stdout.close()
    try:
        assert wait_for(lambda: not any(map(alive, family)))
        if said["child"]:
            assert alive(said["child"])
    finally:
        for pid in [*family, *([said["child"]] if said["child"] else [])]:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_one_worker_that_is_killed_leaves_its_sibling(tmp_path):
    """The pipe of one is not held by another: each ends by itself."""

    async def scenario():
        workers = LocalWorkers(2, tmp_path)
        await workers.start()
        first, second = (keeper._process for keeper in workers._keepers)
        first._close_pipe()
        async with asyncio.timeout(30):
            await first.ended()
        assert second._popen.poll() is None
        await workers.close()

    asyncio.run(scenario())


def descendants(root):
    """A process and all below it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found
