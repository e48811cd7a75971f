"""DaskEngine: every worker of a Dask cluster as a worker of the grid, seen as they join and leave.

What an attempt is, how it is followed to its end and what each fault means is HttpEngine's; here the calls of the
worker protocol go through Dask instead of HTTP. We schedule: a shard goes to Dask when its worker has a place for it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nadg_kernel.engines.client import WorkerClient, WorkerEndpoint
from nadg_kernel.engines.dask.cluster import Cluster
from nadg_kernel.engines.dask.link import DaskLink
from nadg_kernel.engines.http import HttpEngine, report
from nadg_kernel.errors import WorkerError

if TYPE_CHECKING:
    from nadg_kernel.engines.base import Blobs
    from nadg_kernel.engines.calls import WorkerCalls
    from nadg_kernel.engines.dask.members import Member

LOOK_S = 2.0
"""Seconds between two looks at the scheduler; it says itself when a worker comes or goes."""
FORGET_S = 60.0
"""A worker that left and did not come back is shown for so long."""


class DaskEngine(HttpEngine):
    """Runs attempts on a Dask cluster. All methods but the constructor belong to one event loop."""

    def __init__(self, engine: object, blobs: Blobs, **options: Any) -> None:
        """`engine` is `dask://HOST:PORT` (also tcp://, tls://) or a distributed.Client; `options` are HttpEngine's.

        Raises SettingsError for anything else, and MissingExtra without Dask.
        """
        super().__init__([], blobs, connect=self._linked, **options)
        self._cluster = Cluster(engine)
        self._members: dict[str, Member] = {}
        self._left: dict[str, float] = {}
        self._starting = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._look_s = LOOK_S * self._pace

    async def start(self) -> None:
        """Connect and watch the cluster. Raises WorkerError with what to check, or with what to install where."""
        if self._watching is not None:
            return
        async with self._starting:
            if self._watching is None:
                await super().start()
                try:
                    await self._cluster.connect()
                    await self._cluster.check()
                    self._meet(await self._cluster.members())
                except WorkerError:
                    await self._cluster.close()
                    raise
                self._watching = asyncio.get_running_loop().create_task(self._watch_cluster())
                self._watching.add_done_callback(report)

    async def close(self) -> None:
        """Stop watching and disconnect. Attempts go on where they run; their sandboxes end after a while."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await super().close()
        await self._cluster.close()

    def _linked(self, endpoint: WorkerEndpoint) -> WorkerCalls:
        """The way to a worker: through Dask, or for one that was registered with the grid by its URL."""
        if endpoint.worker_id in self._members:
            return DaskLink(self._cluster, endpoint)
        return WorkerClient(endpoint)

    async def _watch_cluster(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_s):
                    await self._cluster.changed.wait()
            self._cluster.changed.clear()
            try:
                self._meet(await self._cluster.members())
            except WorkerError as error:
                for name in list(self._members):
                    self._miss(name, str(error))

    def _meet(self, now: dict[str, Member]) -> None:
        """Take up those that came, let go of those that left, follow those that moved."""
        for name, member in self._members.items():
            if name not in now:
                self._miss(name, f"the Dask worker at {member.address} left the cluster")
        for name, member in now.items():
            known = self._members.get(name)
            self._members[name] = member
            if known is None or known.address != member.address or name in self._left:
                self._left.pop(name, None)
                self.put_worker(_endpoint(member))
            if known is not None and known.paused != member.paused:
                self._look_again(name)
            link = self._link(name)
            if link is not None and isinstance(link.client, DaskLink):
                link.client.paused = member.paused
        for name, since in list(self._left.items()):
            if time.monotonic() - since > FORGET_S:
                del self._left[name], self._members[name]
                self.drop_worker(name)

    def _miss(self, name: str, reason: str) -> None:
        """Its attempts are lost at once: Dask would wait for it to come back."""
        if name not in self._left:
            self._left[name] = time.monotonic()
            self.lose_worker(_endpoint(self._members[name]), reason)


def _endpoint(member: Member) -> WorkerEndpoint:
    return WorkerEndpoint(worker_id=member.worker_id, url=member.address)
