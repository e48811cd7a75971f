"""How close a run comes to the shortest possible one: max(critical path, work / slots)."""

from __future__ import annotations

from random import Random

import pytest

from nadg_kernel.model import RunState
from tests.simulator.world import Machine, World
from tests.support.scheduling import subtask


def makespan(parts, seconds, slots, *, shards=None, workers=4):
    """The simulated makespan over the lower bound, and how much of the bound is the critical path."""
    grid = [Machine(name=f"w{n}", capacity=slots // workers) for n in range(workers)]
    world = World(parts, grid, shards=shards or {}, durations=lambda name, number: seconds[name, number], check=False)
    assert world.run(until=1e12) is RunState.SUCCEEDED
    counts = {part.id: (shards or {}).get(part.id, 2) if part.map else 1 for part in parts}
    longest = {part.id: max(seconds[part.id, n] for n in range(counts[part.id])) for part in parts}
    path = {}
    for part in parts:
        path[part.id] = longest[part.id] + max((path[need] for need in part.depends_on), default=0.0)
    work = sum(seconds[part.id, n] for part in parts for n in range(counts[part.id]))
    critical = max(path.values())
    return world.now / max(critical, work / slots), critical / (work / slots)


def layered(random, size, depth, spread):
    """Subtasks in `depth` layers, each depending on two of the layer above; durations spread over a factor."""
    width = size // depth
    parts, seconds = [], {}
    for number in range(width * depth):
        layer = number // width
        above = range((layer - 1) * width, layer * width)
        needs = () if not layer else tuple(f"s{n}" for n in sorted(random.sample(above, 2)))
        parts.append(subtask(f"s{number}", *needs))
        seconds[f"s{number}", 0] = random.uniform(1.0, spread)
    return parts, seconds


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("spread", [1.0, 3.0, 8.0])
def test_is_within_a_tenth_where_there_is_enough_to_do(seed, spread):
    """At least 50 shards a slot, the critical path at most 5% of work / slots."""
    random = Random(seed)
    slots = 8
    parts, seconds = layered(random, slots * 150, 2, spread)
    ratio, path = makespan(parts, seconds, slots)
    assert path <= 0.05, "the case itself"
    assert ratio <= 1.10
    shards = {"m": slots * 55}
    seconds = {("m", n): random.uniform(1.0, spread) for n in range(shards["m"])}
    ratio, path = makespan([subtask("m", over="x")], seconds, slots, shards=shards)
    assert path <= 0.05
    assert ratio <= 1.10


@pytest.mark.parametrize("seed", range(3))
def test_of_many_small_chains(seed):
    random = Random(seed)
    slots, parts, seconds = 8, [], {}
    for chain in range(slots * 40):
        for place in range(2):
            name = f"c{chain}_{place}"
            parts.append(subtask(name, *([f"c{chain}_{place - 1}"] if place else [])))
            seconds[name, 0] = random.uniform(0.5, 2.0)
    ratio, path = makespan(parts, seconds, slots)
    assert path <= 0.05
    assert ratio <= 1.10


def test_distribution_for_other_plans(capsys):
    """No plan, however shaped, takes more than twice the bound (Graham, 1966)."""
    rows = []
    for seed in range(30):
        random = Random(seed)
        parts, seconds = layered(
            random, random.choice([16, 64, 256]), random.choice([2, 4, 8]), random.choice([1, 4, 16])
        )
        rows.append(makespan(parts, seconds, 8))
    ratios = sorted(ratio for ratio, _ in rows)
    with capsys.disabled():
        quantiles = ", ".join(f"{q:.0%}: {ratios[int(q * (len(ratios) - 1))]:.2f}" for q in (0.5, 0.9, 1.0))
        print(f"\nmakespan over its lower bound, 30 plans of any shape: {quantiles}")
    assert ratios[-1] <= 2.0
