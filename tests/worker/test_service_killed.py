"""Kill -9 while 50 attempts run: every attempt ends with an Outcome and a reason, no process and no folder is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from nadg_kernel.engines.attempt import Patience
from nadg_kernel.engines.client import Timeouts, WorkerEndpoint
from nadg_kernel.engines.http import HttpEngine
from nadg_kernel.model import Limits, Permissions
from nadg_kernel.settings import Secret
from tests.engines.made import Memory, spec

from .conftest import until
from .started import Started, started

pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and other systems have no zygote to kill"),
]

ATTEMPTS = 50
TOKEN = "token-of-the-killed-worker"
CODE = """
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(300)
open('left', 'w').write('x')
print(os.getpid(), flush=True)
time.sleep(300)
"""


def below(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [found for child in children for found in (int(child), *below(int(child)))]
    return []


def name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class Followed:
    """Attempts followed by the engine, as a grid does it: which have printed, and how each ended."""

    def __init__(self, engine: HttpEngine) -> None:
        self._engine = engine
        self.speaking: set[str] = set()
        self.all_speak = asyncio.Event()

    async def run(self, attempt_id: str) -> dict:
        permissions, limits = Permissions(processes=True), Limits(timeout_s=100, processes=8)
        async for event in self._engine.submit(spec(attempt_id, CODE, permissions=permissions, limits=limits)):
            if event.type == "stdout":
                self.speaking.add(attempt_id)
                if len(self.speaking) == ATTEMPTS:
                    self.all_speak.set()
        return dict(event.data)


def zygote_of(worker: Started) -> int:
    return next(pid for pid in below(worker.process.pid) if "zygote" in name(pid))


def victims(worker: Started, whom: str) -> list[int]:
    if whom == "worker":
        return [worker.process.pid]
    zygote = zygote_of(worker)
    if whom == "zygote":
        return [zygote]
    tasks = [int(pid) for pid in Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()]
    return [pid for pid in tasks if below(pid)]  # a spare has no child


@pytest.mark.parametrize(
    ("whom", "outcome", "says"),
    [
        ("worker", "lost", "worker"),
        ("zygote", "lost", "forked from died"),
        ("tasks", "failed", "SIGKILL"),
    ],
)
async def test_all_of_fifty_attempts_end_and_nothing_is_left(tmp_path, whom, outcome, says):
    environment = {"NADG_CAPACITY": str(ATTEMPTS), "NADG_AUTH_TOKEN": TOKEN}
    async with started(tmp_path, **environment) as worker, asyncio.timeout(60):
        url = str(worker.client.base_url).rstrip("/")
        endpoint = WorkerEndpoint(worker_id="w", url=url, token=Secret(TOKEN))
        # Slow is not dead: a loaded machine takes its time to start fifty attempts.
        timeouts = Timeouts(connect=10.0, answer=30.0, silence=30.0)
        engine = HttpEngine([endpoint], Memory(), timeouts=timeouts, patience=Patience(give_up=1.0))
        try:
            followed = Followed(engine)
            running = [asyncio.ensure_future(followed.run(f"a{number}")) for number in range(ATTEMPTS)]
            await followed.all_speak.wait()
            children = below(worker.process.pid)
            assert len(children) > 2 * ATTEMPTS
            for pid in victims(worker, whom):
                os.kill(pid, signal.SIGKILL)
            ends = await asyncio.gather(*running)
        finally:
            await engine.close()
        assert {end["outcome"] for end in ends} == {outcome}
        assert [end["reason"] or end["error"] for end in ends if says not in str(end)] == []
        if whom != "worker":
            await until(lambda: not any("left" in str(path) for path in tmp_path.rglob("*")), 5)
            assert (await worker.client.get("/health")).json()["running"] == 0
            worker.process.kill()
        await worker.process.wait()
        await until(lambda: not any(alive(pid) for pid in children), 5)
        await until(lambda: worker.left() == [], 5)
