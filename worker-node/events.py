"""The last events of one attempt, numbered, within bounds: what a stream sends, and resumes after a cut."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

RING_EVENTS = 2_000
RING_BYTES = 4 * 1024 * 1024
"""Of each attempt. A reader that falls further behind gets a `gap` event that counts what it missed."""
_OVERHEAD = 200
_encode = json.JSONEncoder(separators=(",", ":")).encode


class EventRing:
    """Events with ids from 1. Readers wait for the next one; the oldest go when a bound is reached."""

    def __init__(self, boot_id: str, *, most: int = RING_EVENTS, most_bytes: int = RING_BYTES) -> None:
        """Hold at most `most` events and about `most_bytes` bytes (the newest is always held)."""
        self._boot_id = json.dumps(boot_id)
        self._most, self._most_bytes = most, most_bytes
        self._events: deque[tuple[str, Mapping[str, Any] | bytes]] = deque()
        self._changed: asyncio.Event | None = None
        self.last_id = 0
        self.bytes = 0
        self.closed = False

    def add(self, kind: str, data: Mapping[str, Any] | bytes) -> None:
        """Append an event. `data` is a mapping that nobody changes later, or JSON that is serialised already."""
        self.last_id += 1
        self._events.append((kind, data))
        self.bytes += _weight(data)
        while len(self._events) > self._most or (self.bytes > self._most_bytes and len(self._events) > 1):
            _, old = self._events.popleft()
            self.bytes -= _weight(old)
        self._wake()

    def close(self) -> None:
        """Say that no event follows."""
        self.closed = True
        self._wake()

    def frames(self, after: int) -> tuple[bytes, int]:
        """Server-sent events after id `after` as bytes, and the id of the last one; a gap is an event of its own."""
        first = self.last_id - len(self._events) + 1
        frames: list[bytes] = []
        if after + 1 < first:
            frames.append(self._frame(first - 1, "gap", b'{"lost":%d}' % (first - 1 - after)))
            after = first - 1
        for number in range(after + 1, self.last_id + 1):
            kind, data = self._events[number - first]
            frames.append(self._frame(number, kind, data))
        return b"".join(frames), self.last_id

    async def wait(self, after: int) -> None:
        """Return when there is an event after id `after`, or when none will come."""
        while self.last_id <= after and not self.closed:
            if self._changed is None:
                self._changed = asyncio.Event()
            await self._changed.wait()

    def _frame(self, number: int, kind: str, data: Mapping[str, Any] | bytes) -> bytes:
        # Serialised here and not in `add`: most attempts are never streamed.
        text = data if isinstance(data, bytes) else _encode(data).encode()
        head = f'id: {number}\nevent: {kind}\ndata: {{"id":{number},"type":"{kind}","boot_id":{self._boot_id},"data":'
        return head.encode() + text + b"}\n\n"

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None


def _weight(data: Mapping[str, Any] | bytes) -> int:
    """About how many bytes an event takes here."""
    if isinstance(data, bytes):
        return _OVERHEAD + len(data)
    return _OVERHEAD + sum(len(value) for value in data.values() if isinstance(value, str))
