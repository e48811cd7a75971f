"""A grid whose Supabase goes away within a run: the run ends, the person sees it, and both histories agree."""

from __future__ import annotations

import time

import pytest

from nadg_kernel import Grid, Plan
from nadg_kernel.model import RunState
from nadg_kernel.runview import run_html
from nadg_kernel.settings import Secret, Settings
from tests.stores.made import events, rows

pytestmark = [pytest.mark.xdist_group("supabase"), pytest.mark.timeout(180)]

SUBTASKS = 200
FRAMES = {"runs": "run_id", "history": "subtask", "attempts": "attempt_id", "shards": "subtask", "edits": "field"}


def chains(count):
    """Ten chains side by side, so that half of them is not over before the other half has begun."""
    plan = Plan(command="count to two hundred")
    for number in range(count):
        needs = [f"s{number - 10}"] if number >= 10 else []
        plan = plan.add(id=f"s{number}", code=f"result = {number}", depends_on=needs)
    return plan.approve(by="tester")


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def done(run):
    return sum(item.state.good for item in run.progress.subtasks.values())


async def compared(store, run_id):
    """Waits until the replica has everything, then gives what differs between both stores."""
    assert await store.flush(60)
    different = []
    if await events(store.remote, run_id) != await events(store.local, run_id):
        different.append("events")
    if await store.remote.get_plan(run_id) != await store.local.get_plan(run_id):
        different.append("plan")
    for frame, key in FRAMES.items():
        here, there = [
            sorted(await rows(one, frame, run=run_id), key=lambda row: (str(row[key]), str(row)))
            for one in (store.local, store.remote)
        ]
        if here != there:
            different.append(frame)
    return different


@pytest.fixture
def grid(project, tmp_path):
    project.empty()
    key = Secret(project.secret)
    settings = Settings(home=tmp_path, local_workers=2, supabase_url=project.url, supabase_service_key=key)
    with Grid(settings=settings) as grid:
        yield grid
        if project.server is None:
            project.start()


@pytest.mark.parametrize("seconds", [2, pytest.param(30, marks=pytest.mark.soak)])
def test_supabase_goes_away_within_a_run(grid, project, seconds):
    run = grid.run(chains(SUBTASKS), show=False)
    until(lambda: done(run) >= SUBTASKS // 4)
    project.stop()
    gone = time.monotonic()
    until(lambda: run.progress.store_notice)
    assert done(run) < SUBTASKS, "it was to go away within the run"
    assert run.progress.store_notice.startswith("Supabase: cannot reach Supabase at 127.0.0.1")
    assert "cannot reach Supabase" in run_html(run.progress)
    assert run.wait(120).state is RunState.SUCCEEDED
    assert len(grid.history(run=run.id)) == SUBTASKS, "answered from the journal"
    later = grid.run(chains(2), show=False).wait(60)
    assert later.progress.store_notice == run.progress.store_notice, "a run that starts meanwhile says so too"
    time.sleep(max(0.0, gone + seconds - time.monotonic()))  # the outage is this long, whatever the run takes
    project.start()
    until(lambda: grid.store.state.ok)
    assert grid.store.state.caught_up > 0
    for each in (run, later):
        assert grid.loop.run(compared(grid.store, each.id)) == []
    kinds = [event.type for event in grid.loop.run(events(grid.store.local, run.id))]
    assert kinds.count("store_degraded") == 1
