"""HttpEngine: attempts on workers reached over HTTP, and what is known of each worker now."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from nadg_kernel.engines import health as looks
from nadg_kernel.engines.answers import MB, ended
from nadg_kernel.engines.attempt import Following, Link, Patience
from nadg_kernel.engines.base import AttemptEvent, WorkerHealth, WorkerState
from nadg_kernel.engines.client import Timeouts, WorkerClient, WorkerEndpoint
from nadg_kernel.engines.faults import Refused
from nadg_kernel.engines.request import Uploads
from nadg_kernel.errors import WorkerError
from nadg_kernel.model import Outcome

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from nadg_kernel.engines.base import AttemptSpec, Blobs
    from nadg_kernel.engines.calls import WorkerCalls

_CANCEL_TRIES = 4
_CANCEL_ANSWER_BYTES = 256 * MB
_WAKE_TIMEOUT_S = 60.0
CLOSELY_S = 180.0
"""How long a host may take to start a worker that was visited."""


class _Worker:
    """One worker under watch. `link` is None once it is gone."""

    def __init__(self, endpoint: WorkerEndpoint, client: WorkerCalls | None, state: WorkerState) -> None:
        self.endpoint, self.state = endpoint, state
        self.link = None if client is None else Link(client=client, uploads=Uploads())
        self.look_now = asyncio.Event()
        self.failures = 0
        self.closely_until = 0.0
        """Until when a worker that was woken is looked at often, whatever its host says."""
        self.task: asyncio.Task[None] | None = None


class HttpEngine:
    """Runs attempts on registered and local workers. All methods belong to one event loop.

    Workers may come and go: `put_worker`, `lose_worker`, `drop_worker`.
    """

    def __init__(
        self,
        workers: Sequence[WorkerEndpoint],
        blobs: Blobs,
        *,
        timeouts: Timeouts | None = None,
        patience: Patience | None = None,
        tls: ssl.SSLContext | None = None,
        pace: float = 1.0,
        connect: Callable[[WorkerEndpoint], WorkerCalls] | None = None,
    ) -> None:
        """Watch these workers from `start()` on. `pace` multiplies the seconds between two looks at a worker.

        `connect` gives another way to a worker than HTTP; it may raise WorkerError, which its state then shows.
        """
        self._blobs, self._pace = blobs, pace
        self._connect = connect or partial(WorkerClient, timeouts=timeouts, tls=tls)
        self._patience = patience or Patience()
        self._rng = random.Random()  # noqa: S311 - jitter
        self._workers: dict[str, _Worker] = {}
        self._following: dict[str, Following] = {}
        self._feeds: set[_Feed] = set()
        self._waiting = list(workers)
        self._started = self._closed = False
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to watch the workers. Called on the loop; `submit` and `workers` do it too."""
        if self._started:
            return
        self._started = True
        waiting, self._waiting = self._waiting, []
        for endpoint in waiting:
            self.put_worker(endpoint)

    def put_worker(self, endpoint: WorkerEndpoint) -> None:
        """Add a worker, or give a known one its new place: what ran at the old one is lost.

        A URL that no worker may have is not refused here: its state says why it is never used.
        """
        if not self._started:
            self._waiting = [item for item in self._waiting if item.worker_id != endpoint.worker_id] + [endpoint]
            return
        self._release(self._workers.get(endpoint.worker_id))
        try:
            client = self._connect(endpoint)
        except WorkerError as error:
            self._workers[endpoint.worker_id] = worker = _Worker(endpoint, None, looks.unknown(endpoint, str(error)))
            self._tell(worker)
            return
        self._workers[endpoint.worker_id] = worker = _Worker(endpoint, client, looks.unknown(endpoint))
        self._tell(worker)
        worker.task = asyncio.get_running_loop().create_task(self._watch(worker))
        worker.task.add_done_callback(report)

    def lose_worker(self, endpoint: WorkerEndpoint, reason: str) -> None:
        """A worker is known to be gone for now (its process ended): its attempts are lost at once."""
        self._release(self._workers.get(endpoint.worker_id))
        self._workers[endpoint.worker_id] = worker = _Worker(endpoint, None, looks.unknown(endpoint, reason))
        self._tell(worker)

    def drop_worker(self, worker_id: str) -> None:
        """Forget a worker. No error if it is not known."""
        worker = self._workers.pop(worker_id, None)
        self._release(worker)
        if worker is not None:
            worker.state = looks.unknown(worker.endpoint, "it was removed from the grid")
            self._tell(worker)

    def submit(self, spec: AttemptSpec) -> AsyncIterator[AttemptEvent]:
        """Start an attempt on its worker and follow it to its end (see attempt.py for what maps to which outcome)."""
        return self._follow(spec, post=True)

    def reattach(self, spec: AttemptSpec, after_id: int = 0) -> AsyncIterator[AttemptEvent]:
        """Follow an attempt that was submitted earlier, from event `after_id` on."""
        return self._follow(spec, post=False, after_id=after_id)

    async def cancel(self, attempt_id: str, worker_id: str) -> None:
        """Kill an attempt; one that the worker has not seen is cancelled for when it comes."""
        await self.start()
        following = self._following.get(attempt_id)
        if following is not None:
            following.cancelled = True
        for number in range(_CANCEL_TRIES):
            worker = self._workers.get(worker_id)
            if worker is None or worker.link is None:
                return
            try:
                await worker.link.client.cancel(attempt_id, _CANCEL_ANSWER_BYTES)
            except Refused:
                worker.look_now.set()
                return
            except WorkerError:
                await asyncio.sleep(self._patience.first_delay * 2**number)
            else:
                return

    async def workers(self) -> AsyncGenerator[WorkerState]:
        """Every worker's state now, then each change; a slow reader gets the newest of each. Ends with the engine."""
        await self.start()
        feed = _Feed(self.snapshot())
        self._feeds.add(feed)
        try:
            while not self._closed:
                for state in await feed.next():
                    yield state
        finally:
            self._feeds.discard(feed)

    def snapshot(self) -> tuple[WorkerState, ...]:
        """The last known state of every worker, without I/O."""
        coming = tuple(looks.unknown(endpoint) for endpoint in self._waiting)
        return tuple(worker.state for worker in self._workers.values()) + coming

    async def wake(self, worker_id: str) -> None:
        """Visit a sleeping worker so that its host starts it, and watch it closely. Returns when the host answered."""
        worker = self._workers.get(worker_id)
        if worker is None or worker.link is None or worker.state.health is WorkerHealth.READY:
            return
        worker.closely_until = time.monotonic() + CLOSELY_S
        if worker.state.health is WorkerHealth.ASLEEP:
            worker.state = looks.waking(worker.state)
            self._tell(worker)
        try:
            async with asyncio.timeout(_WAKE_TIMEOUT_S):
                await worker.link.client.visit()
        except (WorkerError, TimeoutError):
            pass  # its health, looked at next, says what came of it
        worker.failures = 0
        worker.look_now.set()

    async def close(self) -> None:
        """Stop watching and release the connections. Attempts go on where they run."""
        self._closed = True
        for worker in self._workers.values():
            self._release(worker)
        for feed in self._feeds:
            feed.wake()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _follow(self, spec: AttemptSpec, *, post: bool, after_id: int = 0) -> AsyncGenerator[AttemptEvent]:
        await self.start()
        known = self._workers.get(spec.worker_id)
        if known is None:
            outcome = Outcome.REJECTED if post else Outcome.LOST
            yield ended(outcome, spec.worker_id, reason=f"there is no worker {spec.worker_id} in this grid")
            return
        if known.link is None:
            outcome = Outcome.REJECTED if post else Outcome.LOST
            yield ended(outcome, spec.worker_id, reason=known.state.reason)
            return
        name = spec.worker_id
        following = Following(spec, self._blobs, lambda: self._link(name), self._patience, lambda: self._why_gone(name))
        self._following[spec.attempt_id] = following
        try:
            async with aclosing(following.events(post=post, after_id=after_id)) as events:
                async for event in events:
                    if following.doubt:
                        self._look_again(spec.worker_id)
                    yield event
        finally:
            if self._following.get(spec.attempt_id) is following:
                del self._following[spec.attempt_id]

    def _link(self, worker_id: str) -> Link | None:
        worker = self._workers.get(worker_id)
        return None if worker is None else worker.link

    def _why_gone(self, worker_id: str) -> str:
        worker = self._workers.get(worker_id)
        reason = "it was removed from the grid" if worker is None else worker.state.reason
        return f"worker {worker_id} is gone: {reason}"

    def _look_again(self, worker_id: str) -> None:
        worker = self._workers.get(worker_id)
        if worker is not None:
            worker.look_now.set()

    async def _watch(self, worker: _Worker) -> None:
        """Look at a worker for as long as it is here."""
        link = worker.link
        assert link is not None  # noqa: S101 - put_worker gave it one
        while True:
            worker.look_now.clear()
            state = await self._look(worker, link)
            if state != worker.state:
                worker.state = state
                self._tell(worker)
            closely = worker.closely_until > time.monotonic()
            delay = looks.interval_s(state, worker.failures, closely=closely) * self._pace * self._rng.uniform(0.8, 1.2)
            try:
                async with asyncio.timeout(delay):
                    await worker.look_now.wait()
                await asyncio.sleep(self._patience.first_delay)  # several attempts may report the same trouble
            except TimeoutError:
                continue

    async def _look(self, worker: _Worker, link: Link) -> WorkerState:
        state = worker.state
        began = time.perf_counter()
        try:
            health = await link.client.health()
            state = looks.from_health(state, health, (time.perf_counter() - began) * 1000)
            if link.boot_id != health.boot_id:
                link.boot_id = health.boot_id
                link.uploads.forget()
            if state.modules is None:
                state = looks.from_status(state, await link.client.status())
        except WorkerError as error:
            worker.failures += 1
            return looks.from_error(state, error)
        worker.failures = 0
        return state

    def _tell(self, worker: _Worker) -> None:
        for feed in self._feeds:
            feed.put(worker.state)

    def _release(self, worker: _Worker | None) -> None:
        """End the watch of a worker and close its connections, in the background."""
        if worker is None or worker.link is None:
            return
        link, worker.link = worker.link, None
        task = asyncio.get_running_loop().create_task(_close(worker.task, link.client))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _close(watch: asyncio.Task[None] | None, client: WorkerCalls) -> None:
    if watch is not None:
        watch.cancel()
        await asyncio.wait([watch])
    await client.close()


def report(task: asyncio.Task[None]) -> None:
    """Give a watch's own failure to the loop's exception handler at once, where the person can be told."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": "the watch of a worker failed", "exception": error})


if TYPE_CHECKING:
    from nadg_kernel.engines.base import Engine

    _keeps_the_contract: type[Engine] = HttpEngine


class _Feed:
    """The newest state of each worker that a reader has not seen."""

    def __init__(self, states: tuple[WorkerState, ...]) -> None:
        self._pending: dict[str, WorkerState] = {state.worker_id: state for state in states}
        self._there = asyncio.Event()
        if self._pending:
            self._there.set()

    def put(self, state: WorkerState) -> None:
        self._pending[state.worker_id] = state
        self._there.set()

    def wake(self) -> None:
        self._there.set()

    async def next(self) -> list[Any]:
        await self._there.wait()
        self._there.clear()
        states, self._pending = list(self._pending.values()), {}
        return states
