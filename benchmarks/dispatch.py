"""Dispatch of the same shards: the grid's engine, confined, beside what people use, without isolation."""

from __future__ import annotations

import asyncio
import hashlib
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.report import TIMES, Row, at_least, run
from nadg_kernel import values
from nadg_kernel.engines.base import AttemptSpec
from nadg_kernel.engines.http import HttpEngine
from nadg_kernel.engines.local import LocalChange, LocalWorkers

WORKERS = 2
IN_FLIGHT = 8
BAR_DASK = 1.1
MEGABYTES = 10


@dataclass(frozen=True)
class Load:
    """One kind of shard: the code for a worker, the same as a function of its input, and how many of them."""

    name: str
    code: str
    call: Callable[[bytes], object]
    data: bytes
    count: int


def trivial(_data: bytes) -> int:
    """Nothing but the way there and back."""
    return 1


def burn(_data: bytes) -> int:
    """100 ms of CPU."""
    end = time.process_time() + 0.1
    turns = 0
    while time.process_time() < end:
        turns += 1
    return turns


def reverse(data: bytes) -> bytes:
    """10 MB in, 10 MB out."""
    return data[::-1]


BURN = """
import time
end = time.process_time() + 0.1
turns = 0
while time.process_time() < end:
    turns += 1
result = turns
"""
LOADS = (
    Load("trivial", "result = 1", trivial, b"", 400),
    Load("100 ms of CPU", BURN, burn, b"", 40),
    Load(f"{MEGABYTES} MB in and out", 'result = inputs["data"][::-1]', reverse, os.urandom(MEGABYTES * 2**20), 12),
)


class Memory:
    """Blobs in memory: the disk is not what is compared here."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        """Keep bytes by their digest."""
        digest = hashlib.sha256(data).hexdigest()
        self._data[digest] = data
        return digest

    def get(self, sha256: str) -> bytes:
        """The bytes."""
        return self._data[sha256]

    def has(self, sha256: str) -> bool:
        """Whether they are here."""
        return sha256 in self._data


class Rate:
    """Shards a second with `IN_FLIGHT` in flight, and the median time of one alone, in ms."""

    def __init__(self, per_second: float, alone_ms: float) -> None:
        """Take both."""
        self.per_second, self.alone_ms = per_second, alone_ms


async def grid_rates(loads: tuple[Load, ...]) -> dict[str, Rate]:
    """Through HttpEngine on local workers, with every layer of the sandbox that this machine has."""
    blobs = Memory()
    engine = HttpEngine([], blobs)
    await engine.start()

    def changed(change: LocalChange) -> None:
        if change.reason:
            engine.lose_worker(change.endpoint, change.reason)
        else:
            engine.put_worker(change.endpoint)

    with tempfile.TemporaryDirectory() as folder:
        local = LocalWorkers(WORKERS, Path(folder), changed)
        await local.start()
        names = [item.worker_id for item in local.endpoints]
        assert len(names) == WORKERS, local.failures
        try:
            return {load.name: await _grid_rate(engine, blobs, names, load) for load in loads}
        finally:
            await local.close()
            await engine.close()


async def _grid_rate(engine: HttpEngine, blobs: Memory, names: list[str], load: Load) -> Rate:
    ref = values.to_ref(values.encode(load.data), 65_536, lambda _sha256, data: _put(blobs, data))
    spec = AttemptSpec(
        attempt_id="", run_id="bench", subtask="s", shard=0, shards=1, worker_id="", kind="python", code=load.code,
        inputs={"data": ref} if load.data else {},
    )  # fmt: skip

    async def one(worker: str, number: int) -> None:
        async with places[worker]:  # as the scheduler: never more on a worker than it has places
            name = f"{hashlib.sha256(load.name.encode()).hexdigest()[:8]}-{worker}-{number}"
            attempt = replace(spec, attempt_id=name, worker_id=worker)
            last = [event async for event in engine.submit(attempt)][-1].data
            assert last["outcome"] == "succeeded", last

    async def lane(number: int, todo: list[int]) -> None:
        while todo:
            await one(names[number % len(names)], todo.pop())

    capacities = {state.worker_id: state.capacity for state in engine.snapshot()}
    places = {name: asyncio.Semaphore(capacities[name]) for name in names}
    for warm in range(4):
        await one(names[warm % len(names)], -1 - warm)
    alone = []
    for number in range(min(load.count, 50)):
        began = time.perf_counter()
        await one(names[0], 1_000_000 + number)
        alone.append(time.perf_counter() - began)
    todo = list(range(load.count))
    began = time.perf_counter()
    await asyncio.gather(*(lane(number, todo) for number in range(IN_FLIGHT)))
    return Rate(load.count / (time.perf_counter() - began), statistics.median(alone) * 1000)


def _put(blobs: Memory, data: bytes) -> None:
    blobs.put(data)


def pool_rates(loads: tuple[Load, ...]) -> dict[str, Rate]:
    """Through a ProcessPoolExecutor of as many processes."""
    with ProcessPoolExecutor(WORKERS) as pool:
        return {
            load.name: _rate(load, lambda load: pool.submit(load.call, load.data), lambda f: f.result(), _wait_futures)
            for load in loads
        }


def dask_rates(loads: tuple[Load, ...]) -> dict[str, Rate] | None:
    """Through dask.distributed on as many single-threaded worker processes; None if it is not installed."""
    try:
        from distributed import Client, LocalCluster
        from distributed import wait as dask_wait
    except ImportError:
        return None
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):

        def first(flying: set[object]) -> tuple[set[object], set[object]]:
            done, rest = dask_wait(list(flying), return_when="FIRST_COMPLETED")
            return set(done), set(rest)

        def submit(load: Load) -> object:
            return client.submit(load.call, load.data, pure=False)

        return {load.name: _rate(load, submit, lambda future: future.result(), first) for load in loads}


def _rate(
    load: Load, submit: Callable[[Load], object], result: Callable[..., object], first: Callable[..., object]
) -> Rate:
    for _ in range(4):
        result(submit(load))
    alone = []
    for _ in range(min(load.count, 50)):
        began = time.perf_counter()
        result(submit(load))
        alone.append(time.perf_counter() - began)
    began = time.perf_counter()
    flying: set[object] = set()
    left = load.count
    while left or flying:
        while left and len(flying) < IN_FLIGHT:
            flying.add(submit(load))
            left -= 1
        done, flying = first(flying)  # type: ignore[misc]
        for future in done:
            result(future)
    return Rate(load.count / (time.perf_counter() - began), statistics.median(alone) * 1000)


def _wait_futures(flying: set[object]) -> tuple[set[object], set[object]]:
    done, rest = wait(flying, return_when=FIRST_COMPLETED)  # type: ignore[type-var]
    return set(done), set(rest)


def rows(quick: bool) -> list[Row]:  # noqa: FBT001 - the common interface
    """Each load through each engine, ours over dask's; the bar is for the trivial load."""
    warnings.simplefilter("ignore")
    loads = tuple(replace(load, count=max(load.count // 10, 4)) for load in LOADS) if quick else LOADS
    grid, dask, pool = asyncio.run(grid_rates(loads)), dask_rates(loads), pool_rates(loads)
    found = []
    for load in loads:
        name, rate = load.name, grid[load.name]
        bar = at_least(BAR_DASK, TIMES) if load.call is trivial else None
        beside = "over dask.distributed" if dask else "dask.distributed is not installed"
        found.append(
            Row(
                what=f"{name}, {IN_FLIGHT} in flight: grid, confined", measured=rate.per_second, unit="/s", bar=bar,
                ratio=rate.per_second / dask[name].per_second if dask else None,
                note=f"{beside}; {rate.alone_ms:.1f} ms alone",
            )
        )  # fmt: skip
        for engine, rates in (("dask.distributed", dask), ("ProcessPoolExecutor", pool)):
            if rates:
                what, alone = f"{name}, {IN_FLIGHT} in flight: {engine}", f"{rates[name].alone_ms:.1f} ms alone"
                found.append(Row(what=what, measured=rates[name].per_second, unit="/s", note=alone))
    return found


if __name__ == "__main__":
    raise SystemExit(run(__doc__, rows))
