"""SandboxPlugin: in each Dask worker, keeps the sandbox that attempts run in, and ends it with the worker.

The sandbox is the one of every other worker: worker-node's own process, on loopback with a random token. It stands
beside the Dask worker's process and not inside, since its modules have names that a person's own may have, a Dask
worker has threads that a fork would break, and a task that fills its interpreter would stop the watch over time limits.
It starts with the first call and ends after a while without any, so that a grid that vanished leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin

from nadg_kernel.engines.client import WorkerClient
from nadg_kernel.engines.dask.members import labels, worker_id
from nadg_kernel.engines.faults import Broken, Unreached
from nadg_kernel.engines.local import LocalChange, LocalWorkers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Worker

log = logging.getLogger("nadg.dask")
NAME = "nadg-sandbox"
IDLE_S = 600.0
"""Without a call for so long, the sandbox ends. Grids look at their workers every few seconds."""
PASSED_ON = frozenset(
    {
        "NADG_ALLOW_WEAK_SANDBOX", "NADG_ANSWERS_MB", "NADG_BLOB_QUOTA_MB", "NADG_MAX_DISK_MB", "NADG_MAX_MEMORY_MB",
        "NADG_MAX_TIMEOUT_S", "NADG_PRELOAD", "NADG_WORKER_LABELS", "NADG_WORKER_MODEL", "NADG_WORKER_MODEL_KEY",
    }
)  # fmt: skip
"""Settings of a worker that may be set in the Dask worker's environment."""


class SandboxPlugin(WorkerPlugin):  # type: ignore[misc]  # distributed has no types
    """Owns one sandbox. All methods belong to the Dask worker's event loop."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        """Nothing starts yet."""
        self._idle_s = idle_s
        self._worker: Worker | None = None
        self._sandbox: _Beside | None = None
        self._starting = asyncio.Lock()
        self._busy = 0
        self._used = time.monotonic()
        self._idle: asyncio.Task[None] | None = None

    def setup(self, worker: Worker) -> None:
        """Keep the worker that this is added to."""
        self._worker = worker

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002 - distributed's signature
        """End the sandbox and all that runs in it."""
        if self._idle is not None:
            self._idle.cancel()
        await self._end()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the sandbox for as long as something runs in it."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._used = time.monotonic()

    async def client(self, boot_id: str = "") -> WorkerClient:
        """The way into the sandbox, which is started if it does not run.

        Raises Unreached where it cannot be started, and Broken if it is another than `boot_id`.
        """
        self._used = time.monotonic()
        async with self._starting:
            if self._sandbox is None:
                assert self._worker is not None  # noqa: S101 - distributed calls setup first
                self._sandbox = _Beside(self._worker)
                await self._sandbox.start()
                self._idle = asyncio.create_task(self._end_when_idle())
                self._idle.add_done_callback(_report)
            return await self._sandbox.way_in(boot_id)

    async def _end_when_idle(self) -> None:
        left = self._idle_s
        while left > 0:
            await asyncio.sleep(left)
            left = self._idle_s if self._busy else self._used + self._idle_s - time.monotonic()
        await self._end()

    async def _end(self) -> None:
        async with self._starting:
            sandbox, self._sandbox = self._sandbox, None
            if sandbox is not None:
                await sandbox.close()


class _Beside(LocalWorkers):
    """One worker process of ours beside a Dask worker: as wide as it, with its name and labels."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(1, Path(worker.local_directory) / "nadg", self._told)
        given = {name: value for name, value in os.environ.items() if name in PASSED_ON}
        own = labels(worker.name, worker.address, dict(worker.state.total_resources))
        known = ",".join(part for part in (given.get("NADG_WORKER_LABELS", ""), *own) if part)
        self._more = {
            **given,
            "NADG_WORKER_LABELS": known,
            "NADG_CAPACITY": str(worker.state.nthreads),
            "WORKER_ID": worker_id(worker.name, worker.address),
        }
        self._where = worker.address
        self._way_in: WorkerClient | None = None
        self._boot_id = ""
        self._reason = "it has not started yet"
        self._closing: set[asyncio.Task[None]] = set()

    def environment(self, worker_id: str, token: str) -> dict[str, str]:
        """What a local worker sees, and what a Dask worker gives its own besides."""
        return {**super().environment(worker_id, token), **self._more}

    async def way_in(self, boot_id: str) -> WorkerClient:
        if self._way_in is None:
            raise Unreached(f"the sandbox beside the Dask worker at {self._where} does not run: {self._reason}")
        client = self._way_in
        if not self._boot_id:
            self._boot_id = (await client.health()).boot_id
        if boot_id not in {"", self._boot_id}:
            raise Broken("the sandbox restarted before the attempt came to it")
        return client

    async def close(self) -> None:
        await super().close()
        self._let_go()
        await asyncio.gather(*self._closing)

    def _told(self, change: LocalChange) -> None:
        self._let_go()
        self._reason = change.reason
        if not change.reason:
            self._way_in = WorkerClient(change.endpoint)

    def _let_go(self) -> None:
        client, self._way_in, self._boot_id = self._way_in, None, ""
        if client is not None:
            task = asyncio.get_running_loop().create_task(client.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the sandbox of an idle Dask worker could not be ended", exc_info=error)


async def plugin_of(worker: Any) -> SandboxPlugin:
    """A Dask worker's plugin, added if it has none.

    It is added to this worker alone: one registered with the scheduler would keep every later worker that cannot import
    this package from starting.
    """
    if NAME not in worker.plugins:
        await worker.plugin_add(plugin=SandboxPlugin(), name=NAME)
    found: SandboxPlugin = worker.plugins[NAME]
    return found
