"""`python main.py` and signals: drained by SIGTERM, ended at once by a second one, cleaned up after kill -9."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from .conftest import WORKER, until
from .started import BLOCK, started

pytestmark = pytest.mark.serial


async def test_it_ends_when_its_parent_is_killed(tmp_path):
    parent = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, 'main.py', '--announce', '--parent-stdin'], stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        parent,
        cwd=WORKER,
        env={"PATH": os.environ["PATH"], "PORT": "0", "TMPDIR": str(tmp_path), "NADG_PRELOAD": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    first, second = [await asyncio.wait_for(process.stdout.readline(), 30) for _ in range(2)]
    pid = int(first if first.strip().isdigit() else second)
    process.kill()
    await process.wait()
    await until(lambda: not alive(pid), 5)
    await until(lambda: list(tmp_path.iterdir()) == [], 5)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


async def test_after_kill_9_no_folder_is_left(tmp_path):
    async with started(tmp_path) as worker:
        await worker.client.put("/blobs/" + "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        assert worker.left() != []
        worker.process.kill()
        await worker.process.wait()
        await until(lambda: worker.left() == [], 5)


async def test_sigterm_lets_running_attempts_end_and_refuses_new_ones(tmp_path):
    async with started(tmp_path) as worker:
        code = "import time\nprint('on my way', flush=True)\ntime.sleep(1.5)\nprint('done')"
        call = asyncio.create_task(worker.client.post("/execute", json={"task": code}))
        await worker.running(1)
        worker.process.send_signal(signal.SIGTERM)
        await worker.status("draining")
        assert (await worker.client.post("/execute", json={"task": "1"})).status_code == 503
        assert (await call).json()["output"] == "on my way\ndone\n"
        assert await asyncio.wait_for(worker.process.wait(), 10) == 0
        assert worker.left() == []


@pytest.mark.parametrize("signals", [[signal.SIGTERM, signal.SIGTERM], [signal.SIGINT]])
async def test_a_second_sigterm_or_ctrl_c_kills_what_runs_and_answers_it_as_lost(tmp_path, signals):
    async with started(tmp_path) as worker:
        call = asyncio.create_task(worker.client.post("/execute", json={"task": BLOCK, "attempt_id": "a"}))
        await worker.running(1)
        for number in signals:
            worker.process.send_signal(number)
            await worker.status("draining", or_gone=True)
        told = (await call).json()
        assert (told["outcome"], told["error"]) == ("lost", "attempt lost: the worker stopped")
        assert await asyncio.wait_for(worker.process.wait(), 10) == 0
        assert worker.left() == []
