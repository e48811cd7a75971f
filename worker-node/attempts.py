"""Attempts of this boot: each id runs once, its answer is kept for a while, and it can be killed at any time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from answers import STATUS, answer, cancelled, lost
from attempt import Attempt
from blobs import StoreFull, WrongHash
from events import EventRing
from intake import Refused
from sandbox.base import Ended
from wire import ErrorDetail, Outcome, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from blobs import Blobs
    from sandbox.base import Job, Sink

log = logging.getLogger("nadg.worker")

KEEP_S = 3600.0
KEEP_COUNT = 5_000
REMEMBERED_IDS = 50_000
CANCEL_WAIT_S = 5.0
CLOSE_WAIT_S = 2.0
OVERTIME_S = 60.0
"""Beyond an attempt's own time limit, which the sandbox keeps: a place must come back even if the sandbox hangs."""
_CANCEL_RETRY_S = 0.05


class Executor(Protocol):
    """What runs a job: the sandbox for code, a model for prompts."""

    async def run(self, job: Job, sink: Sink) -> Ended:
        """Run one job to its end."""

    def cancel(self, attempt_id: str) -> bool:
        """Kill a running job; False if it does not run."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who answers: this worker, this boot."""

    worker_id: str
    boot_id: str


class Attempts:
    """All attempts that this boot knows: running, answered, cancelled before they came, forgotten."""

    def __init__(
        self,
        identity: Identity,
        blobs: Blobs,
        *,
        capacity: int,
        answers_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Run at most `capacity` at a time; keep answers for an hour within `answers_bytes`."""
        self._identity, self._blobs, self._clock = identity, blobs, clock
        self._capacity, self._answers_bytes = capacity, answers_bytes
        self._running: dict[str, Attempt] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: OrderedDict[str, Attempt] = OrderedDict()
        self._ended_bytes = 0
        self._closing = False
        self._forgotten: OrderedDict[str, None] = OrderedDict()
        self.counters: Counter[str] = Counter()
        self.recent_seconds: deque[float] = deque(maxlen=100)

    @property
    def running(self) -> int:
        """Attempts that run now."""
        return len(self._running)

    @property
    def kept(self) -> int:
        """Answers that can still be fetched."""
        return len(self._ended)

    def get(self, attempt_id: str) -> Attempt | None:
        """An attempt that runs or whose answer is kept."""
        return self._running.get(attempt_id) or self._ended.get(attempt_id)

    def known(self, attempt_id: str, digest: bytes, task_id: int | str | None) -> Attempt | None:
        """The attempt that a repeated request means. Raises Refused: 409 for another body, 410 if it was forgotten."""
        found = self.get(attempt_id)
        if found is not None and found.digest is None:  # a tombstone, and now the request that it was made for
            found.digest, found.task_id, found.events = digest, task_id, EventRing(found.boot_id)
            self._tell(found, cancelled())
        if found is not None and found.digest != digest:
            raise Refused(409, f"attempt {attempt_id} exists with another body", "use a new attempt_id for new work")
        if found is None and attempt_id in self._forgotten:
            raise Refused(
                410,
                f"attempt {attempt_id} ended and its answer is no longer kept",
                "use a new attempt_id to run it again",
            )
        return found

    def start(
        self, job: Job, executor: Executor, *, task_id: int | str | None, digest: bytes, pins: Iterable[str]
    ) -> Attempt:
        """Start a job now. `pins` are blobs that it holds and that go when it ends. Raises Refused when full."""
        if len(self._running) >= self._capacity:
            self.counters["full"] += 1
            raise Refused(
                429, f"all {self._capacity} places are taken", "try again, or use another worker", retry_after=1
            )
        attempt = self._new(job.attempt_id, digest=digest, task_id=task_id, output_bytes=job.limits.output_kb * 1024)
        attempt.first_line = job.code.strip().split("\n", 1)[0][:500]
        attempt.pins.extend(pins)
        self._running[job.attempt_id] = attempt
        self.counters["started"] += 1
        attempt.events.add("started", {"worker_id": attempt.worker_id, "at": attempt.executed_at})
        task = asyncio.get_running_loop().create_task(self._run(attempt, job, executor))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return attempt

    async def cancel(self, attempt_id: str) -> Attempt:
        """Kill an attempt and wait until it is dead. One that is not known is cancelled for when it comes.

        Raises Refused (410) for one that ended so long ago that its answer is gone.
        """
        attempt = self.get(attempt_id)
        if attempt is None:
            self._refuse_forgotten(attempt_id)
            self.counters["tombstones"] += 1
            tombstone = self._new(attempt_id, digest=None)
            self._finish(tombstone, cancelled())
            return tombstone
        self.kill(attempt)
        deadline = self._clock() + CANCEL_WAIT_S
        while not attempt.done.is_set() and self._clock() < deadline:
            # Asked again: the job may have been between its start here and its registration in the sandbox.
            self.kill(attempt)
            try:
                await asyncio.wait_for(attempt.done.wait(), _CANCEL_RETRY_S)
            except TimeoutError:
                continue
        return attempt

    def kill(self, attempt: Attempt) -> None:
        """Ask for a running attempt's death; does nothing to one that ended."""
        attempt.unwanted = True
        if attempt.executor is not None and not attempt.done.is_set():
            attempt.executor.cancel(attempt.attempt_id)

    async def close(self) -> None:
        """Kill all that runs, and wait until each is answered: `lost`, so that it is sent again elsewhere."""
        self._closing = True
        for attempt in list(self._running.values()):
            self.kill(attempt)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_WAIT_S)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def idle(self) -> None:
        """Return when nothing runs."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _new(
        self, attempt_id: str, *, digest: bytes | None, task_id: int | str | None = None, output_bytes: int = 0
    ) -> Attempt:
        return Attempt(
            attempt_id=attempt_id,
            digest=digest,
            task_id=task_id,
            output_bytes=output_bytes,
            worker_id=self._identity.worker_id,
            boot_id=self._identity.boot_id,
            executed_at=datetime.now(UTC).isoformat(),
            blobs=self._blobs,
        )

    async def _run(self, attempt: Attempt, job: Job, executor: Executor) -> None:
        began = self._clock()
        ended: Ended | None = None
        try:
            if attempt.unwanted:
                ended = cancelled()
            else:
                attempt.executor = executor
                async with asyncio.timeout(job.limits.timeout_s + OVERTIME_S):
                    ended = await executor.run(job, attempt)
                await attempt.flush()
            if self._closing and ended.outcome is Outcome.CANCELLED:
                ended = lost("the worker stopped")
        except asyncio.CancelledError:
            ended = None
            raise
        except (StoreFull, WrongHash) as error:
            ended = Ended(
                outcome=Outcome.FAILED, detail=ErrorDetail(type="ResultError", message=str(error)), usage=Usage()
            )
        except TimeoutError:
            log.exception("attempt %s did not end in time", attempt.attempt_id)
            ended = lost("the sandbox did not end it in time")
        except Exception as error:
            log.exception("attempt %s is lost", attempt.attempt_id)
            ended = lost(f"the sandbox broke ({type(error).__name__})")
        finally:
            self.recent_seconds.append(round(self._clock() - began, 6))
            del self._running[attempt.attempt_id]
            self._blobs.unpin(attempt.pins)
            self._finish(attempt, lost("the worker stopped") if ended is None else ended)

    def _finish(self, attempt: Attempt, ended: Ended) -> None:
        attempt.outcome = ended.outcome
        self._tell(attempt, ended)
        attempt.slim(self._clock())
        self.counters[attempt.outcome.value] += 1
        self._ended[attempt.attempt_id] = attempt
        self._ended_bytes += attempt.kept_bytes
        self._forget()
        attempt.done.set()

    def _tell(self, attempt: Attempt, ended: Ended) -> None:
        for item in ended.artifacts:
            attempt.events.add("artifact", {"path": item.path, "sha256": item.sha256, "size": item.size})
        attempt.answer = answer(attempt, ended)
        attempt.status = STATUS[attempt.outcome or ended.outcome]
        attempt.events.add("finished", attempt.answer)
        attempt.events.close()

    def _refuse_forgotten(self, attempt_id: str) -> None:
        if attempt_id in self._forgotten:
            raise Refused(
                410,
                f"attempt {attempt_id} ended and its answer is no longer kept",
                "use a new attempt_id to run it again",
            )

    def _forget(self) -> None:
        """Drop answers that are old or too many; their ids stay known, so that none of them runs twice."""
        while len(self._ended) > 1:
            oldest = next(iter(self._ended.values()))
            too_much = self._ended_bytes > self._answers_bytes or len(self._ended) > KEEP_COUNT
            if not too_much and self._clock() - oldest.ended_at < KEEP_S:
                break
            self._ended.popitem(last=False)
            self._ended_bytes -= oldest.kept_bytes
            self._forgotten[oldest.attempt_id] = None
            if len(self._forgotten) > REMEMBERED_IDS:
                self._forgotten.popitem(last=False)
