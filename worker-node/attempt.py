"""One attempt while it runs and after: where its output goes, and the answer that it came to."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from answers import clean
from events import EventRing
from wire import Outcome, Status, ValueRef

if TYPE_CHECKING:
    from attempts import Executor
    from blobs import Blobs

_THREAD_FROM = 256 * 1024
"""Bytes from which a blob is hashed and written by a thread, so that the event loop keeps answering."""
_DISPLAYS = 200
_PROGRESS_CHARS = 1000
_KEPT_OVERHEAD = 3000
"""Bytes of an ended attempt besides its answer and events (measured)."""
_DISPLAY_BYTES = 8 * 1024 * 1024
"""A second bound behind the sandbox's own, in case what it passes on is not bounded."""


@dataclass(kw_only=True, eq=False)
class Attempt:
    """State of one attempt; it is the sandbox's Sink too. `digest` None: a tombstone, it stands for any body."""

    attempt_id: str
    digest: bytes | None
    worker_id: str
    boot_id: str
    executed_at: str
    blobs: Blobs = field(repr=False)
    task_id: int | str | None = None
    first_line: str = ""
    output_bytes: int = 1024 * 1024
    status: Status = Status.RUNNING
    outcome: Outcome | None = None
    answer: bytes | None = None
    executor: Executor | None = None
    unwanted: bool = False
    ended_at: float = 0.0
    kept_bytes: int = 0
    pins: list[str] = field(default_factory=list)
    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    displays: list[ValueRef] = field(default_factory=list)
    truncated: set[str] = field(default_factory=set)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    events: EventRing = field(init=False)
    _room: dict[str, int] = field(init=False)
    _writes: list[asyncio.Future[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start with an empty ring and the full allowance of output."""
        self.events = EventRing(self.boot_id)
        self._room = {"stdout": self.output_bytes, "stderr": self.output_bytes, "display": _DISPLAY_BYTES}

    def event(self, kind: str, data: dict[str, Any]) -> None:
        """Take an event of the running job."""
        if kind in {"stdout", "stderr"}:
            text = self._fit(kind, clean(str(data.get("text", ""))))
            if text:
                (self.stdout if kind == "stdout" else self.stderr).append(text)
                self.events.add(kind, {"text": text})
        elif kind == "display":
            self._display(data)
        elif kind == "progress":
            self.events.add("progress", _progress(data))

    def keep(self, sha256: str, data: bytes) -> None:
        """Keep a large leaf of the result or of a display; it cannot be evicted while this attempt runs."""
        if len(data) < _THREAD_FROM:
            self._put(sha256, data)
        else:
            self._writes.append(asyncio.get_running_loop().run_in_executor(None, self._put, sha256, data))

    def keep_file(self, fd: int, size: int) -> str:
        """Keep an artifact. Safe in a thread, where files of more than a few MB belong."""
        sha256 = self.blobs.put_file(fd, size, pin=True)
        self.pins.append(sha256)
        return sha256

    async def flush(self) -> None:
        """Wait until all that was kept lies on disk. Raises what its writing raised."""
        writes, self._writes = self._writes, []
        for problem in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(problem, BaseException):
                raise problem

    def slim(self, now: float) -> None:
        """Keep what a later reader needs: the answer and the ring; the parts live on in the answer."""
        self.ended_at = now
        self.kept_bytes = len(self.answer or b"") + self.events.bytes + _KEPT_OVERHEAD
        self.stdout, self.stderr, self.displays, self.pins = [], [], [], []
        self.executor = None

    def _put(self, sha256: str, data: bytes) -> None:
        self.blobs.put(sha256, data, pin=True)
        self.pins.append(sha256)

    def _fit(self, kind: str, text: str) -> str:
        """The text as far as its allowance goes; what is cut is named in the answer."""
        room = self._room[kind]
        if len(text) > room or (not text.isascii() and len(text.encode()) > room):
            self.truncated.add(kind)
            text = text.encode()[:room].decode("utf-8", "ignore")
        self._room[kind] = room - (len(text) if text.isascii() else len(text.encode()))
        return text

    def _display(self, data: dict[str, Any]) -> None:
        try:
            ref = ValueRef.model_validate(data)
            text = ref.model_dump_json(exclude_none=True).encode()
        except (ValidationError, ValueError):
            self.truncated.add("display")  # no valid form: named, not passed on
            return
        if len(self.displays) >= _DISPLAYS or len(text) > self._room["display"]:
            self.truncated.add("display")
            return
        self._room["display"] -= len(text)
        self.displays.append(ref)
        self.events.add("display", text)


def _progress(data: dict[str, Any]) -> dict[str, Any]:
    """Progress as the protocol has it: a fraction from 0 to 1 (None for one that is no number) and a short text."""
    fraction = data.get("fraction")
    known = isinstance(fraction, (int, float)) and math.isfinite(fraction)
    return {
        "fraction": min(1.0, max(0.0, float(fraction))) if known and fraction is not None else None,
        "text": clean(str(data.get("text", "")))[:_PROGRESS_CHARS],
    }
