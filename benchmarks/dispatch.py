"""Dispatch of the same shards: the grid's engines, confined, beside what people use, mostly without isolation."""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import tempfile
import time
import warnings
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.loads import IN_FLIGHT, LOADS, WORKERS, Load, Memory, Rate
from benchmarks.report import TIMES, Row, at_least, run
from benchmarks.rivals import DASK, RIVALS, Rival, rates
from nadg_kernel import values
from nadg_kernel.engines.base import AttemptSpec, WorkerHealth
from nadg_kernel.engines.http import HttpEngine
from nadg_kernel.engines.local import LocalChange, LocalWorkers
from nadg_kernel.loop import new_loop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

BAR_DASK = 1.1


@asynccontextmanager
async def over_http(blobs: Memory) -> AsyncIterator[HttpEngine]:
    """The engine over local workers."""
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
        try:
            yield engine
        finally:
            await local.close()
            await engine.close()


@asynccontextmanager
async def over_dask(blobs: Memory) -> AsyncIterator[HttpEngine]:
    """The engine over a Dask cluster, with as many places on each worker as a local one has."""
    from distributed import LocalCluster

    from nadg_kernel.engines.dask.engine import DaskEngine

    with LocalCluster(n_workers=WORKERS, threads_per_worker=2, dashboard_address=":0") as cluster:
        engine = DaskEngine(cluster.scheduler_address, blobs)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()


def grid_rates(loads: Sequence[Load], *, on_dask: bool = False) -> dict[str, Rate]:
    """Through an engine of ours, on a grid's kind of event loop, with every layer of the sandbox that is here."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_grid_rates(loads, on_dask=on_dask))


async def _grid_rates(loads: Sequence[Load], *, on_dask: bool) -> dict[str, Rate]:
    blobs = Memory()
    async with (over_dask if on_dask else over_http)(blobs) as engine:
        async with asyncio.timeout(120):
            async for _state in engine.workers():
                if sum(state.health is WorkerHealth.READY for state in engine.snapshot()) == WORKERS:
                    break
        return {load.name: await _grid_rate(engine, blobs, load) for load in loads}


async def _grid_rate(engine: HttpEngine, blobs: Memory, load: Load) -> Rate:
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

    places = {state.worker_id: asyncio.Semaphore(state.capacity) for state in engine.snapshot()}
    names = list(places)
    for warm in range(2 * WORKERS):
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


def _found(rival: Rival, loads: tuple[Load, ...]) -> dict[str, Rate] | str:
    """What a rival does, or why there is nothing to say of it."""
    if rival.module and not find_spec(rival.module):
        return f"not installed: {rival.install}"
    try:
        return rates(rival, loads)
    except Exception as error:  # noqa: BLE001 - whatever another project raises, our own figures are shown
        return f"it did not run: {str(error) or type(error).__name__}"[:200]


def rows(quick: bool) -> list[Row]:  # noqa: FBT001 - the common interface
    """Each load through each engine, ours over dask's; the bar is for the trivial load."""
    warnings.simplefilter("ignore")
    loads = tuple(replace(load, count=max(load.count // 10, 4)) for load in LOADS) if quick else LOADS
    grid = grid_rates(loads)
    others = {rival: _found(rival, loads) for rival in RIVALS}
    dask = known if isinstance(known := others[DASK], dict) else {}
    on_dask = grid_rates(loads, on_dask=True) if dask else {}
    found = []
    for load in loads:
        what, bar = f"{load.name}, {IN_FLIGHT} in flight", at_least(BAR_DASK, TIMES) if load is loads[0] else None
        found.append(_ours(f"{what}: grid, confined", grid[load.name], dask.get(load.name), bar=bar))
        if on_dask:
            found.append(_ours(f"{what}: grid on dask, confined", on_dask[load.name], dask[load.name]))
        for rival, rated in others.items():
            if isinstance(rated, dict):
                rate = rated[load.name]
                alone = f"{rate.alone_ms:.1f} ms alone"
                found.append(Row(what=f"{what}: {rival.name}", measured=rate.per_second, unit="/s", note=alone))
    return found + [
        Row(what=rival.name, measured=None, unit="/s", note=why)
        for rival, why in others.items()
        if isinstance(why, str)
    ]


def _ours(what: str, rate: Rate, dask: Rate | None, **more: object) -> Row:
    ratio = rate.per_second / dask.per_second if dask else None
    note = f"{'over' if dask else 'no'} dask.distributed; {rate.alone_ms:.1f} ms alone"
    return Row(what=what, measured=rate.per_second, unit="/s", ratio=ratio, note=note, **more)


if __name__ == "__main__":
    raise SystemExit(run(__doc__, rows))
