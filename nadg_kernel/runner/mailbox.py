"""How the runner's helpers reach its loop: messages in order, and the first exception of any of them."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable


def now() -> float:
    """Seconds on the running loop's clock, which only rises."""
    return asyncio.get_running_loop().time()


class Mailbox:
    """Messages are calls without arguments, made by the loop that drains the box."""

    def __init__(self) -> None:
        """Empty, nothing has failed."""
        self.failure: BaseException | None = None
        self._messages: deque[Callable[[], None]] = deque()
        self._helpers: set[asyncio.Task[Any]] = set()
        self._wake = asyncio.Event()

    def post(self, message: Callable[[], None]) -> None:
        """Leave a message and wake the loop."""
        self._messages.append(message)
        self._wake.set()

    def wake(self) -> None:
        """Let the loop look around."""
        self._wake.set()

    def drain(self) -> None:
        """Do what the messages say, those that come meanwhile too. Raises what a helper failed with."""
        if self.failure is not None:
            raise self.failure
        while self._messages:
            self._messages.popleft()()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a helper whose exception reaches the loop."""
        task = asyncio.get_running_loop().create_task(work)
        self._helpers.add(task)
        task.add_done_callback(self._done)
        return task

    def dismiss(self) -> None:
        """End all helpers."""
        for task in self._helpers:
            task.cancel()

    async def wait(self, due: Iterable[float]) -> None:
        """Sleep until there is something to look at, at the latest at the first time in `due`."""
        first = min(due, default=math.inf)
        timer = None
        if first < math.inf:
            timer = asyncio.get_running_loop().call_later(max(0.0, first - now()), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._wake.clear()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._helpers.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.failure = self.failure or task.exception()
            self._wake.set()
