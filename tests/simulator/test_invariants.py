"""What holds for every plan on every grid: nothing lost, nothing recorded twice, nobody idle without need."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nadg_kernel.model import RunState
from tests.simulator.plans import happenings, machines, plans, schedule
from tests.simulator.world import Machine, World
from tests.support.scheduling import subtask

RELAXED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}


def simulate(parts, grid, happened, seed, fails):
    def seconds(name, number):
        return 0.1 + (int(name[1:]) * 7 + number * 3) % 50 / 10

    world = World(parts, grid, seed=seed, durations=seconds, fails=fails, shards={p.id: len(p.id) for p in parts})
    schedule(world, happened, len(parts))
    world.run()
    world.check_end()
    return world


@settings(max_examples=60, **RELAXED)
@given(plans(), machines(), st.integers(0, 9), st.sampled_from([0.0, 0.1]))
def test_every_plan_ends_on_every_grid(parts, grid, seed, fails):
    simulate(parts, grid, [], seed, fails)


@settings(max_examples=100, **RELAXED)
@given(plans(most=40), machines(), happenings, st.integers(0, 9), st.sampled_from([0.0, 0.1]))
def test_whatever_people_and_kernels_do(parts, grid, happened, seed, fails):
    simulate(parts, grid, happened, seed, fails)


@pytest.mark.soak
@settings(max_examples=3000, **RELAXED)
@given(plans(), machines(), happenings, st.integers(0, 99), st.sampled_from([0.0, 0.02, 0.1, 0.5]))
def test_whatever_people_and_kernels_do_for_long(parts, grid, happened, seed, fails):
    simulate(parts, grid, happened, seed, fails)


def test_a_thousand_shards_while_one_worker_is_killed_every_two_seconds():
    names = [f"w{n}" for n in range(4)]
    grid = [
        Machine(name=name, capacity=2, crashes=tuple(float(t) for t in range(2 + 2 * n, 400, 8)), down_s=1.0)
        for n, name in enumerate(names)
    ]
    parts = [subtask("m", over="x"), subtask("end", "m")]
    world = World(parts, grid, shards={"m": 1000}, durations=lambda *_: 0.3)
    assert world.run() is RunState.SUCCEEDED
    world.check_end()
    assert sum(world.recorded[("m", n)] for n in range(1000)) == 1000


def test_the_oracle_itself_notices_idleness():
    """A scheduler that sleeps is found out."""
    world = World([subtask("a"), subtask("b")], [Machine(name="w0", capacity=2)])
    world.scheduler.decide = lambda now: ([], None)
    world.states = {"a": "ready", "b": "ready"}
    with pytest.raises(AssertionError, match="is ready and w0 is free"):
        world._decide()
