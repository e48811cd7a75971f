"""Server-sent events out of a byte stream whose sender is not trusted to keep to any bound."""

from __future__ import annotations

from dataclasses import dataclass


class SseError(ValueError):
    """The bytes are no event stream within its bounds."""


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event. `data` is its data lines joined by line feeds."""

    type: str
    data: bytes


class SseParser:
    """Takes bytes as they come and gives the events that are complete; comments give nothing."""

    def __init__(self, most_bytes: int) -> None:
        """Hold at most `most_bytes` of one event."""
        self._most = most_bytes
        self._buffer = bytearray()
        self._scanned = 0
        self._type = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that end within this chunk. Raises SseError for an event over the bound or an unknown field."""
        self._buffer += chunk
        events: list[SseEvent] = []
        begin = 0
        while (end := self._buffer.find(b"\n", max(begin, self._scanned))) >= 0:
            line = bytes(self._buffer[begin:end]).removesuffix(b"\r")
            begin = end + 1
            if line:
                self._field(line)
            else:
                if self._data:
                    events.append(SseEvent(self._type or "message", b"\n".join(self._data)))
                self._type, self._data, self._size = "", [], 0
        del self._buffer[:begin]
        self._scanned = len(self._buffer)
        if self._size + len(self._buffer) > self._most:
            raise SseError(f"an event is larger than {self._most} bytes")
        return events

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._size += len(value)
            if self._size > self._most:
                raise SseError(f"an event is larger than {self._most} bytes")
            self._data.append(value)
        elif name == b"event":
            self._type = value[:40].decode("ascii", "replace")
        elif name not in {b"", b"id", b"retry"}:
            raise SseError(f"not an event stream: a line begins with {line[:40]!r}")
