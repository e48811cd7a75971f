"""A worker's finished answer as the journal's payload: checked against the protocol's bounds, its blobs fetched."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nadg_kernel import values
from nadg_kernel.engines.base import AttemptEvent
from nadg_kernel.errors import StoreError
from nadg_kernel.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from nadg_kernel.engines.base import AttemptSpec, Blobs
    from nadg_kernel.wire import ExecuteResponse, FileRef, ValueRef

MB = 1024 * 1024
MOST_DISPLAYS = 1_000
MOST_ARTIFACTS = 10_000
OVERTIME_S = 60.0
"""By how much an attempt may outlast its limit: it is ended, its files are read, its answer is written."""
SLACK = 4096
"""Characters and bytes by which a worker's own note about a cut may exceed the limit."""


class BadAnswer(ValueError):  # noqa: N818 - a verdict on what came
    """An answer that breaks the protocol's bounds: it is refused, whatever it says."""


class NotKept(Exception):  # noqa: N818 - a verdict on what came
    """The bytes of a result cannot be kept on this side, or no longer be had from the worker."""


def ended(
    outcome: Outcome,
    worker: str,
    *,
    reason: str = "",
    seconds: float | None = None,
    retry_after: float | None = None,
    **more: Any,
) -> AttemptEvent:
    """The last event of an attempt, with the payload of the journal's `attempt_ended`."""
    payload: dict[str, Any] = {
        "outcome": str(outcome),
        "worker": worker,
        "seconds": seconds,
        "result": None,
        "error": None,
        "usage": {},
        "layers": [],
        **more,
    }
    if reason:
        payload["reason"] = reason
    if retry_after is not None:
        payload["retry_after"] = retry_after
    return AttemptEvent(type="ended", data=payload)


class Intake:
    """Takes what one attempt gives. Raises BadAnswer for what breaks its bounds."""

    def __init__(self, spec: AttemptSpec, blobs: Blobs, get_blob: Callable[[str, int], Awaitable[bytes]]) -> None:
        """Check against the attempt's own limits; `get_blob(sha256, size)` gives a worker's bytes, hash verified."""
        self._spec, self._blobs, self._get_blob = spec, blobs, get_blob
        self._printed = {"stdout": 0, "stderr": 0}
        self._displays = 0

    @property
    def most_event_bytes(self) -> int:
        """The largest event that an answer within the limits can be, every character escaped."""
        return 12 * self._spec.limits.output_kb * 1024 + 32 * MB

    def text(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """A stdout or stderr event."""
        text = data.get("text")
        if not isinstance(text, str):
            raise BadAnswer(f"a {kind} event without text")
        self._printed[kind] += len(text)
        self._check_printed(kind, self._printed[kind])
        return {"text": text}

    def progress(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """A progress event: a fraction from 0 to 1 or None, and a short text."""
        fraction = data.get("fraction")
        number = isinstance(fraction, int | float) and not isinstance(fraction, bool) and 0 <= fraction <= 1
        return {
            "fraction": float(fraction) if number and fraction is not None else None,
            "text": _short(data.get("text")),
        }

    async def display(self, ref: ValueRef) -> dict[str, Any]:
        """A display event, its bytes fetched."""
        self._displays += 1
        if self._displays > MOST_DISPLAYS:
            raise BadAnswer(f"more than {MOST_DISPLAYS} displays")
        needed: dict[str, int] = {}
        plain = _plain_ref(ref, needed)
        await self._fetch(needed)
        return plain

    async def answer(self, answer: ExecuteResponse, seconds: float) -> AttemptEvent:
        """The end of an attempt that a worker answered. Raises BadAnswer or NotKept."""
        if answer.attempt_id != self._spec.attempt_id:
            raise BadAnswer("an answer to another attempt")
        if len(answer.displays) > MOST_DISPLAYS:
            raise BadAnswer(f"more than {MOST_DISPLAYS} displays")
        self._check_printed("stdout", len(answer.output))
        self._check_printed("stderr", len(answer.stderr))
        self._check_artifacts(answer.artifacts)
        needed: dict[str, int] = {}
        result = None if answer.result is None else _plain_ref(answer.result, needed)
        displays = [_plain_ref(ref, needed) for ref in answer.displays]
        if sum(needed.values()) > self._spec.limits.memory_mb * MB:
            raise BadAnswer("a result that is larger than the memory of its attempt")
        needed.update({item.sha256: item.size for item in answer.artifacts})
        await self._fetch(needed)
        return ended(
            answer.outcome,
            self._spec.worker_id,
            reason="" if answer.outcome in _OWN_ENDS else _short(answer.error) or f"the worker says {answer.outcome}",
            seconds=self._lasted(answer.usage.seconds, seconds),
            result={
                "value": result,
                "displays": displays,
                "artifacts": [{"path": f.path, "sha256": f.sha256, "size": f.size} for f in answer.artifacts],
                "stdout": answer.output,
                "stderr": answer.stderr,
                "truncated": [_short(item) for item in answer.truncated[:20]],
            },
            error=_error(answer),
            usage=answer.usage.model_dump(exclude_none=True),
            layers=[_short(layer) for layer in answer.layers[:50]],
        )

    def _lasted(self, worker_s: float | None, ours_s: float) -> float:
        """The worker's own measure, which leaves the way out; ours where its clock cannot have been right."""
        if worker_s is None or not 0 <= worker_s <= self._spec.limits.timeout_s + OVERTIME_S:
            return ours_s
        return worker_s

    def _check_printed(self, kind: str, characters: int) -> None:
        if characters > self._spec.limits.output_kb * 1024 + SLACK:
            raise BadAnswer(f"more {kind} than the limit of {self._spec.limits.output_kb} KB")

    def _check_artifacts(self, artifacts: list[FileRef]) -> None:
        if len(artifacts) > MOST_ARTIFACTS:
            raise BadAnswer(f"more than {MOST_ARTIFACTS} files")
        if sum(item.size for item in artifacts) > self._spec.limits.disk_mb * MB + SLACK:
            raise BadAnswer(f"files larger than the limit of {self._spec.limits.disk_mb} MB")
        for item in artifacts:
            parts = item.path.split("/")
            if any(part in {"", ".", ".."} for part in parts) or any(c in "\\:\x7f" or c < " " for c in item.path):
                raise BadAnswer(f"a file whose path is {item.path[:100]!r}")
        if len({item.path for item in artifacts}) != len(artifacts):
            raise BadAnswer("two files of one path")

    async def _fetch(self, needed: Mapping[str, int]) -> None:
        for sha256, size in needed.items():
            if await asyncio.to_thread(self._blobs.has, sha256):
                continue
            data = await self._get_blob(sha256, size)
            try:
                await asyncio.to_thread(self._blobs.put, data)
            except StoreError as error:
                raise NotKept(str(error)) from error


_OWN_ENDS = frozenset({Outcome.SUCCEEDED, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CANCELLED})


def _error(answer: ExecuteResponse) -> dict[str, Any] | None:
    if answer.outcome is Outcome.SUCCEEDED:
        return None
    if answer.detail is not None and (answer.detail.type or answer.detail.message):
        return answer.detail.model_dump()
    hint = "" if answer.detail is None else answer.detail.hint
    return {"type": "", "message": _short(answer.error), "line": None, "traceback": "", "hint": hint}


def _plain_ref(ref: ValueRef, needed: dict[str, int], level: int = 0) -> dict[str, Any]:
    """A ValueRef as the journal keeps it, the digests of inline bytes our own; blobs to fetch go into `needed`."""
    plain: dict[str, Any] = {"format": ref.format, "size": ref.size, "note": ref.note}
    if ref.format in {"list", "dict"}:
        if level > values.ITEM_LEVELS:
            raise BadAnswer("a result that is nested too deeply")
        plain["items"] = [_plain_ref(item, needed, level + 1) for item in ref.items or ()]
        if ref.format == "dict":
            keys = ref.value
            if not isinstance(keys, list) or len(keys) != len(plain["items"]):
                raise BadAnswer("a dict with other keys than items")
            plain["value"] = [str(key) for key in keys]
        return plain
    inline = {key: value for key in ("value", "data") if (value := getattr(ref, key)) is not None}
    if ref.sha256 and not inline and not values.is_null({"format": ref.format, "sha256": ref.sha256}):
        needed[ref.sha256] = ref.size
        return {**plain, "sha256": ref.sha256}
    try:
        encoded = values.from_ref({"format": ref.format, **inline}, _nothing)
    except values.ValueDecodingError as error:
        raise BadAnswer(f"a value that cannot be read: {error}") from error
    if "data" not in inline:
        inline["value"] = ref.value
    return {**plain, **inline, "sha256": encoded.digest(), "size": encoded.size}


def _nothing(sha256: str) -> bytes:
    raise values.ValueDecodingError(f"{sha256} is not inline")


def _short(text: object) -> str:
    return text[:1000] if isinstance(text, str) else ""
