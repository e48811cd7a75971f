"""DaskLink: the worker protocol's calls, carried by Dask to the sandbox beside one of its workers."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from nadg_kernel.engines.dask.frames import Frame, checked
from nadg_kernel.engines.faults import Broken, Unreached, WrongBytes
from nadg_kernel.engines.sse import SseEvent
from nadg_kernel.model import Outcome
from nadg_kernel.wire import AttemptState, ExecuteResponse, Health, Status, StatusReport, Wire, WireEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from distributed import Future

    from nadg_kernel.engines.client import WorkerEndpoint
    from nadg_kernel.engines.dask.cluster import Cluster, Flight

Answer = TypeVar("Answer", bound=Wire)
ANSWER_S = 20.0
START_S = 90.0
"""Seconds for an answer; the first one waits until the sandbox has started."""


class DaskLink:
    """Calls to one Dask worker at one address. Keeps the contract of WorkerCalls."""

    def __init__(self, cluster: Cluster, endpoint: WorkerEndpoint) -> None:
        """Nothing is sent yet. `paused` is what the scheduler says of the worker."""
        self._cluster, self._worker, self._address = cluster, endpoint.worker_id, endpoint.url
        self._flights: set[Flight] = set()
        self._coming: dict[str, Future] = {}
        """Inputs that are scattered, and that no attempt has brought to the sandbox yet."""
        self._boot_id = ""
        self._closed = False
        self.paused = False

    async def health(self) -> Health:
        """What the sandbox says of itself, or that Dask has paused its worker."""
        health = _parsed(Health, await self._ask(START_S, "health"))
        self._boot_id = health.boot_id
        if self.paused:
            return health.model_copy(update={"status": "draining", "reason": "Dask has paused it: its memory is full"})
        return health

    async def status(self) -> StatusReport:
        """Packages, limits, counters."""
        return _parsed(StatusReport, await self._ask(ANSWER_S, "status"))

    async def visit(self) -> None:
        """Nothing sleeps here: it is asked for its health."""
        await self._ask(START_S, "health")

    async def cancel(self, attempt_id: str, most: int) -> AttemptState:
        """Kill an attempt; one that still waits for a place in Dask is answered here."""
        state = _parsed(AttemptState, await self._ask(ANSWER_S, "cancel", attempt_id, most))
        mark = f'"attempt_id":"{attempt_id}"'.encode()
        for flight in self._flights:
            if not flight.begun and mark in flight.body:
                flight.end(_cancelled(attempt_id, self._worker, state.boot_id).pack())
        return state

    async def put_blob(self, sha256: str, data: bytes) -> None:
        """Put bytes into the cluster; the next attempt that needs them brings them to the sandbox."""
        self._check_open()
        self._coming[sha256] = await self._cluster.scattered(sha256, data, self._address)

    async def get_blob(self, sha256: str, size: int) -> bytes:
        """Bytes that came with an answer, or those that the sandbox keeps."""
        for flight in self._flights:
            if sha256 in flight.brought:
                return _verified(flight.brought[sha256], sha256, size)
        return _verified((await self._ask(START_S, "blob", sha256, size)).parts[0], sha256, size)

    @asynccontextmanager
    async def execute(self, body: bytes, most: int) -> AsyncIterator[AsyncIterator[SseEvent]]:
        """Send an attempt with the inputs that the sandbox lacks; entered when Dask has a place for it."""
        blobs = {sha256: future for sha256, future in self._coming.items() if sha256.encode() in body}
        order = {"call": "execute", "attempt_id": "", "after": 0, "most": most, "boot_id": self._boot_id}
        try:
            async with self._flown(order, body, blobs) as stream:
                self._arrived(blobs)
                yield stream
        finally:
            self._arrived({sha256: future for sha256, future in blobs.items() if future.status != "finished"})

    @asynccontextmanager
    async def resume(self, attempt_id: str, after: int, most: int) -> AsyncIterator[AsyncIterator[SseEvent]]:
        """The events of an attempt after one."""
        order = {"call": "resume", "attempt_id": attempt_id, "after": after, "most": most, "boot_id": ""}
        async with self._flown(order, b"", {}) as stream:
            yield stream

    async def close(self) -> None:
        """Break what is on its way."""
        self._closed = True
        for flight in self._flights:
            flight.put(Broken(f"worker {self._worker} was let go"))

    @asynccontextmanager
    async def _flown(
        self, order: Mapping[str, Any], body: bytes, blobs: Mapping[str, Future]
    ) -> AsyncIterator[AsyncIterator[SseEvent]]:
        self._check_open()
        flight = self._cluster.take_off(self._address, order, body, blobs)
        self._flights.add(flight)
        try:
            first = checked_event(await flight.next(), flight, self._worker)
            yield _events(first, flight, self._worker)
        finally:
            self._flights.discard(flight)
            await self._cluster.land(flight)

    def _arrived(self, blobs: Mapping[str, Future]) -> None:
        """The sandbox has these, or they are lost: either way they are not sent along any more."""
        for sha256, future in blobs.items():
            if self._coming.get(sha256) is future:
                del self._coming[sha256]

    async def _ask(self, within_s: float, call: str, *arguments: Any) -> Frame:
        self._check_open()
        try:
            async with asyncio.timeout(within_s):
                frame = await self._cluster.ask(self._address, call, *arguments)
        except TimeoutError:
            raise Unreached(f"the Dask worker at {self._address} does not answer within {within_s:g} s") from None
        return checked(frame, self._worker)

    def _check_open(self) -> None:
        if self._closed:
            raise Unreached(f"worker {self._worker} was let go")


async def _events(first: SseEvent, flight: Flight, worker: str) -> AsyncIterator[SseEvent]:
    event = first
    yield event
    while event.type != "finished":
        event = checked_event(await flight.next(), flight, worker)
        yield event


def checked_event(what: SseEvent | Frame, flight: Flight, worker: str) -> SseEvent:
    """An event as it is, an end as its last event with the bytes that it brought; a fault is raised."""
    if isinstance(what, SseEvent):
        return what
    frame = checked(what, worker)
    flight.brought = dict(zip(frame.about["blobs"], frame.parts[1:], strict=True))
    return SseEvent("finished", frame.parts[0])


def _cancelled(attempt_id: str, worker: str, boot_id: str) -> Frame:
    """The end of an attempt that was cancelled before Dask had a place for it."""
    answer = ExecuteResponse(
        status=Status.CANCELLED,
        output="",
        error="cancelled before it started",
        executed_at=datetime.now(UTC).isoformat(),
        outcome=Outcome.CANCELLED,
        attempt_id=attempt_id,
        worker_id=worker,
        boot_id=boot_id,
    )
    event = WireEvent(id=1, type="finished", boot_id=boot_id, data=answer.model_dump(mode="json"))
    return Frame(kind="finished", about={"blobs": []}, parts=(event.model_dump_json().encode(),))


def _verified(data: bytes, sha256: str, size: int) -> bytes:
    if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
        raise WrongBytes(f"{len(data)} bytes came for the blob {sha256[:12]}, which are not its {size} bytes")
    return data


def _parsed(kind: type[Answer], frame: Frame) -> Answer:
    return kind.model_validate_json(frame.parts[0])
