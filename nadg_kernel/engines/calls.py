"""WorkerCalls: the worker protocol as an engine speaks it, whatever carries the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from nadg_kernel.engines.sse import SseEvent
    from nadg_kernel.wire import AttemptState, Health, StatusReport


class WorkerCalls(Protocol):
    """The calls of one worker. All raise Unreached, Broken, NotOurs or Refused (see faults.py)."""

    async def health(self) -> Health:
        """What everybody may know of it."""

    async def status(self) -> StatusReport:
        """Packages, limits, counters."""

    async def visit(self) -> None:
        """Touch it, so that whoever hosts it wakes it."""

    async def cancel(self, attempt_id: str, most: int) -> AttemptState:
        """Kill an attempt, or leave a tombstone for when it arrives. `most` bounds the answer, in bytes."""

    async def put_blob(self, sha256: str, data: bytes) -> None:
        """Give it bytes that an attempt needs."""

    async def get_blob(self, sha256: str, size: int) -> bytes:
        """The bytes of a blob that is `size` long. Raises WrongBytes for any others."""

    def execute(self, body: bytes, most: int) -> AbstractAsyncContextManager[AsyncIterator[SseEvent]]:
        """Send an attempt; entered once it is taken. Gives its events, of `most` bytes at most each."""

    def resume(self, attempt_id: str, after: int, most: int) -> AbstractAsyncContextManager[AsyncIterator[SseEvent]]:
        """The events of an attempt that come after one."""

    async def close(self) -> None:
        """Let go of it: what is under way breaks, and what is asked afterwards is Unreached."""
