"""One attempt followed to its one end, through broken connections and restarted workers.

What happens to a request, and how its attempt ends then:

    what happens                                            outcome
    refused, unresolvable, TLS error, address not allowed   rejected: nothing was sent
    401, 403 (token), 400, 409, 413, 422                    rejected, in the worker's words
    429, 503 (full, draining, refusing)                     rejected, with `retry_after`
    424 (blobs missing)                                     they are sent and it is tried again; rejected after 3 times
    410 (it ran, the answer is gone), 500                   lost
    redirect, a page of a sleeping or starting Space        rejected: no worker read it
    502, 503, 504 of a gateway; reset, truncated, garbage,
      silence in mid-stream                                 asked again for the rest; lost when nothing comes in time
    no such attempt any more, or another boot id            lost: the worker restarted
    no end long after its time limit                        lost, and cancelled
    an answer over the protocol's bounds                    lost, and cancelled
    bytes of the result that cannot be fetched or kept      lost
    else                                                    what the worker says
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from nadg_kernel.engines.answers import BadAnswer, Intake, NotKept, ended
from nadg_kernel.engines.base import AttemptEvent
from nadg_kernel.engines.calls import WorkerCalls
from nadg_kernel.engines.faults import Broken, Refused, WrongBytes
from nadg_kernel.engines.request import Request, Uploads
from nadg_kernel.errors import DataError, StoreError, WorkerError
from nadg_kernel.model import Outcome
from nadg_kernel.wire import ExecuteResponse, ValueRef, WireEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from nadg_kernel.engines.base import AttemptSpec, Blobs
    from nadg_kernel.engines.sse import SseEvent

MOST_424 = WRONG_TRIES = 3
_DRAIN_S = 0.25
_SMALL_REQUEST = 256 * 1024
RESTARTED = "restarted, and what ran on it is lost"
_BAD_REQUEST, _NOT_FOUND, _GONE, _MISSING, _SERVER_ERROR = 400, 404, 410, 424, 500
_FULL = frozenset({429, 503, 507})
"""Statuses of a worker that takes nothing now, and may later."""


class Overdue(Exception):  # noqa: N818 - a verdict
    """An attempt that has not ended long after its own time limit."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds. How long a silent worker is asked again, and how long an attempt may exceed its own limit."""

    give_up: float = 60.0
    first_delay: float = 0.1
    most_delay: float = 5.0
    overtime: float = 60.0
    clock: Callable[[], float] = time.monotonic
    rng: random.Random = field(default_factory=random.Random)


@dataclass(kw_only=True)
class Link:
    """A worker as an attempt needs it: its client, what it was given, and its boot as last seen (or empty)."""

    client: WorkerCalls
    uploads: Uploads
    boot_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """After a failed try: the end; or to post (else ask for the rest) next, after a pause if there is trouble."""

    end: AttemptEvent | None = None
    post: bool = False
    trouble: str = ""


class Following:
    """Submits or reattaches one attempt. `events()` is used once."""

    def __init__(
        self,
        spec: AttemptSpec,
        blobs: Blobs,
        link: Callable[[], Link | None],
        patience: Patience | None = None,
        why_gone: Callable[[], str] = lambda: "the worker is gone",
    ) -> None:
        """`link` gives the way to the worker now (a local worker that restarts has another port), or None: gone."""
        self._spec, self._blobs, self._link, self._why_gone = spec, blobs, link, why_gone
        self._patience = patience or Patience()
        self._intake = Intake(spec, blobs, self._get_blob)
        self._request: Request | None = None
        self._boot = ""
        self._last_id = 0
        self._may_run = False
        """Whether the worker may have taken it."""
        self._heard = self._sent = False
        self._rounds = 0
        self._delay = self._patience.first_delay
        self._trouble: float | None = None
        self._began = self._patience.clock()
        self.cancelled = False
        self.doubt = ""
        """What makes the worker's health worth another look; empty if nothing does."""

    async def events(self, *, post: bool, after_id: int = 0) -> AsyncGenerator[AttemptEvent]:
        """All events, the last of them `ended`. Without `post` it was sent earlier, and events follow `after_id`."""
        self._last_id, self._may_run, self._heard = after_id, not post, not post
        while (link := self._link()) is not None:
            fault: Exception = Broken("its stream ended before the attempt did")
            try:
                async with aclosing(self._posted(link) if post else self._resumed(link)) as stream:
                    async for event in stream:
                        yield event
                        if event.type == "ended":
                            return
            except (WorkerError, DataError, BadAnswer, NotKept, Overdue) as error:
                fault = error
            step = await self._after(fault, link, post=post)
            if step.end is None and step.trouble and not await self._wait():
                step = Step(end=self._cut_off(step.trouble))
            if step.end is not None:
                yield step.end
                return
            post = step.post
        yield self._cut_off(self._why_gone())

    async def _posted(self, link: Link) -> AsyncGenerator[AttemptEvent]:
        if self._request is None:
            self._request = await self._built()
        self._boot = self._boot or link.boot_id
        self._sent = False
        await link.uploads.send(link.client, self._request.needed, self._blobs.get)
        if self.cancelled:
            yield self._end(Outcome.CANCELLED, "")
            return
        self._began, self._sent = self._patience.clock(), True
        async with link.client.execute(self._request.body, self._intake.most_event_bytes) as stream:
            self._began = self._patience.clock()  # it may have waited for a place on the way
            async for event in self._read(stream):
                yield event

    async def _built(self) -> Request:
        size = len(self._spec.code) + sum(ref.get("size") or 0 for ref in self._spec.inputs.values())
        if size < _SMALL_REQUEST:
            return Request(self._spec, self._blobs)
        try:
            return await asyncio.to_thread(Request, self._spec, self._blobs)
        except StoreError as error:
            raise DataError(str(error)) from error

    async def _resumed(self, link: Link) -> AsyncGenerator[AttemptEvent]:
        most = self._intake.most_event_bytes
        async with link.client.resume(self._spec.attempt_id, self._last_id, most) as stream:
            async for event in self._read(stream):
                yield event

    async def _read(self, stream: AsyncIterator[SseEvent]) -> AsyncGenerator[AttemptEvent]:
        while True:
            left = self._deadline - self._patience.clock()
            try:
                async with asyncio.timeout(max(0.0, left)):
                    raw = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                limit = f"{self._spec.limits.timeout_s:g} s"
                raise Overdue(f"the attempt did not end within its limit of {limit}, nor long after") from None
            event = _parsed(raw)
            if event is None:
                continue
            if self._boot and event.boot_id != self._boot and self._may_run:
                raise NotKept(f"it {RESTARTED}")
            self._boot, self._may_run, self._heard = event.boot_id, True, True
            if event.id <= self._last_id:
                continue
            self._trouble, self._delay = None, self._patience.first_delay
            self._last_id = event.id
            out = await self._taken(event)
            if event.type == "finished":
                await _drain(stream)
            if out is not None:
                yield out

    async def _taken(self, event: WireEvent) -> AttemptEvent | None:
        data: dict[str, Any]
        if event.type == "finished":
            try:
                answer = ExecuteResponse.model_validate(event.data)
            except ValidationError:
                raise BadAnswer("its answer is none of the protocol") from None
            return await self._intake.answer(answer, self._patience.clock() - self._began)
        if event.type == "started":
            data = {"boot_id": event.boot_id, "layers": []}
        elif event.type in {"stdout", "stderr"}:
            data = self._intake.text(event.type, event.data)
        elif event.type == "progress":
            data = self._intake.progress(event.data)
        elif event.type == "display":
            try:
                data = await self._intake.display(ValueRef.model_validate(event.data))
            except ValidationError:
                raise BadAnswer("a display that is none of the protocol") from None
        elif event.type == "gap":
            lost = event.data.get("lost")
            data = {"lost": lost if isinstance(lost, int) else None}
        else:
            return None
        return AttemptEvent(type=event.type, id=event.id, data=data)

    async def _after(self, fault: Exception, link: Link, *, post: bool) -> Step:
        """What to do after a try that did not reach the end."""
        if isinstance(fault, Refused):
            if fault.status in {401, 403}:
                self.doubt = str(fault)
            return self._refused(fault, link) if post else await self._unknown(fault, link)
        if isinstance(fault, DataError):
            return Step(end=self._end(Outcome.REJECTED, str(fault)))
        if not isinstance(fault, WorkerError):
            with suppress(WorkerError):  # whatever it still does is of no use
                await link.client.cancel(self._spec.attempt_id, self._intake.most_event_bytes)
            return Step(end=self._end(Outcome.LOST, f"worker {self._spec.worker_id}: {fault}"))
        self.doubt = str(fault)
        self._may_run = self._may_run or (isinstance(fault, Broken) and self._sent)
        return Step(trouble=self.doubt) if self._may_run else Step(end=self._cut_off(self.doubt))

    def _refused(self, error: Refused, link: Link) -> Step:
        if error.status == _MISSING and error.missing and self._rounds < MOST_424:
            self._rounds += 1
            link.uploads.forget(error.missing)
            return Step(post=True)
        if error.status == _GONE or (error.status >= _SERVER_ERROR and error.status not in _FULL):
            return Step(end=self._end(Outcome.LOST, str(error)))
        retry_after = (error.retry_after or 1.0) if error.status in _FULL else None
        return Step(end=self._end(Outcome.REJECTED, str(error), retry_after=retry_after))

    async def _unknown(self, error: Refused, link: Link) -> Step:
        """A worker that does not give the events of an attempt: it never came, or the worker restarted."""
        if error.status in _FULL:
            return Step(trouble=str(error))
        if error.status not in {_NOT_FOUND, _BAD_REQUEST}:
            return Step(end=self._end(Outcome.LOST, str(error)))
        if not self._heard and self._boot:
            try:
                same = (await link.client.health()).boot_id == self._boot
            except WorkerError as doubt:
                return Step(trouble=str(doubt))
            if same:  # on one boot an id runs once, so to send it again is safe
                return Step(post=True, trouble="it did not arrive")
        return Step(end=self._end(Outcome.LOST, f"worker {self._spec.worker_id} {RESTARTED}"))

    async def _get_blob(self, sha256: str, size: int) -> bytes:
        wrong = 0
        while True:
            link = self._link()
            if link is None:
                raise NotKept("it is gone, and the bytes of the result with it")
            try:
                data = await link.client.get_blob(sha256, size)
            except WrongBytes as error:
                wrong += 1
                if wrong == WRONG_TRIES:
                    raise BadAnswer(str(error)) from error
            except Refused as error:
                raise NotKept(f"the bytes of the result cannot be fetched: {error}") from error
            except WorkerError as error:
                if not await self._wait():
                    raise NotKept(f"the bytes of the result cannot be fetched: {error}") from error
            else:
                link.uploads.note(sha256)
                return data

    @property
    def _deadline(self) -> float:
        return self._began + self._spec.limits.timeout_s + self._patience.overtime

    async def _wait(self) -> bool:
        """Wait a little longer each time; False when there was trouble for too long."""
        now = self._patience.clock()
        self._trouble = now if self._trouble is None else self._trouble
        delay = self._delay * self._patience.rng.uniform(0.7, 1.3)
        if now + delay > min(self._trouble + self._patience.give_up, self._deadline):
            return False
        await asyncio.sleep(delay)
        self._delay = min(self._delay * 2, self._patience.most_delay)
        return True

    def _cut_off(self, reason: str) -> AttemptEvent:
        return self._end(Outcome.LOST if self._may_run else Outcome.REJECTED, reason)

    def _end(self, outcome: Outcome, reason: str, **more: Any) -> AttemptEvent:
        seconds = self._patience.clock() - self._began
        return ended(outcome, self._spec.worker_id, reason=reason, seconds=seconds, **more)


async def _drain(stream: AsyncIterator[SseEvent]) -> None:
    """Read a stream to its end, which follows at once, so that its connection can be used again."""
    with suppress(TimeoutError, WorkerError, StopAsyncIteration):
        async with asyncio.timeout(_DRAIN_S):
            await anext(stream)


def _parsed(raw: SseEvent) -> WireEvent | None:
    """The event; None for a kind that a later minor version may have."""
    try:
        return WireEvent.model_validate_json(raw.data)
    except ValidationError as error:
        if {item["loc"] for item in error.errors()} == {("type",)}:
            return None
        raise Broken(f"a worker sent an event that is none of the protocol: {raw.data[:60]!r}") from None
