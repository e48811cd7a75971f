"""Heartbeat: a thousand workers, served by one process on loopback, asked and written in one batch."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from benchmarks.report import Row, at_most, run
from nadg_kernel.registry import AT_ONCE, Registry
from nadg_kernel.stores.base import WorkerRow
from nadg_kernel.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WORKERS, QUICK_WORKERS = 1_000, 100
BAR_S = 5.0
ROUNDS = 3


class CountingStore(SqliteStore):
    """Counts the batches of workers that are written."""

    batches = 0

    async def upsert_workers(self, rows: Sequence[WorkerRow]) -> None:
        """See SqliteStore."""
        self.batches += 1
        await super().upsert_workers(rows)


class Answer(asyncio.Protocol):
    """Says of the worker on its port that it is well, to each request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Prepare the answer."""
        port = transport.get_extra_info("sockname")[1]
        health = {"status": "ok", "worker_id": f"w{port}", "boot_id": "b", "uptime_s": 1, "protocol": 1}
        health |= {"running": 0, "capacity": 2, "labels": ["cpu"], "sandbox": {"seccomp": "active"}}
        body = json.dumps(health).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport, self._answer, self._request = cast("asyncio.Transport", transport), head.encode() + body, b""

    def data_received(self, data: bytes) -> None:
        """Answer once the request is whole; it has no body."""
        self._request += data
        if self._request.endswith(b"\r\n\r\n"):
            self._request = b""
            self._transport.write(self._answer)


async def serve(workers: int) -> None:
    """Answer /health on a port for each worker, until stdin closes; prints the ports first."""
    _allow_files(4 * workers)
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Answer, "127.0.0.1", 0) for _ in range(workers)]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await asyncio.to_thread(sys.stdin.read)


def _allow_files(count: int) -> None:
    """A thousand sockets listen; the usual limit is 1,024 files."""
    with contextlib.suppress(ImportError, ValueError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count if most == resource.RLIM_INFINITY else min(count, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


@contextlib.contextmanager
def served(workers: int) -> Iterator[list[int]]:
    """The ports of a process that serves all workers."""
    command = [sys.executable, "-m", "benchmarks.heartbeat", "serve", str(workers)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


async def beats(folder: Path, ports: Sequence[int]) -> tuple[list[float], float, float]:
    """Seconds of each heartbeat, the processor's seconds of one, and the median seconds of an answer."""
    store = CountingStore(folder / "nadg.db")
    await store.open()
    await store.upsert_workers([WorkerRow(worker_id=f"w{port}", url=f"http://127.0.0.1:{port}") for port in ports])
    registry, took, answers = Registry(store, None), [], []
    busy = time.process_time()
    for _ in range(ROUNDS):
        store.batches = 0
        begun = time.perf_counter()
        found = await registry.heartbeat()
        took.append(time.perf_counter() - begun)
        assert store.batches == 1, store.batches
        assert [beat.reason for beat in found if beat.status != "active"] == []
        answers += [beat.seconds for beat in found if beat.seconds is not None]
    busy = (time.process_time() - busy) / ROUNDS
    assert {row.status for row in await store.workers()} == {"active"}
    assert len(answers) == ROUNDS * len(ports)
    await store.close()
    return took, busy, statistics.median(answers)


def rows(quick: bool) -> list[Row]:  # noqa: FBT001 - the common interface
    """A heartbeat, its processor time and an answer."""
    workers = QUICK_WORKERS if quick else WORKERS
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as name, served(workers) as ports:
        took, busy, answer = asyncio.run(beats(Path(name), ports))
    return [
        Row(
            what=f"{workers:,} workers asked and written in one batch, median of {ROUNDS}",
            measured=statistics.median(took), unit="s", bar=at_most(BAR_S, "s"),
            note=f"slowest {max(took):.2f} s, {AT_ONCE} asked at a time",
        ),
        Row(what="processor time of one, without the server", measured=busy, unit="s"),
        Row(what="an answer, median", measured=answer * 1000, unit="ms"),
    ]  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(int(sys.argv[2])))
    else:
        raise SystemExit(run(__doc__, rows))
