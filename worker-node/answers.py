"""How an attempt's end is told: the one place where a sandbox's `Ended` becomes the protocol's answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from sandbox.base import Ended
from wire import ErrorDetail, ExecuteResponse, FileRef, Outcome, Status, Usage, ValueRef

if TYPE_CHECKING:
    from attempt import Attempt

STATUS = {
    Outcome.SUCCEEDED: Status.COMPLETED,
    Outcome.FAILED: Status.FAILED,
    Outcome.TIMED_OUT: Status.TIMED_OUT,
    Outcome.CANCELLED: Status.CANCELLED,
    Outcome.REJECTED: Status.FAILED,
    Outcome.LOST: Status.FAILED,
}
PROSE_HINT = "this reads like an instruction in words: send it with kind `prompt` to a worker that has a model"
_ERROR_CHARS = 500
_PROSE = re.compile(r"[\w',;.!?-]+(?:\s+[\w',;.!?-]+){2,}\s*")
_NOTES_CHARS = 2_000


def clean(text: str) -> str:
    """The text without lone surrogates, which have no UTF-8 form."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def lost(reason: str) -> Ended:
    """The end of an attempt that this worker itself broke or dropped."""
    return Ended(
        outcome=Outcome.LOST, detail=ErrorDetail(type="AttemptLost", message=f"attempt lost: {reason}"), usage=Usage()
    )


def cancelled() -> Ended:
    """The end of an attempt that was cancelled before it ran."""
    return Ended(outcome=Outcome.CANCELLED, detail=ErrorDetail(message="cancelled before it started"), usage=Usage())


def answer(attempt: Attempt, ended: Ended) -> bytes:
    """The answer as JSON. A result that the protocol cannot carry fails the attempt instead of the worker."""
    try:
        return _build(attempt, ended).model_dump_json().encode()
    except (ValidationError, PydanticSerializationError) as error:
        attempt.outcome = Outcome.FAILED
        detail = ErrorDetail(
            type="ResultError", message=f"what the code gave back has no valid form: {type(error).__name__}"
        )
        bare = Ended(outcome=Outcome.FAILED, detail=detail, usage=ended.usage, layers=ended.layers)
        return _build(attempt, bare).model_dump_json().encode()


def _build(attempt: Attempt, ended: Ended) -> ExecuteResponse:
    detail = _detail(attempt, ended)
    return ExecuteResponse(
        task_id=attempt.task_id,
        status=STATUS[ended.outcome],
        output="".join(attempt.stdout),
        error=_line(ended.outcome, detail),
        executed_at=attempt.executed_at,
        outcome=ended.outcome,
        attempt_id=attempt.attempt_id,
        worker_id=attempt.worker_id,
        boot_id=attempt.boot_id,
        stderr="".join(attempt.stderr),
        result=None if ended.result is None else ValueRef.model_validate(ended.result),
        displays=attempt.displays,
        artifacts=[FileRef(path=item.path, sha256=item.sha256, size=item.size) for item in ended.artifacts],
        detail=detail,
        usage=ended.usage,
        truncated=sorted({*ended.truncated, *attempt.truncated}),
        layers=list(ended.layers),
    )


def _detail(attempt: Attempt, ended: Ended) -> ErrorDetail | None:
    """The sandbox's own detail, with its notes and, for prose that was sent as Python, a hint."""
    detail = ended.detail
    hints = [clean(note) for note in ended.notes]
    if detail is not None and detail.hint:
        hints.insert(0, detail.hint)
    elif detail is not None and detail.type == "SyntaxError" and _PROSE.fullmatch(attempt.first_line):
        hints.insert(0, PROSE_HINT)
    if not hints and detail is None:
        return None
    if detail is None:
        detail = ErrorDetail()
    return detail.model_copy(
        update={
            "hint": "\n".join(hints)[:_NOTES_CHARS],
            "message": clean(detail.message),
            "traceback": clean(detail.traceback),
            "type": clean(detail.type),
        }
    )


def _line(outcome: Outcome, detail: ErrorDetail | None) -> str | None:
    if outcome is Outcome.SUCCEEDED:
        return None
    if detail is None or not (detail.type or detail.message):
        return outcome.value.replace("_", " ")
    message = detail.message.strip().split("\n", 1)[0]
    kind = "" if detail.type == "AttemptLost" else detail.type
    return ": ".join(part for part in (kind, message) if part)[:_ERROR_CHARS]
