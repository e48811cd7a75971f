"""The process that drives a run is killed with -9 at random moments: nothing is lost, nothing recorded twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from nadg_kernel import values
from nadg_kernel.model import EventType
from nadg_kernel.stores.sqlite import SqliteStore

ROOT = Path(__file__).parents[1]


def start(folder, shards, urls=()):
    command = [sys.executable, "-m", "tests.support.killed_run", str(folder), str(shards), *urls]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def outliving_worker(tmp, capacity=4):
    """A worker of its own, that knows nothing of the process that uses it; gives its URL."""
    environment = {"PATH": os.environ["PATH"], "PORT": "0", "TMPDIR": str(tmp), "NADG_PRELOAD": ""}
    process = subprocess.Popen(
        [sys.executable, "main.py", "--announce"], cwd=ROOT / "worker-node", text=True,
        env={**environment, "NADG_CAPACITY": str(capacity)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
    finally:
        process.kill()
        process.communicate()


def wait_until(progress, moment, process, deadline=60.0):
    """Until so much is done, or the process ended."""
    until = time.monotonic() + deadline
    while process.poll() is None and time.monotonic() < until and progress() < moment:
        time.sleep(0.002)


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def journalled(folder, outcome="succeeded"):
    """How many attempts the journal says have succeeded, read from outside."""
    if not (folder / "nadg.db").exists():
        return 0
    with closing(sqlite3.connect(f"file:{folder / 'nadg.db'}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute("select count(*) from attempts where outcome = ?", (outcome,)).fetchone()[0]
        except sqlite3.OperationalError:
            return 0  # the file is just being made


def counters(url):
    with urllib.request.urlopen(f"{url}/status") as answer:  # noqa: S310 - our own worker
        return json.load(answer)["counters"]


async def journal(folder):
    store = SqliteStore(folder / "nadg.db")
    await store.open()
    try:
        return [event async for event in store.read("r1")]
    finally:
        await store.close()


def killed(folder, shards, kills, seed, *, urls=(), progress):
    """Kill and resume until it ends; gives the journal. `progress` counts what is done, from outside."""
    draw = random.Random(seed)
    for moment in sorted(draw.sample(range(1, shards), kills)):
        process = start(folder, shards, urls)
        wait_until(progress, moment, process)
        time.sleep(draw.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = start(folder, shards, urls)
    output, errors = process.communicate(timeout=100)
    assert output.strip() == "succeeded", errors
    return asyncio.run(journal(folder))


def killed_with_its_workers(folder, shards, kills, seed):
    """Attempts end with the process. Executions are lines in a file."""
    log = folder / "executions"
    events = killed(folder, shards, kills, seed, progress=lambda: lines(log))
    check(events, shards, seed)
    ran = Counter(line.split()[2] for line in log.read_text().splitlines())
    intended = {event.attempt_id for event in events if event.type is EventType.ATTEMPT_INTENDED}
    assert set(ran) <= intended, "nothing ran that was not written down before"
    assert max(ran.values()) == 1
    return events, ran.total()


def killed_without_its_workers(folder, shards, kills, seed):
    """Attempts outlive the process. Executions are counted by the worker."""
    (folder / "worker").mkdir()
    with outliving_worker(folder / "worker") as url:
        events = killed(folder, shards, kills, seed, urls=[url], progress=lambda: journalled(folder))
        check(events, shards, seed)
        return events, counters(url)


def check(events, shards, seed):
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
    total = values.decode(values.from_ref(done["end", 0].payload["result"]["value"], lambda _sha: b""))
    assert total == sum(range(shards))


@pytest.mark.serial
def test_a_run_survives_three_kills(tmp_path):
    events, _ = killed_with_its_workers(tmp_path, shards=60, kills=3, seed=1)
    assert max(event.epoch for event in events) == 4
    starts = [event.payload["resumed"] for event in events if event.type is EventType.RUN_STARTED]
    assert starts == [False, True, True, True]


@pytest.mark.serial
def test_what_runs_on_a_worker_that_outlives_the_kernel_is_not_run_again(tmp_path):
    events, counted = killed_without_its_workers(tmp_path, shards=40, kills=3, seed=2)
    lost = {e.attempt_id for e in events if e.type is EventType.ATTEMPT_ENDED and e.payload["outcome"] == "lost"}
    begun = {e.attempt_id for e in events if e.type is EventType.ATTEMPT_STARTED}
    assert counted["succeeded"] == 41, "each shard was executed once"
    assert counted["started"] == 41
    assert not lost & begun, "only what was never sent was lost"


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_a_run_survives_ten_kills(tmp_path, seed):
    events, ran = killed_with_its_workers(tmp_path, shards=300, kills=10, seed=seed)
    print(f"seed {seed}: 301 shards, 10 kills, {ran - 301} executed again, {len(events)} events")


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_a_run_on_lasting_workers_survives_ten_kills(tmp_path, seed):
    events, counted = killed_without_its_workers(tmp_path, shards=200, kills=10, seed=seed)
    print(f"seed {seed}: 201 shards, 10 kills, the worker counted {counted}, {len(events)} events")
    assert counted["succeeded"] == 201
