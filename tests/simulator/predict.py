"""What the simulator predicts for grids larger than anybody's: `python -m tests.simulator.predict [WORKERS ...]`."""

from __future__ import annotations

import sys
import time
from random import Random

from nadg_kernel.model import RunState
from tests.simulator.world import Machine, World
from tests.support.scheduling import subtask

CAPACITY, SHARDS_A_PLACE = 4, 20


def predict(workers):
    """One mapped subtask of 5 to 15 s a shard, 50 ms to reach a worker, one attempt in a thousand lost."""
    places = workers * CAPACITY
    count = places * (SHARDS_A_PLACE if workers < 10_000 else SHARDS_A_PLACE // 2)
    random = Random(1)
    seconds = [random.uniform(5, 15) for _ in range(count)]
    grid = [Machine(name=f"w{n}", capacity=CAPACITY, latency_s=0.05, lost=0.001) for n in range(workers)]
    world = World(
        [subtask("m", over="x")], grid, shards={"m": count}, durations=lambda _, n: seconds[n], check=False
    )  # fmt: skip
    begun = time.process_time()
    assert world.run(until=1e12) is RunState.SUCCEEDED
    spent = time.process_time() - begun
    bound = sum(seconds) / places
    return (
        f"| {workers:,} | {count:,} | {world.now:.0f} | {bound:.0f} | {world.now / bound:.2f} "
        f"| {count / world.now:,.0f} | {spent / count * 1e6:.0f} |"
    )


if __name__ == "__main__":
    print("| workers | shards | makespan, s | work / places, s | ratio | shards/s | us a shard |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for number in [int(text) for text in sys.argv[1:]] or [10, 100, 1_000, 10_000]:
        print(predict(number), flush=True)
