"""What one event says, flattened to plain columns: read the same way by every store that keeps projected rows."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from nadg_kernel.errors import StoreError
from nadg_kernel.model import Event, EventType, Plan, RunState, SubtaskState

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ENDED = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
"""Run states that `unfinished` leaves out and `prune` may delete."""
ERROR_CHARS = 2_000
DAY = 86_400_000_000
"""Microseconds."""

_MICROSECOND = timedelta(microseconds=1)
_BLOB = re.compile(r'"sha256":"([0-9a-f]{64})"')
_encode = json.JSONEncoder(separators=(",", ":")).encode


def micros(at: datetime) -> int:
    """Microseconds since 1970, UTC, exactly. Raises StoreError for a time without a zone."""
    if at.tzinfo is None:
        message = f"times in the store need a zone, {at!r} has none: use datetime.now(UTC)"
        raise StoreError(message)
    return (at - EPOCH) // _MICROSECOND


def moment(value: int | None) -> datetime | None:
    """The time again, UTC."""
    return None if value is None else EPOCH + timedelta(microseconds=value)


def clean(value: object) -> str | None:
    """Text that every database takes: lone surrogates are written out. The journal's JSON keeps them as they are."""
    if value is None:
        return None
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def encoded(event: Event) -> str:
    """The payload as JSON text, ASCII so that any character survives. Raises StoreError for what JSON cannot say."""
    try:
        return _encode(event.payload)
    except (TypeError, ValueError, RecursionError):
        pass
    try:
        return _encode(_plain(event.payload))  # mappings and tuples of the records are fine; the rest is an error
    except (TypeError, ValueError, RecursionError) as error:
        message = f"the payload of {event.type} is not JSON: {error}"
        raise StoreError(message) from error


def blobs_in(payload: str) -> list[str]:
    """Digests of the blobs that an encoded payload refers to."""
    return _BLOB.findall(payload) if '"sha256":"' in payload else []


def error_line(payload: Mapping[str, Any]) -> str | None:
    """Why an attempt did not succeed, in one line; None if it did."""
    error = payload.get("error")
    if isinstance(error, Mapping):
        kind, text = error.get("type") or "", error.get("message") or ""
        line = f"{kind}: {text}" if kind and text else kind or text
        # A full disk message or a data dump belongs to the journal, not to every row of a frame.
        return clean(line[:ERROR_CHARS]) or None
    reason = error if isinstance(error, str) else payload.get("reason")
    return clean(str(reason)[:ERROR_CHARS]) if reason else None


def facts(event: Event) -> dict[str, Any]:
    """The columns that an event sets, by name; values are None, text, int or float. Times are not among them.

    Raises StoreError for a payload without what its type needs.
    """
    try:
        return _facts(event)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"the payload of {event.type} does not fit its type: {error!r}"
        raise StoreError(message) from error


def _facts(event: Event) -> dict[str, Any]:  # noqa: PLR0911 - one per type
    payload = event.payload
    kind = event.type
    if kind is EventType.ATTEMPT_INTENDED:
        key = payload.get("key")
        return {"worker": clean(payload.get("worker")), "number": _int(payload.get("number")), "key": clean(key)}
    if kind is EventType.ATTEMPT_STARTED:
        return {"worker": clean(payload.get("worker")), "boot_id": clean(payload.get("boot_id"))}
    if kind is EventType.ATTEMPT_ENDED:
        usage = payload.get("usage") or {}
        return {
            "outcome": clean(payload.get("outcome")),
            "worker": clean(payload.get("worker")),
            "seconds": number(payload.get("seconds")),
            "error": None if payload.get("outcome") == "succeeded" else error_line(payload),
            "memory_mb": number(usage.get("memory_mb")),
            "cpu_s": number(usage.get("cpu_s")),
            "prompt_tokens": _int(usage.get("prompt_tokens")),
            "output_tokens": _int(usage.get("output_tokens")),
            "key": clean(payload.get("key")),
        }
    if kind is EventType.SHARD_CACHED:
        return {"key": clean(payload.get("key"))}
    if kind is EventType.SHARDS_FIXED:
        return {"count": _int(payload.get("count"))}
    if kind is EventType.SUBTASK_STATE:
        return {"state": str(SubtaskState(payload["state"])), "reason": clean(payload.get("reason") or None)}
    if kind is EventType.WORKER_STATE:
        return {
            "worker": clean(payload.get("worker")),
            "state": clean(payload.get("state")),
            "capacity": _int(payload.get("capacity")),
            "latency_ms": number(payload.get("latency_ms")),
            "reason": clean(payload.get("reason") or None),
            "boot_id": clean(payload.get("boot_id") or None),
        }
    if kind is EventType.RUN_STARTED:
        return {"planner": clean(_planner(payload.get("planner")))}
    if kind is EventType.RUN_ENDED:
        return {"state": str(RunState(payload["state"])), "reason": clean(payload.get("reason") or None)}
    return {}


def edit_rows(plan: Plan) -> list[dict[str, Any]]:
    """One row per changed field of each edit: at, by, kind, subtask, field, before, after (values as JSON)."""
    rows = []
    for edit in plan.edits:
        changes: Mapping[str, tuple[Any, Any]] = edit.changes or {"": (None, None)}
        for name, pair in changes.items():
            before, after = (None if value is None else json.dumps(value, default=str) for value in pair)
            about = {"at": edit.at, "by": clean(edit.by), "kind": edit.kind, "subtask": clean(edit.subtask)}
            rows.append({**about, "field": clean(name), "before": before, "after": after})
    return rows


def number(value: object) -> float | None:
    """A finite number, or None: databases and frames disagree on the others."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def _int(value: object) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def _planner(value: object) -> object:
    return value.get("name") or value.get("planner") if isinstance(value, Mapping) else value


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)]
    return value
