"""One worker for a long day: thousands of tasks in a row leave its memory, descriptors and disk as they were."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

TASKS = int(os.environ.get("NADG_TEST_SOAK_TASKS", "10000"))
SEED = int(os.environ.get("NADG_TEST_SEED", "7"))
WORKER = Path(__file__).resolve().parents[2] / "worker-node"
GROWTH_KB = 8 * 1024
"""For allocators and remembered ids. A kilobyte lost with each of 10,000 tasks is more."""
SPARE_DESCRIPTORS = 8
"""Children forked ahead come and go."""

# Code, and how it ends: every way out of a task has to give back what it took.
KINDS = (
    ("result = 1 + 1", "succeeded"),
    ("import pandas as pd\nresult = pd.DataFrame({'n': range(shard, 2_000)})", "succeeded"),
    ("print('x' * 20_000)\ndisplay({'text/plain': 'shown'})\nprogress(0.5, 'half')", "succeeded"),
    ("open('made.bin', 'wb').write(b'x' * 50_000)\nimport os\nos.makedirs('a/b')", "succeeded"),
    ("data = bytearray(60_000_000)\nresult = len(data)", "succeeded"),
    ("raise ValueError('as a task may')", "failed"),
    ("import os\nos._exit(3)", "failed"),
    ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "failed"),
)


@dataclass(frozen=True)
class Process:
    """What a process holds."""

    memory_kb: int
    descriptors: int

    def __str__(self):
        return f"{self.memory_kb:,} kB, {self.descriptors} descriptors"


@dataclass(frozen=True)
class State:
    """The worker, its zygote, and what it has on the disk."""

    worker: Process
    zygote: Process
    processes: int
    files: int

    def __str__(self):
        return f"worker {self.worker}; zygote {self.zygote}; {self.processes} processes, {self.files} files"


def status(pid, name):
    return int(re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1])


def held(pid):
    try:
        descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except PermissionError:  # a worker that hides its memory hides these too; the size of their table is public
        descriptors = status(pid, "FDSize")
    return Process(memory_kb=status(pid, "VmRSS"), descriptors=descriptors)


def children(pid):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(text.rpartition(")")[2].split()[1]) == pid:
            found.append(int(path.parent.name))
    return found


def zygote_of(worker):
    (found,) = [pid for pid in children(worker) if "zygote.py" in Path(f"/proc/{pid}/cmdline").read_text()]
    return found


def state(worker, tmp):
    zygote = zygote_of(worker)
    return State(
        worker=held(worker),
        zygote=held(zygote),
        processes=1 + len(children(worker)) + len(children(zygote)),
        files=sum(1 for _ in tmp.rglob("*")),
    )


async def start(tmp):
    keep = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    # Answers are kept for an hour, within a size: a small one is full before the first look.
    own = {"PORT": "0", "TMPDIR": str(tmp), "NADG_PRELOAD": "numpy,pandas", "NADG_ANSWERS_MB": "1"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "main.py", "--announce", cwd=WORKER, env=keep | own, stdout=asyncio.subprocess.PIPE
    )


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_tasks_in_a_row_leave_a_worker_as_it_was(tmp_path):
    rng = random.Random(SEED)
    process = await start(tmp_path)
    try:
        announced = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        base = f"http://127.0.0.1:{announced['port']}"
        async with httpx2.AsyncClient(base_url=base, trust_env=False, timeout=120) as client:

            async def some(count):
                for _ in range(count):
                    code, outcome = rng.choice(KINDS)
                    answer = (await client.post("/execute", json={"task": code})).json()
                    assert answer["outcome"] == outcome, answer

            async def look(done):
                async with asyncio.timeout(20):
                    while (await client.get("/health")).json()["running"]:  # noqa: ASYNC110 - over HTTP, no event
                        await asyncio.sleep(0.05)
                found = state(process.pid, tmp_path)
                print(f"after {done:,} tasks (seed {SEED}): {found}", flush=True)
                return found

            print()
            warm = TASKS // 10
            await some(warm)
            first, zygote = await look(warm), zygote_of(process.pid)
            done = warm
            for quarter in range(1, 5):
                await some(TASKS * quarter // 4 - done)
                done = TASKS * quarter // 4
                last = await look(done)
            assert zygote_of(process.pid) == zygote, "it never had to be started again"
            counters = (await client.get("/status")).json()["counters"]
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)
    assert counters["started"] == TASKS
    assert children(process.pid) == []
    assert last.worker.memory_kb <= first.worker.memory_kb + GROWTH_KB
    assert last.zygote.memory_kb <= first.zygote.memory_kb + GROWTH_KB
    assert last.worker.descriptors <= first.worker.descriptors + SPARE_DESCRIPTORS
    assert last.zygote.descriptors <= first.zygote.descriptors + SPARE_DESCRIPTORS
    assert abs(last.processes - first.processes) <= SPARE_DESCRIPTORS
    assert last.files <= first.files + SPARE_DESCRIPTORS
