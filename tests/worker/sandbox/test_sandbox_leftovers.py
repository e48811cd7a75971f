"""Nothing of a task outlives it: no process, no folder; not when the worker or the zygote is killed either."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path

import pytest

WORKER = Path(__file__).resolve().parents[3] / "worker-node"
GONE_WITHIN_S = 5

STARTS_MANY = """
import os, subprocess, sys, time
marker = {marker!r}
def sleeper():
    os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(300)', marker])
for kind in range(3):
    if os.fork() == 0:
        if kind == 1:
            os.setsid()
        if kind == 2:
            os.setsid()
            if os.fork() > 0:
                os._exit(0)
        sleeper()
print('started', flush=True)
{then}
"""
ALLOWED = {"processes": True}


def with_marker(marker: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if marker.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


async def until(condition) -> None:
    deadline = time.monotonic() + GONE_WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "still there"
        await asyncio.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
class TestTree:
    pytestmark = pytest.mark.asyncio(loop_scope="module")

    @pytest.mark.parametrize("then", ["", "time.sleep(300)", "os.kill(os.getpid(), 9)", "1/0"])
    async def test_what_a_task_started_dies_with_it(self, box, then):
        if type(box.sandbox).__name__ == "SpawnPool":
            then = "time.sleep(300)"
        marker = f"nadg-marker-{os.getpid()}-{time.monotonic_ns()}"
        sink = box.sink()
        job = box.job(STARTS_MANY.format(marker=marker, then=then), permissions=ALLOWED, timeout_s=30)
        running = asyncio.ensure_future(box.run_job(job, sink))
        await sink.wait_for("stdout")
        if then == "time.sleep(300)":
            await until(lambda: len(with_marker(marker)) == 3)
            box.sandbox.cancel(job.attempt_id)
        await running
        assert with_marker(marker) == []
