"""Nothing of a task outlives it: no process, no folder; not when the worker or the zygote is killed either."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest

BACK_ENDS = ["fork", "spawn"]

WORKER = Path(__file__).resolve().parents[3] / "worker-node"
GONE_WITHIN_S = 5

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
STUBBORN = """
import signal, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
print('started', flush=True)
while True:
    time.sleep(1)
"""


def with_marker(marker: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if marker.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def below(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for child in children for found in (int(child), *below(int(child)))]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def until(condition) -> None:
    deadline = time.monotonic() + GONE_WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "still there"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("then", ["", "time.sleep(300)", "os.kill(os.getpid(), 9)", "1/0"])
async def test_what_a_task_started_dies_with_it(box, then):
    marker = f"nadg-marker-{os.getpid()}-{time.monotonic_ns()}"
    sink = box.sink()
    job = box.job(STARTS_MANY.format(marker=marker, then=then), permissions=ALLOWED, timeout_s=30)
    running = asyncio.ensure_future(box.run_job(job, sink))
    if then == "time.sleep(300)":
        await sink.wait_for("stdout")
        await until(lambda: len(with_marker(marker)) == 3)
        box.sandbox.cancel(job.attempt_id)
    await running
    assert with_marker(marker) == []


WORKER_MAIN = """
import asyncio, os, sys
sys.path[:0] = [{worker!r}, {tests!r}]
from conftest import Box, KeepingSink, make
from pathlib import Path
async def main():
    sandbox = make({back_end!r}, folder=Path({folder!r}))
    await sandbox.start()
    box = Box(sandbox, Path({folder!r}))
    job = box.job({code!r}, permissions={{'processes': {processes}}}, timeout_s=100)
    sink = KeepingSink()
    task = asyncio.ensure_future(sandbox.run(job, sink))
    await sink.wait_for('stdout')
    print('running', flush=True)
    await task
asyncio.run(main())
"""


@pytest.mark.parametrize("back_end", BACK_ENDS)
@pytest.mark.parametrize("processes", [False, True])
async def test_nothing_is_left_when_the_worker_is_killed(tmp_path, back_end, processes):
    marker = f"nadg-marker-{os.getpid()}-{time.monotonic_ns()}"
    code = STARTS_MANY.format(marker=marker, then="time.sleep(300)") if processes else STUBBORN
    program = WORKER_MAIN.format(
        worker=str(WORKER),
        tests=str(Path(__file__).parent),
        back_end=back_end,
        folder=str(tmp_path),
        code=code,
        processes=processes,
    )
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", program, marker, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(20):
        assert await worker.stdout.readline() == b"running\n"
    descendants = below(worker.pid)
    assert descendants
    worker.kill()
    await worker.wait()
    await until(lambda: not any(alive(pid) for pid in descendants) and with_marker(marker) == [])
    await until(lambda: not list(tmp_path.glob("nadg-tasks-*")))


async def test_a_dead_zygote_loses_its_attempts_and_is_started_again(forked):
    box = forked
    jobs = [(box.job(STUBBORN), box.sink()) for _ in range(3)]
    running = [asyncio.ensure_future(box.run_job(job, sink)) for job, sink in jobs]
    for _, sink in jobs:
        await sink.wait_for("stdout")
    before = box.sandbox.zygote_pid
    os.kill(before, signal.SIGKILL)
    for tried in await asyncio.gather(*running):
        assert tried.outcome == "lost"
        assert "forked from died" in tried.detail.message
    await until(lambda: box.sandbox.zygote_pid not in (None, before))
    assert (await box.run("result = 1")).result == 1


async def test_a_spare_that_was_killed_is_not_given_a_task(forked):
    await until(lambda: len(forked.sandbox._pool._spares) == 2)
    for spare in forked.sandbox._pool._spares:
        os.kill(spare.pid, signal.SIGKILL)
    await until(lambda: all(spare.dead for spare in forked.sandbox._pool._spares))
    assert (await forked.run("result = 1")).result == 1


async def test_attempts_that_are_given_up_at_any_moment_leave_their_slots(forked):
    box, pool = forked, forked.sandbox._pool

    async def give_up(number: int) -> None:
        attempt = asyncio.ensure_future(
            box.run("import time\ntime.sleep(0.05)", permissions={"network": number % 5 == 0})
        )
        for _ in range(number):  # a turn of the event loop each: some are still forked for, some run, some end
            await asyncio.sleep(0)
        attempt.cancel()
        await asyncio.wait([attempt])

    await asyncio.gather(*(give_up(number) for number in range(60)))
    await until(lambda: len(pool._free) + len(pool._spares) == len(pool._slots) and len(pool._spares) == 2)
    assert (await box.run("result = 1")).result == 1
