"""Attempts over a network that breaks at random: each ends once, none runs twice, and what is told is true."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
from collections import Counter

import pytest

from nadg_kernel import values
from nadg_kernel.engines.attempt import Patience
from nadg_kernel.engines.client import Timeouts, WorkerClient, WorkerEndpoint
from nadg_kernel.engines.http import HttpEngine
from nadg_kernel.engines.local import LocalWorkers
from nadg_kernel.model import Limits
from tests.engines.made import Memory, end_of, spec
from tests.support.fault_proxy import FaultProxy

CODE = "print('shard', shard); progress(0.5, 'half'); result = {'shard': shard, 'data': inputs['x'][:3] + 'y' * 70_000}"
LARGE = "z" * 100_000


async def through_a_bad_network(tmp_path, *, seed, every, count):
    """Outcomes of `count` attempts, and how many the worker started."""
    blobs = Memory()
    local = LocalWorkers(1, tmp_path)
    (direct,) = await local.start()
    ref = values.to_ref(values.encode(LARGE), 65_536, lambda _sha256, data: blobs.put(data))
    port = int(direct.url.rpartition(":")[2])
    async with FaultProxy(port, seed=seed, every=every) as proxy:
        engine = HttpEngine(
            [WorkerEndpoint(worker_id="w", url=proxy.url, token=direct.token)],
            blobs,
            patience=Patience(give_up=20, first_delay=0.01, most_delay=0.2, rng=random.Random(seed)),
            timeouts=Timeouts(connect=5, answer=1.0, silence=1.0),
        )
        await engine.start()
        places = asyncio.Semaphore(2)

        async def one(number):
            async with places:
                for attempt in range(20):
                    made = spec(f"x{number}-{attempt}", CODE, shard=number, shards=count, inputs={"x": ref})
                    end = await end_of(engine.submit(made), within=100)
                    outcomes[end["outcome"]] += 1
                    if end["outcome"] == "succeeded":
                        value = values.decode(values.from_ref(end["result"]["value"], blobs.get))
                        assert value == {"shard": number, "data": "zzz" + "y" * 70_000}
                        assert end["result"]["stdout"] == f"shard {number}\n"
                        return
                    assert end["outcome"] in {"lost", "rejected"}, end
                    assert end["reason"]
                raise AssertionError(f"shard {number} never came through: {end}")

        outcomes = Counter()
        await asyncio.gather(*(one(number) for number in range(count)))
        await engine.close()
    client = WorkerClient(direct)
    counters = (await client.status()).counters
    await client.close()
    await local.close()
    return outcomes, counters, proxy.counts


def check(outcomes, counters, faults, count, seed):
    print(f"seed {seed}:", dict(outcomes), counters, dict(faults))
    assert outcomes["succeeded"] == count
    # An attempt that was rejected has not run; one that succeeded ran once; of one that was lost nobody knows.
    assert count <= counters["started"] <= count + outcomes["lost"]
    assert sum(faults.values()) > count / 2


@pytest.mark.serial
async def test_a_bad_network(tmp_path):
    check(*await through_a_bad_network(tmp_path, seed=7, every=60_000, count=20), 20, 7)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(5))
async def test_a_bad_network_for_long(seed, tmp_path):
    check(*await through_a_bad_network(tmp_path, seed=seed, every=40_000, count=400), 400, seed)


class Killed:
    """Shards run to their end on local workers, while one of these is killed whenever all are ready again."""

    def __init__(self, folder, workers, seed):
        self.blobs, self.rng = Memory(), random.Random(seed)
        self.engine = HttpEngine([], self.blobs, patience=Patience(give_up=20, first_delay=0.01, most_delay=0.2))
        self.local = LocalWorkers(workers, folder, self.changed)
        self.workers, self.kills, self.outcomes = workers, 0, Counter()

    def changed(self, change):
        if change.reason:
            self.engine.lose_worker(change.endpoint, change.reason)
        else:
            self.engine.put_worker(change.endpoint)

    def ready(self):
        return [state.worker_id for state in self.engine.snapshot() if state.health == "ready"]

    async def shard(self, number, count):
        for attempt in itertools.count():
            async for state in self.engine.workers():
                if state.health == "ready":
                    break
            ready = self.ready()
            code = f"import time; time.sleep({self.rng.uniform(0, 0.1):.3f}); result = shard"
            made = spec(
                f"k{number}-{attempt}", code, shard=number, shards=count, worker_id=self.rng.choice(ready),
                limits=Limits(timeout_s=60),
            )  # fmt: skip
            end = await end_of(self.engine.submit(made), within=100)
            self.outcomes[end["outcome"]] += 1
            if end["outcome"] == "succeeded":
                return end["result"]["value"]["value"]
            assert end["outcome"] in {"lost", "rejected"}, end
            await asyncio.sleep(0.02)
        raise AssertionError

    async def kill(self, every_s):
        while True:
            await asyncio.sleep(every_s)
            if len(self.ready()) == self.workers:
                victim = self.rng.choice(self.local._keepers)._process
                os.kill(victim._popen.pid, signal.SIGKILL)
                self.kills += 1
                await victim.ended()


async def with_killed_workers(folder, *, workers, count, every_s, seed):
    grid = Killed(folder, workers, seed)
    await grid.engine.start()
    await grid.local.start()
    places = asyncio.Semaphore(workers * 2)

    async def placed(number):
        async with places:
            return await grid.shard(number, count)

    killing = asyncio.ensure_future(grid.kill(every_s))
    try:
        results = await asyncio.gather(*(placed(number) for number in range(count)))
    finally:
        killing.cancel()
        await grid.local.close()
        await grid.engine.close()
    print(f"seed {seed}:", dict(grid.outcomes), "kills", grid.kills)
    assert results == list(range(count))
    assert grid.kills > 0


@pytest.mark.serial
async def test_killed_workers(tmp_path):
    await with_killed_workers(tmp_path, workers=2, count=60, every_s=0.3, seed=7)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_killed_workers_for_long(tmp_path):
    await with_killed_workers(tmp_path, workers=4, count=1000, every_s=2, seed=7)
