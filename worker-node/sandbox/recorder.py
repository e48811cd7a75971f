"""Takes what a task sends, believes none of it before it is checked, and keeps it within bounds."""

from __future__ import annotations

import codecs
import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sandbox.base import Ended
from sandbox.frames import SHA_CHARS, ChannelError, Frames, Kind
from values import dumps
from wire import INLINE_BYTES, ErrorDetail, Outcome, Usage, ValueRef

if TYPE_CHECKING:
    from sandbox.base import Artifact, Job, Sink

MB = 1 << 20
PROGRESS_EVERY_S = 0.05
_EVENTS = 10_000
_HASHED_HERE = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What one task may hand back, besides stdout and stderr (those are in its limits)."""

    result_bytes: int = 256 * MB
    """All large leaves of results and displays together."""
    display_bytes: int = 16 * MB
    message_bytes: int = 8 * MB
    """One frame that is not a large leaf."""
    artifacts: int = 200
    artifact_bytes: int = 256 * MB


def frame_limits(bounds: Bounds) -> dict[Kind, int]:
    """Kinds that a task may send, and the longest of each."""
    return {
        Kind.PROGRESS: 16_384,
        Kind.DISPLAY: bounds.message_bytes,
        Kind.BLOB: bounds.result_bytes + SHA_CHARS,
        Kind.END: bounds.message_bytes,
        Kind.STDOUT: MB,
    }


class Recorder:
    """One attempt's output on its way to the sink."""

    def __init__(self, job: Job, sink: Sink, bounds: Bounds) -> None:
        self._sink = sink
        self._bounds = bounds
        self._room = dict.fromkeys(("stdout", "stderr"), job.limits.output_kb * 1024)
        self._decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in self._room}
        self._frames = Frames(frame_limits(bounds))
        self._kept: set[str] = set()
        self._blob_bytes = self._display_bytes = self._events = 0
        self._progress: dict[str, Any] | None = None
        self._progress_at = float("-inf")
        self._started = time.monotonic()
        self.end: dict[str, Any] | None = None
        self.truncated: set[str] = set()
        self.notes: list[str] = []

    def output(self, name: str, data: bytes) -> bool:
        """Pass on what was written to stdout or stderr. False once its limit is reached: the rest is dropped."""
        room = self._room[name]
        if len(data) > room:
            self.truncated.add(name)
        self._room[name] = max(0, room - len(data))
        self._text(name, self._decoders[name].decode(data[:room]))
        return self._room[name] > 0

    def feed(self, data: bytes) -> None:
        """Take bytes of the task's channel. Raises ChannelError for what a task may not send."""
        for kind, payload in self._frames.feed(data):
            if self.end is not None:
                raise ChannelError("it sent more after its end")
            if kind is Kind.STDOUT:
                self.output("stdout", payload)
            elif kind is Kind.BLOB:
                self._blob(payload)
            elif kind is Kind.DISPLAY:
                self._display(payload)
            elif kind is Kind.PROGRESS:
                self._note_progress(_object(payload))
            else:
                self.end = self._checked_end(_object(payload))

    def flush(self) -> None:
        """Pass on what was held back; call it at times and at the end."""
        if self._progress is not None:
            self._event("progress", self._progress)
            self._progress, self._progress_at = None, time.monotonic()

    def finish(
        self,
        outcome: Outcome,
        detail: ErrorDetail | None,
        *,
        layers: tuple[str, ...],
        artifacts: tuple[Artifact, ...] = (),
        usage: Usage | None = None,
    ) -> Ended:
        """The attempt's end."""
        for name, decoder in self._decoders.items():
            self._text(name, decoder.decode(b"", final=True))
        self.flush()
        used = usage or Usage()
        used.seconds = round(time.monotonic() - self._started, 6)
        return Ended(
            outcome=outcome,
            detail=detail,
            result=self.end.get("result") if self.end and outcome is Outcome.SUCCEEDED else None,
            artifacts=artifacts,
            usage=used,
            truncated=tuple(sorted(self.truncated)),
            layers=layers,
            notes=tuple(self.notes),
        )

    def _text(self, name: str, text: str) -> None:
        if text:
            self._sink.event(name, {"text": text})

    def _event(self, kind: str, data: dict[str, Any]) -> None:
        self._events += 1
        if self._events > _EVENTS:
            self.truncated.add("events")
            return
        self._sink.event(kind, data)

    def _note_progress(self, message: dict[str, Any]) -> None:
        fraction, text = message.get("fraction"), message.get("text")
        if not isinstance(fraction, (int, float)) or not 0 <= fraction <= 1 or not isinstance(text, str):
            raise ChannelError("progress that is no fraction and text")
        self._progress = {"fraction": float(fraction), "text": text[:500]}
        if time.monotonic() - self._progress_at >= PROGRESS_EVERY_S:
            self.flush()

    def _blob(self, payload: bytes) -> None:
        sha256, data = payload[:SHA_CHARS].decode("ascii", "replace"), payload[SHA_CHARS:]
        self._blob_bytes += len(data)
        if self._blob_bytes > self._bounds.result_bytes:
            message = f"results and displays of more than {self._bounds.result_bytes} bytes"
            raise ChannelError(message)
        # The sink hashes what is large in a thread; here it would hold up every other attempt.
        if len(data) <= _HASHED_HERE and hashlib.sha256(data).hexdigest() != sha256:
            raise ChannelError("bytes that do not fit their hash")
        self._sink.keep(sha256, data)
        self._kept.add(sha256)

    def _display(self, payload: bytes) -> None:
        self._display_bytes += len(payload)
        if self._display_bytes > self._bounds.display_bytes:
            self.truncated.add("displays")
            return
        ref = self._checked_ref(_object(payload))
        if ref["format"] != "mime":
            raise ChannelError("a display that is no MIME bundle")
        self._event("display", ref)

    def _checked_end(self, end: dict[str, Any]) -> dict[str, Any]:
        if end.get("result") is not None:
            end["result"] = self._checked_ref(end["result"])
        try:
            end["error"] = ErrorDetail(**end["error"]) if end.get("error") else None
            end["usage"] = Usage(**end.get("usage") or {})
        except (ValidationError, TypeError) as error:
            raise ChannelError("an end that is none") from error
        return end

    def _checked_ref(self, message: object) -> dict[str, Any]:
        try:
            ref = ValueRef.model_validate(message)
        except (ValidationError, RecursionError) as error:
            raise ChannelError("a value that is none") from error
        pending = [ref]
        while pending:
            one = pending.pop()
            pending += one.items or ()
            inline = one.data is not None or one.items is not None or one.value is not None or one.size <= INLINE_BYTES
            if not inline and one.sha256 not in self._kept:
                raise ChannelError("a value without its bytes")
            if one.sha256 is None and one.format == "json":
                one.sha256 = _hash_of_json(one.value)
        return ref.model_dump()


def _hash_of_json(value: object) -> str:
    """A task leaves the hash of a small plain value to the worker."""
    try:
        data = dumps(value).encode()
    except RecursionError as error:
        raise ChannelError("a value that is none") from error
    if len(data) > INLINE_BYTES:
        raise ChannelError("a large value without its hash")
    return hashlib.sha256(data).hexdigest()


def _object(payload: bytes) -> dict[str, Any]:
    try:
        message = json.loads(payload, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ChannelError("bytes that are no JSON") from error
    if not isinstance(message, dict):
        raise ChannelError("JSON that is no object")
    found: dict[str, Any] = message
    if b"\\ud" in payload or b"\\uD" in payload:
        found = _encodable(message)
    return found


def _refuse(constant: str) -> float:
    message = f"{constant} is no JSON"
    raise ValueError(message)


def _encodable(value: Any) -> Any:
    """Half a surrogate pair cannot be sent as UTF-8: it becomes the replacement character."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return value
