"""A whole grid while its workers are killed: every shard has one result, and the journal tells it once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from nadg_kernel import Grid, Plan, RunState
from nadg_kernel.engines import local
from nadg_kernel.model import EventType

SEED = int(os.environ.get("NADG_TEST_SEED", "7"))
SHARDS = int(os.environ.get("NADG_TEST_CHAOS_SHARDS", "1000"))
EVERY_S = 2.0


def killer(grid, stop, rng, killed):
    """Kill -9 one ready local worker every two seconds, its process only: the worker's own end is its zygote's."""
    while not stop.wait(EVERY_S):
        ready = [state.worker_id for state in grid.worker_states() if state.health == "ready"]
        keepers = [keeper for keeper in grid._fleet._local._keepers if keeper.worker_id in ready]
        if len(keepers) > 1:
            victim = rng.choice(keepers)
            os.kill(victim._process._popen.pid, signal.SIGKILL)
            killed.append(victim.worker_id)


def a_worker_whose_tasks_reach_a_file(folder):
    """A copy of the worker that does not keep tasks from files: only so can they count what neither side counts."""
    shutil.copytree(local.worker_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    module = folder / "sandbox" / "__init__.py"
    made = "ForkServer(preload=preload, capacity=capacity)"
    text = module.read_text()
    assert made in text
    open_ones = made.replace("capacity=capacity", 'capacity=capacity, off=frozenset({"landlock", "identity"})')
    module.write_text(text.replace(made, open_ones))
    return folder


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_workers_that_are_killed_lose_nothing(seed, tmp_path, monkeypatch):
    worker = a_worker_whose_tasks_reach_a_file(tmp_path / "worker")
    monkeypatch.setattr(local, "worker_folder", lambda: worker)
    executions = Path(tmp_path / "executions")
    executions.touch()
    plan = Plan(command="chaos").add(id="rows", code=f"result = list(range({SHARDS}))")
    code = f"""
import os, time
with open({str(executions)!r}, 'a') as file:
    file.write(f'{{shard}}\\n')
time.sleep(0.05)
result = inputs['rows'][0]
"""
    plan = plan.add(id="m", code=code, map={"over": "rows", "shards": SHARDS}, cache=False)
    plan = plan.add(id="end", code="result = inputs['m']", depends_on=["m"], inputs=["m"])
    stop, killed, events = threading.Event(), [], []
    with Grid(home=tmp_path, local_workers=4, planner="recipes") as grid:
        assert grid.wait_ready(4, 120)
        thread = threading.Thread(target=killer, args=(grid, stop, random.Random(seed), killed))
        run = grid.run(plan.approve(), show=False)
        run.subscribe(events.append)
        thread.start()
        try:
            run.wait(3000)
        finally:
            stop.set()
            thread.join()
        assert run.state is RunState.SUCCEEDED, run
        result = run["end"].value
        frame = grid.attempts(run=run.id)
    outcomes = Counter(frame[frame["subtask"] == "m"]["outcome"])
    executed = Counter(int(line) for line in executions.read_text().splitlines())
    print(
        f"\nseed {seed}: {SHARDS} shards, {len(killed)} workers killed, attempts {dict(outcomes)}, "
        f"executed {executed.total()} times, {sum(count > 1 for count in executed.values())} shards more than once"
    )
    # Recorded once; executed at least once, and again only where an attempt was lost.
    assert executed.keys() == set(range(SHARDS))
    assert executed.total() <= SHARDS + outcomes["lost"]
    assert result == list(range(SHARDS))
    assert killed
    won = Counter(
        event.shard
        for event in events
        if event.type is EventType.ATTEMPT_ENDED and event.subtask == "m" and event.payload["outcome"] == "succeeded"
    )
    assert won == Counter(range(SHARDS)), "each shard succeeded once"
    assert outcomes["succeeded"] == SHARDS
    assert set(outcomes) <= {"succeeded", "lost", "rejected"}
