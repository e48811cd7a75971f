"""What people use for the same shards, each on as many processes and with as many shards in flight as the grid."""

from __future__ import annotations

import logging
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.loads import IN_FLIGHT, WORKERS, Load, Rate

FEW = 20
"""A fresh process for each shard is so slow that this share of the shards says enough."""
_ALONE = 50


def _first(flying: set[Any]) -> tuple[set[Any], set[Any]]:
    done, rest = wait(flying, return_when=FIRST_COMPLETED)
    return done, rest


@dataclass(frozen=True)
class Way:
    """How to send a shard, to get its result, and to wait for the first of several: (those that are done, the rest)."""

    submit: Callable[[Load], Any]
    result: Callable[[Any], object] = lambda future: future.result()
    first: Callable[[set[Any]], tuple[set[Any], set[Any]]] = _first


@dataclass(frozen=True)
class Rival:
    """One of them. `install` is what brings it; `fresh` ones give each shard a process of its own."""

    name: str
    open: Callable[[], Any]
    module: str = ""
    install: str = ""
    fresh: bool = False


@contextmanager
def pool() -> Iterator[Way]:
    """The standard library's processes, used again and again."""
    with ProcessPoolExecutor(WORKERS) as executor:
        yield Way(lambda load: executor.submit(load.call, load.data))


@contextmanager
def fresh_pool() -> Iterator[Way]:
    """The standard library's processes, each for one shard; forked from a server that has imported nothing."""
    with multiprocessing.get_context("forkserver").Pool(WORKERS, maxtasksperchild=1) as processes:

        def submit(load: Load) -> Future[object]:
            future: Future[object] = Future()
            processes.apply_async(load.call, (load.data,), {}, future.set_result, future.set_exception)
            return future

        yield Way(submit)


@contextmanager
def dask() -> Iterator[Way]:
    """dask.distributed on single-threaded worker processes."""
    from distributed import Client, LocalCluster
    from distributed import wait as dask_wait

    def first(flying: set[Any]) -> tuple[set[Any], set[Any]]:
        done, rest = dask_wait(list(flying), return_when="FIRST_COMPLETED")
        return set(done), set(rest)

    cluster = LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=":0")
    with cluster, Client(cluster) as client:
        yield Way(lambda load: client.submit(load.call, load.data, pure=False), first=first)


@contextmanager
def ipyparallel() -> Iterator[Way]:
    """ipyparallel's engines behind its load-balanced view."""
    import ipyparallel as ipp

    with ipp.Cluster(n=WORKERS, log_level=logging.ERROR) as client:
        view = client.load_balanced_view()
        yield Way(lambda load: view.apply_async(load.call, load.data))


@contextmanager
def ray(**options: Any) -> Iterator[Way]:
    """ray's workers on this machine alone."""
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # read when it is imported
    import ray as library

    library.init(num_cpus=WORKERS, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    try:

        def submit(load: Load) -> Any:
            made = library.remote(**options) if options else library.remote
            return made(load.call).remote(load.data)

        def first(flying: set[Any]) -> tuple[set[Any], set[Any]]:
            done, rest = library.wait(list(flying), num_returns=1)
            return set(done), set(rest)

        yield Way(submit, library.get, first)
    finally:
        library.shutdown()


DASK = Rival("dask.distributed", dask, "distributed", "pip install distributed")
_RAY = {"module": "ray", "install": "uv sync --inexact --all-extras --group bench-ray"}
RIVALS = (
    DASK,
    Rival("ProcessPoolExecutor", pool),
    Rival("multiprocessing.Pool, a fresh process each", fresh_pool, fresh=True),
    Rival("ipyparallel", ipyparallel, "ipyparallel", "uv sync --inexact --all-extras --group bench"),
    Rival("ray", ray, **_RAY),
    Rival("ray, a fresh process each", lambda: ray(max_calls=1), fresh=True, **_RAY),
)


def rates(rival: Rival, loads: tuple[Load, ...]) -> dict[str, Rate]:
    """The rate of each load. Raises ImportError where the rival is not installed."""
    with rival.open() as way:
        return {load.name: _rate(_fewer(load) if rival.fresh else load, way) for load in loads}


def _fewer(load: Load) -> Load:
    return replace(load, count=max(load.count // FEW, 4))


def _rate(load: Load, way: Way) -> Rate:
    for _ in range(2 * WORKERS):
        way.result(way.submit(load))
    alone = []
    for _ in range(min(load.count, _ALONE)):
        began = time.perf_counter()
        way.result(way.submit(load))
        alone.append(time.perf_counter() - began)
    began = time.perf_counter()
    flying: set[Any] = set()
    left = load.count
    while left or flying:
        while left and len(flying) < IN_FLIGHT:
            flying.add(way.submit(load))
            left -= 1
        done, flying = way.first(flying)
        for future in done:
            way.result(future)
    return Rate(load.count / (time.perf_counter() - began), statistics.median(alone) * 1000)
