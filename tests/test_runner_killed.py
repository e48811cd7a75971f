"""The process that drives a run is killed with -9 at random moments: nothing is lost, nothing recorded twice."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from nadg_kernel import values
from nadg_kernel.model import EventType
from nadg_kernel.stores.sqlite import SqliteStore

ROOT = Path(__file__).parents[1]


def start(folder, shards):
    command = [sys.executable, "-m", "tests.support.killed_run", str(folder), str(shards)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_lines(path, count, process, deadline=60.0):
    """Until so many attempts were executed, or the process ended."""
    until = time.monotonic() + deadline
    while process.poll() is None and time.monotonic() < until:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.002)


async def journal(folder):
    store = SqliteStore(folder / "nadg.db")
    await store.open()
    try:
        return [event async for event in store.read("r1")]
    finally:
        await store.close()


def killed(folder, shards, kills, seed):
    """Kill and resume until it ends; gives the journal and the executions, both checked."""
    draw = random.Random(seed)
    log = folder / "executions"
    moments = sorted(draw.sample(range(1, shards), kills))
    for moment in moments:
        process = start(folder, shards)
        wait_for_lines(log, moment, process)
        time.sleep(draw.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = start(folder, shards)
    output, errors = process.communicate(timeout=100)
    assert output.strip() == "succeeded", errors
    events = asyncio.run(journal(folder))
    executions = [line.split() for line in log.read_text().splitlines()]
    check(events, executions, shards, seed)
    return events, executions


def check(events, executions, shards, seed):
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    done = {}
    for event in events:
        key = event.subtask, event.shard
        if event.type is EventType.ATTEMPT_ENDED and event.payload["outcome"] == "succeeded":
            assert key not in done, f"{key} is recorded twice (seed {seed})"
            done[key] = event
        elif event.type is EventType.ATTEMPT_INTENDED:
            assert key not in done, f"{key} was finished and is run again (seed {seed})"
    assert set(done) == {("end", 0), *(("m", n) for n in range(shards))}, f"nothing is lost (seed {seed})"
    intended = Counter(event.attempt_id for event in events if event.type is EventType.ATTEMPT_INTENDED)
    ended = Counter(event.attempt_id for event in events if event.type is EventType.ATTEMPT_ENDED)
    assert intended == ended, "every attempt ends once"
    ran = Counter(attempt for _, _, attempt in executions)
    assert set(ran) <= set(intended), "nothing ran that was not written down before"
    assert max(ran.values()) == 1
    total = values.decode(values.from_ref(done["end", 0].payload["result"]["value"], lambda _sha: b""))
    assert total == sum(range(shards))


@pytest.mark.serial
def test_a_run_survives_three_kills(tmp_path):
    events, _ = killed(tmp_path, shards=60, kills=3, seed=1)
    assert max(event.epoch for event in events) == 4
    starts = [event.payload["resumed"] for event in events if event.type is EventType.RUN_STARTED]
    assert starts == [False, True, True, True]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_a_run_survives_ten_kills(tmp_path, seed):
    events, executions = killed(tmp_path, shards=300, kills=10, seed=seed)
    again = len(executions) - 301
    print(f"seed {seed}: 301 shards, 10 kills, {again} executed again, {len(events)} events")
