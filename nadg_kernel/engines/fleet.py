"""The workers of a grid: local ones kept running, registered ones watched, both behind one engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.engines.http import HttpEngine
from nadg_kernel.engines.local import LocalChange, LocalWorkers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nadg_kernel.engines.base import Blobs, WorkerState
    from nadg_kernel.engines.client import WorkerEndpoint


class Fleet:
    """`local` workers of this machine and the `registered` ones. `engine` runs attempts on them."""

    def __init__(self, *, local: int, home: Path, blobs: Blobs, registered: Sequence[WorkerEndpoint] = ()) -> None:
        """Nothing starts before `start`. Blobs of results go into `blobs`; local workers run in `home`."""
        self.engine = HttpEngine(registered, blobs)
        self.local = LocalWorkers(local, home, self._local_changed)
        self._expected = local + len(registered)
        self._listeners: list[Callable[[tuple[WorkerState, ...]], None]] = []
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Watch registered workers and start local ones; returns when each of those is ready or failed once."""
        await self.engine.start()
        if self._reader is None:
            self._reader = asyncio.get_running_loop().create_task(self._read())
        await self.local.start()

    def subscribe(self, listener: Callable[[tuple[WorkerState, ...]], None]) -> Callable[[], None]:
        """Call `listener` with all workers whenever one changes, on the loop's thread; gives the way to stop."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    async def wait_ready(self, count: int, within_s: float) -> bool:
        """Wait until `count` workers are ready (fewer, if there are fewer); whether they are in time."""
        count = min(count, self._expected)
        try:
            async with asyncio.timeout(within_s):
                while self._ready() < count:
                    changed = self._changed
                    await changed.wait()
        except TimeoutError:
            return False
        return count > 0

    async def close(self) -> None:
        """End the local workers and release all connections."""
        await self.local.close()
        await self.engine.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    def _ready(self) -> int:
        return sum(state.health is WorkerHealth.READY for state in self.engine.snapshot())

    def _local_changed(self, change: LocalChange) -> None:
        if change.reason:
            self.engine.lose_worker(change.endpoint, change.reason)
        else:
            self.engine.put_worker(change.endpoint)

    async def _read(self) -> None:
        async for _state in self.engine.workers():
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()
            states = self.engine.snapshot()
            for listener in list(self._listeners):
                listener(states)
