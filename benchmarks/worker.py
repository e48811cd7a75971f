"""The worker beside what people use: a confined attempt over HTTP, a bare fork, dask, a pool, `python -c`.

Everything is measured in one run on one machine, in turns, because only ratios carry over to another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.report import TIMES, Row, at_least, at_most, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

WORKER = Path(__file__).resolve().parents[1] / "worker-node"
CODE = "result = 1 + 1"
IN_FLIGHT = 8
LATENCY_BAR, DASK_BAR, SPAWN_BAR = 1.0, 1.1, 40.0
HEALTH_BAR_MS = 50.0
BURN = "import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: sum(range(1000))"

FORKS = """
import gc, os, sys, time
import numpy, pandas
gc.collect(); gc.freeze()
for line in sys.stdin:
    spent = []
    for _ in range(int(line)):
        begun = time.perf_counter()
        child = os.fork()
        if child == 0:
            exec(compile("result = 1 + 1", "<task>", "exec"), {})
            os._exit(0)
        os.waitpid(child, 0)
        spent.append(time.perf_counter() - begun)
    print(*spent, flush=True)
"""
TRIVIAL = """
import sys
import uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.post("/execute")
async def execute(body: dict) -> dict:
    return {"status": "completed", "output": body["task"]}
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
"""


@dataclass(frozen=True)
class Sizes:
    """How often everything is done."""

    rounds: int = 10
    per_round: int = 40
    together: int = 600
    spawns: int = 8
    burn_s: float = 4.0


QUICK = Sizes(rounds=2, per_round=10, together=80, spawns=2, burn_s=0.5)


class Client:
    """One kept-alive connection; as thin as can be, so that the server is what is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self._reader, self._writer, self._port = reader, writer, port
        self._request = self._attempt(CODE)

    def _attempt(self, code: str) -> bytes:
        body = json.dumps({"task": code}).encode()
        head = f"POST /execute HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
        return head.encode() + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)

    async def execute(self) -> None:
        """One attempt, from request to answer."""
        await self._send(self._request, "completed")

    async def burn(self, seconds: float) -> None:
        """An attempt that computes for so long."""
        await self._send(self._attempt(BURN.format(seconds=seconds)), "completed")

    async def health(self) -> None:
        """Whether the worker answers."""
        await self._send(f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n".encode(), "ok")

    async def _send(self, request: bytes, status: str) -> None:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        assert json.loads(body)["status"] == status, body

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


@contextlib.asynccontextmanager
async def server(*command: str, env: dict[str, str] | None = None, port: int) -> AsyncIterator[None]:
    """A server process that answers on a port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, env={**os.environ, **(env or {})}, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(OSError):
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                await asyncio.sleep(0.05)
        yield
    finally:
        process.terminate()
        await process.wait()


@contextlib.contextmanager
def forker() -> Iterator[Callable[[int], list[float]]]:
    """A process with numpy and pandas loaded that forks, runs one line and waits."""
    process = subprocess.Popen([sys.executable, "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def forks(count: int) -> list[float]:
        stdin.write(f"{count}\n")
        stdin.flush()
        return [float(word) for word in stdout.readline().split()]

    try:
        forks(1)
        yield forks
    finally:
        stdin.close()
        stdout.close()
        process.wait()


async def timed(call: Callable[[], Awaitable[None]], count: int, pause_s: float = 0.0) -> list[float]:
    """Seconds of each call, one after the other."""
    spent = []
    for _ in range(count):
        if pause_s:
            await asyncio.sleep(pause_s)
        begun = time.perf_counter()
        await call()
        spent.append(time.perf_counter() - begun)
    return spent


async def rate(clients: list[Client], count: int) -> float:
    """Attempts a second with one attempt in flight per client."""
    left = iter(range(count))

    async def work(client: Client) -> None:
        for _ in left:
            await client.execute()

    begun = time.perf_counter()
    await asyncio.gather(*(work(client) for client in clients))
    return count / (time.perf_counter() - begun)


async def health_under_load(clients: list[Client], port: int, seconds: float) -> list[float]:
    """Seconds of each /health while every client's attempt computes."""
    asking = Client(*await asyncio.open_connection("127.0.0.1", port), port)
    burning = asyncio.gather(*(client.burn(seconds) for client in clients))
    spent: list[float] = []
    await asyncio.sleep(seconds / 8)  # all have started
    end = time.perf_counter() + 0.75 * seconds
    while time.perf_counter() < end:
        spent += await timed(asking.health, 1, pause_s=0.005)
    await burning
    asking.close()
    return spent


def nothing(number: int) -> int:
    """The same work, for the engines that take functions."""
    return number + 1


def pool_rate(together: int) -> float:
    """ProcessPoolExecutor: two processes that live on, nothing confined."""
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(nothing, range(20)))
        begun = time.perf_counter()
        list(pool.map(nothing, range(together)))
        return together / (time.perf_counter() - begun)


async def dask_rate(together: int) -> float | None:
    """dask.distributed: two processes that live on, nothing confined, eight in flight; None if not installed."""
    try:
        from distributed import Client as DaskClient
        from distributed import LocalCluster
    except ImportError:
        return None

    async with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, asynchronous=True, dashboard_address=":0"
        ) as cluster,
        DaskClient(cluster, asynchronous=True) as client,
    ):
        left = iter(range(together))

        async def work() -> None:
            for number in left:
                await client.submit(nothing, number, pure=False)

        await client.submit(nothing, 0, pure=False)
        begun = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
        return together / (time.perf_counter() - begun)


def spawn_rate(spawns: int) -> float:
    """A fresh interpreter that imports numpy and pandas, per task."""
    begun = time.perf_counter()
    for _ in range(spawns):
        subprocess.run([sys.executable, "-c", f"import numpy, pandas; {CODE}"], check=True)  # noqa: S603
    return spawns / (time.perf_counter() - begun)


@dataclass(frozen=True, kw_only=True)
class Found:
    """All numbers: medians in milliseconds, rates a second; `missing` names the layers that are not active here."""

    fork: float
    trivial: float
    isolated: float
    paused: float
    together: float
    health: list[float]
    dask: float | None
    pool: float
    spawn: float
    missing: str


async def measure(ports: tuple[int, int], sizes: Sizes) -> Found:
    """Everything, in turns."""
    trivial_port, worker_port = ports
    environment = {"PORT": str(worker_port), "NADG_CAPACITY": str(IN_FLIGHT), "NADG_PRELOAD": "numpy,pandas"}
    forked: list[float] = []
    trivial: list[float] = []
    isolated: list[float] = []
    async with (
        server("-c", TRIVIAL, str(trivial_port), port=trivial_port),
        server(str(WORKER / "main.py"), env=environment, port=worker_port),
    ):
        missing = await asyncio.to_thread(missing_layers, worker_port)
        clients = [Client(*await asyncio.open_connection("127.0.0.1", worker_port), worker_port) for _ in range(8)]
        simple = Client(*await asyncio.open_connection("127.0.0.1", trivial_port), trivial_port)
        await timed(clients[0].execute, 50)
        with forker() as forks:
            for _ in range(sizes.rounds):
                forked += await asyncio.to_thread(forks, sizes.per_round)
                trivial += await timed(simple.execute, sizes.per_round)
                isolated += await timed(clients[0].execute, sizes.per_round)
            paused = await timed(clients[0].execute, sizes.per_round, pause_s=0.01)
        together = await rate(clients, sizes.together)
        health = await health_under_load(clients, worker_port, sizes.burn_s)
        for client in (*clients, simple):
            client.close()
    return Found(
        fork=statistics.median(forked) * 1000,
        trivial=statistics.median(trivial) * 1000,
        isolated=statistics.median(isolated) * 1000,
        paused=statistics.median(paused) * 1000,
        together=together,
        health=sorted(seconds * 1000 for seconds in health),
        dask=await dask_rate(sizes.together),
        pool=await asyncio.to_thread(pool_rate, sizes.together),
        spawn=await asyncio.to_thread(spawn_rate, sizes.spawns),
        missing=missing,
    )


def missing_layers(port: int) -> str:
    """The sandbox's layers that this machine lacks, by name."""
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback never goes through a proxy
    with opener.open(f"http://127.0.0.1:{port}/health", timeout=30) as answer:
        layers = json.load(answer)["sandbox"]
    return ", ".join(name for name, state in layers.items() if not state.startswith("active"))


def free_ports() -> tuple[int, int]:
    """Two ports that nobody uses now."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def rows(quick: bool) -> list[Row]:  # noqa: FBT001 - the common interface
    """The three bars, and what else people use."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        found = asyncio.run(measure(free_ports(), QUICK if quick else Sizes()))
    bare, many = found.fork + found.trivial, f"{IN_FLIGHT} in flight"
    why_not = f"the bar is for all layers; not active here: {found.missing}" if found.missing else ""
    return [
        Row(what="fork of a process with numpy and pandas, p50", measured=found.fork, unit="ms"),
        Row(what="trivial round trip over the same HTTP stack, p50", measured=found.trivial, unit="ms"),
        Row(
            what="isolated attempt, p50", measured=found.isolated, unit="ms", bar=at_most(LATENCY_BAR, TIMES),
            ratio=found.isolated / bare, note="over fork and round trip", why_not=why_not,
        ),
        Row(
            what="isolated attempt, 10 ms between, p50", measured=found.paused, unit="ms", ratio=found.paused / bare,
            note="over fork and round trip",
        ),
        Row(
            what=f"worker, {many}", measured=found.together, unit="/s", bar=at_least(DASK_BAR, TIMES),
            ratio=found.together / found.dask if found.dask else None, why_not=why_not,
            note="over dask.distributed" if found.dask else "dask.distributed is not installed",
        ),
        Row(
            what=f"worker, {many}", measured=found.together, unit="/s", bar=at_least(SPAWN_BAR, TIMES),
            ratio=found.together / found.spawn, note="over python -c", why_not=why_not,
        ),
        Row(
            what=f"/health while {IN_FLIGHT} attempts compute, p99", unit="ms",
            measured=found.health[len(found.health) * 99 // 100],
            bar=at_most(HEALTH_BAR_MS, "ms"), note=f"p50 {found.health[len(found.health) // 2]:.3g} ms",
        ),
        Row(what=f"dask.distributed, 2 workers, {many}, not isolated", measured=found.dask, unit="/s"),
        Row(what="ProcessPoolExecutor, 2 processes, not isolated", measured=found.pool, unit="/s"),
        Row(what='python -c "import numpy, pandas" per task', measured=found.spawn, unit="/s"),
    ]  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(run(__doc__, rows))
