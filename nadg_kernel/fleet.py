"""Fleet: the workers of a grid, local and registered, behind one engine; who is ready, and who wants to know."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.engines.client import WorkerEndpoint
from nadg_kernel.engines.health import NOT_ASKED
from nadg_kernel.engines.http import HttpEngine
from nadg_kernel.engines.local import LocalChange, LocalWorkers
from nadg_kernel.engines.tokens import registered_endpoint
from nadg_kernel.errors import NadgError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nadg_kernel.deploy.access import SpaceAccess
    from nadg_kernel.engines.base import Blobs, WorkerState
    from nadg_kernel.settings import Secret
    from nadg_kernel.stores.base import Store, WorkerRow

ASKED_FOR = "a private Space: the Hub is being asked whether it is yours"
ASK_AGAIN_S = 30.0
"""Seconds until the Hub is asked again about a Space that it did not confirm."""


LOCAL_NAME = re.compile(r"local-\d+")
"""Names of the workers that a grid starts itself."""


class Fleet:
    """All methods but the constructor belong to the background loop."""

    def __init__(
        self,
        *,
        local: int,
        home: Path,
        blobs: Blobs,
        store: Store,
        secret: Secret | None,
        spaces: SpaceAccess | None = None,
        cluster: object = None,
    ) -> None:
        """Know what to start; nothing runs yet. `spaces` lets through to private Spaces.

        `cluster` is a Dask cluster, whose workers are used instead of the registered ones. Raises SettingsError for
        what is none, and MissingExtra without Dask.
        """
        self.engine = HttpEngine([], blobs) if cluster is None else _on_cluster(cluster, blobs)
        self._on_cluster = cluster is not None
        self._store, self._secret, self._spaces = store, secret, spaces
        self._admissions: dict[str, asyncio.Task[None]] = {}
        self._local_names = tuple(f"local-{number}" for number in range(1, local + 1))
        self._failed: set[str] = set()
        self._rows: dict[str, WorkerRow] = {}
        self._local = LocalWorkers(local, home, self._local_changed)
        self._listeners: list[Callable[[tuple[WorkerState, ...]], None]] = []
        self._changed = asyncio.Condition()
        self._listed = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Reach what the engine stands on. Raises WorkerError where a cluster cannot be used, with what to do."""
        await self.engine.start()

    async def start(self) -> None:
        """Add the registered workers, start the local ones, and watch them until `close`."""
        await self.engine.start()
        self._watch = asyncio.create_task(self._watched())
        for row in () if self._on_cluster else await self._store.workers():
            self.use(row)
        self._listed.set()
        await self._local.start()
        await self._watch

    def use(self, row: WorkerRow) -> None:
        """Send work to a registered worker from now on; one whose row makes no sense is shown with the reason."""
        # A row is not trusted: it may not take a local worker's place, and without the secret, or for a URL that no
        # worker may have, there is no token to send.
        name = f"registered-{row.worker_id}" if LOCAL_NAME.fullmatch(row.worker_id) else row.worker_id
        self._rows[name] = row
        self._end_admission(name)
        if row.problem:
            self.engine.lose_worker(WorkerEndpoint(worker_id=name, url=row.url), row.problem)
        elif self._spaces is not None and self._spaces.concerns(row):
            self.engine.lose_worker(WorkerEndpoint(worker_id=name, url=row.url), ASKED_FOR)
            self._admissions[name] = asyncio.get_running_loop().create_task(self._admit(self._spaces, name, row))
        else:
            self.engine.put_worker(registered_endpoint(name, row.url, row.generation, self._secret))

    def drop(self, worker_id: str) -> None:
        """Send a worker nothing more and forget it. No error if it is not known."""
        self._end_admission(worker_id)
        self.engine.drop_worker(worker_id)

    @property
    def local_names(self) -> tuple[str, ...]:
        """Ids of the local workers, ready or not."""
        return self._local.names

    def labels_of(self, state: WorkerState) -> frozenset[str]:
        """What a worker offers: by its own word, or while it sleeps by that of its row in the registry."""
        row = self._rows.get(state.worker_id)
        return state.labels or frozenset(() if row is None else row.labels)

    def space_of(self, worker_id: str) -> str:
        """The Space ("owner/name") that a registered worker is, where its row says so; else empty."""
        row = self._rows.get(worker_id)
        return "" if row is None else str(row.details.get("space") or "")

    def add_local(self) -> str:
        """Start one more local worker; gives its id at once."""
        return self._local.add()

    async def remove_local(self, worker_id: str) -> None:
        """End a local worker; nothing is sent to it from the moment of the call."""
        self.engine.drop_worker(worker_id)
        await self._local.remove(worker_id)

    def rest(self, worker_id: str, reason: str) -> None:
        """Send a registered worker nothing, and do not look at it, which would keep it awake."""
        if (row := self._rows.get(worker_id)) is not None:
            self.engine.lose_worker(WorkerEndpoint(worker_id=worker_id, url=row.url), reason)

    def watch_again(self, worker_id: str) -> None:
        """Look at a worker again that was left to rest."""
        if (row := self._rows.get(worker_id)) is not None:
            self.use(row)

    def subscribe(self, listener: Callable[[tuple[WorkerState, ...]], None]) -> Callable[[], None]:
        """Tell `listener` of all workers whenever one changes; gives the way to stop."""
        self._listeners.append(listener)

        def stop() -> None:
            with suppress(ValueError):  # stopping twice is the same as once
                self._listeners.remove(listener)

        return stop

    async def wait_ready(self, count: int, timeout: float) -> bool:  # noqa: ASYNC109 - a person's patience, not a scope
        """Wait until `count` workers are ready and have said what they can import; whether they are."""

        def enough() -> bool:
            states = self.engine.snapshot()
            return sum(s.health is WorkerHealth.READY and s.modules is not None for s in states) >= count

        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._listed.wait()
                if not self._local_names and not self.engine.snapshot():
                    return False  # nobody is there to wait for
                async with self._changed:
                    await self._changed.wait_for(enough)
        return enough()

    async def settle(self, timeout: float) -> None:  # noqa: ASYNC109 - as above
        """Wait until each local worker, and each of a cluster's, is ready or says why not: so imports are known."""

        def settled() -> bool:
            states = self.engine.snapshot()
            known = {s.worker_id for s in states if s.health is WorkerHealth.READY and s.modules is not None}
            if self._on_cluster and any(s.worker_id not in known and s.reason in {"", NOT_ASKED} for s in states):
                return False
            return all(name in known or name in self._failed for name in self._local_names)

        with suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(settled)

    async def close(self) -> None:
        """End the local workers and let the others be."""
        for name in tuple(self._admissions):
            self._end_admission(name)
        await self._local.close()
        await self.engine.close()
        if self._watch is not None:
            self._watch.cancel()

    def _local_changed(self, change: LocalChange) -> None:
        if change.reason:
            self._failed.add(change.endpoint.worker_id)
            self.engine.lose_worker(change.endpoint, change.reason)
        else:
            self._failed.discard(change.endpoint.worker_id)
            self.engine.put_worker(change.endpoint)

    async def _admit(self, spaces: SpaceAccess, name: str, row: WorkerRow) -> None:
        """Use a private Space once the Hub says that it is ours; until then its state says why it is not used."""
        while True:
            try:
                bearer = await spaces.bearer(row)
            except NadgError as error:
                self.engine.lose_worker(WorkerEndpoint(worker_id=name, url=row.url), str(error))
                await asyncio.sleep(ASK_AGAIN_S)
            else:
                found = registered_endpoint(name, row.url, row.generation, self._secret, bearer=bearer)
                self.engine.put_worker(found)
                return

    def _end_admission(self, name: str) -> None:
        if (task := self._admissions.pop(name, None)) is not None:
            task.cancel()

    async def _watched(self) -> None:
        async for _state in self.engine.workers():
            async with self._changed:
                self._changed.notify_all()
            states = self.engine.snapshot()
            for listener in tuple(self._listeners):
                listener(states)


def _on_cluster(cluster: object, blobs: Blobs) -> HttpEngine:
    """The engine over a Dask cluster. Dask is imported only here."""
    from nadg_kernel.engines.dask.engine import DaskEngine

    return DaskEngine(cluster, blobs)
