"""The worker against what people use: a confined attempt over HTTP beside a bare fork, dask, a pool, `python -c`.

Everything is measured in one run on one machine, in turns, because only ratios carry over to another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

WORKER = Path(__file__).resolve().parents[1] / "worker-node"
CODE = "result = 1 + 1"
ROUNDS, PER_ROUND = 10, 40
IN_FLIGHT, TOGETHER = 8, 600
SPAWNS = 8
LATENCY_BAR, DASK_BAR, SPAWN_BAR = 1.0, 1.1, 40.0

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


class Client:
    """One kept-alive connection; as thin as can be, so that the server is what is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self._reader, self._writer = reader, writer
        body = json.dumps({"task": CODE}).encode()
        head = f"POST /execute HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        self._request = head.encode() + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)

    async def execute(self) -> None:
        """One attempt, from request to answer."""
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        assert json.loads(body)["status"] == "completed", body

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


def nothing(number: int) -> int:
    """The same work, for the engines that take functions."""
    return number + 1


def pool_rate() -> float:
    """ProcessPoolExecutor: two processes that live on, nothing confined."""
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(nothing, range(20)))
        begun = time.perf_counter()
        list(pool.map(nothing, range(TOGETHER)))
        return TOGETHER / (time.perf_counter() - begun)


async def dask_rate() -> float:
    """dask.distributed: two processes that live on, nothing confined, eight in flight."""
    from distributed import Client as DaskClient
    from distributed import LocalCluster

    async with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, asynchronous=True, dashboard_address=None
        ) as cluster,
        DaskClient(cluster, asynchronous=True) as client,
    ):
        left = iter(range(TOGETHER))

        async def work() -> None:
            for number in left:
                await client.submit(nothing, number, pure=False)

        await client.submit(nothing, 0, pure=False)
        begun = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
        return TOGETHER / (time.perf_counter() - begun)


def spawn_rate() -> float:
    """A fresh interpreter that imports numpy and pandas, per task."""
    begun = time.perf_counter()
    for _ in range(SPAWNS):
        subprocess.run([sys.executable, "-c", f"import numpy, pandas; {CODE}"], check=True)  # noqa: S603
    return SPAWNS / (time.perf_counter() - begun)


async def measure(ports: tuple[int, int]) -> dict[str, float]:
    """All numbers: latencies in milliseconds, rates per second."""
    trivial_port, worker_port = ports
    environment = {"PORT": str(worker_port), "NADG_CAPACITY": str(IN_FLIGHT), "NADG_PRELOAD": "numpy,pandas"}
    forked: list[float] = []
    trivial: list[float] = []
    isolated: list[float] = []
    found: dict[str, float] = {}
    async with (
        server("-c", TRIVIAL, str(trivial_port), port=trivial_port),
        server(str(WORKER / "main.py"), env=environment, port=worker_port),
    ):
        clients = [Client(*await asyncio.open_connection("127.0.0.1", worker_port), worker_port) for _ in range(8)]
        simple = Client(*await asyncio.open_connection("127.0.0.1", trivial_port), trivial_port)
        await timed(clients[0].execute, 50)
        with forker() as forks:
            for _ in range(ROUNDS):
                forked += await asyncio.to_thread(forks, PER_ROUND)
                trivial += await timed(simple.execute, PER_ROUND)
                isolated += await timed(clients[0].execute, PER_ROUND)
            paused = await timed(clients[0].execute, PER_ROUND, pause_s=0.01)
        found["worker, 8 in flight"] = await rate(clients, TOGETHER)
        for client in (*clients, simple):
            client.close()
    for name, spent in (("bare fork", forked), ("trivial round trip", trivial), ("isolated attempt", isolated)):
        found[name] = statistics.median(spent) * 1000
    found["isolated attempt, 10 ms between"] = statistics.median(paused) * 1000
    found["dask.distributed, 8 in flight"] = await dask_rate()
    found["ProcessPoolExecutor"] = await asyncio.to_thread(pool_rate)
    found["python -c with numpy and pandas"] = await asyncio.to_thread(spawn_rate)
    return found


def free_ports() -> tuple[int, int]:
    """Two ports that nobody uses now."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def main() -> int:
    """Print the table; gives the exit code, 0 when the bars are met."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        found = asyncio.run(measure(free_ports()))
    print(f"worker, on {platform.machine()} with {os.cpu_count()} cores, Python {platform.python_version()}")
    for name, value in found.items():
        unit = "per second" if "flight" in name or "Executor" in name or "python -c" in name else "ms p50"
        print(f"  {name:34} {value:9.2f} {unit}")
    latency = found["isolated attempt"] / (found["bare fork"] + found["trivial round trip"])
    beside_dask = found["worker, 8 in flight"] / found["dask.distributed, 8 in flight"]
    beside_spawn = found["worker, 8 in flight"] / found["python -c with numpy and pandas"]
    bars = [
        ("isolated p50 / (bare fork + trivial round trip)", latency, latency <= LATENCY_BAR, f"at most {LATENCY_BAR}"),
        ("attempts/s / dask.distributed", beside_dask, beside_dask >= DASK_BAR, f"at least {DASK_BAR}"),
        ("attempts/s / python -c", beside_spawn, beside_spawn >= SPAWN_BAR, f"at least {SPAWN_BAR}"),
    ]
    for name, value, met, bar in bars:
        print(f"  {name:50} {value:6.2f} x  (bar: {bar}) {'met' if met else 'MISSED'}")
    return 0 if all(met for _, _, met, _ in bars) else 1


if __name__ == "__main__":
    raise SystemExit(main())
