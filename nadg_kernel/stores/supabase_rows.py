"""Rows of the Supabase project to records and back, as JSON that PostgreSQL takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nadg_kernel.model import RunState
from nadg_kernel.stores.base import RunRow, WorkerRow
from nadg_kernel.stores.facts import clean, edit_rows, encoded, facts, micros, number
from nadg_kernel.stores.records import encoded_plan
from nadg_kernel.stores.registered import registered

if TYPE_CHECKING:
    from nadg_kernel.model import Event, Plan
    from nadg_kernel.stores import frames

RESULT_BYTES = 1024 * 1024
"""Larger results stay in the owner's blobs and journal; here are their digest and a preview."""
PREVIEW_CHARS = 2_000


def text(value: object) -> str | None:
    """Text that PostgreSQL takes: it has no NUL."""
    found = clean(value)
    return None if found is None else found.replace("\0", "\\u0000")


def plain(value: Any) -> Any:
    """JSON values with texts that PostgreSQL takes."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {str(text(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def iso(value: datetime | None) -> str | None:
    """As JSON has it."""
    return None if value is None else value.isoformat()


def plan_row(plan: Plan, at: datetime) -> dict[str, Any]:
    """What `nadg_put_plan` takes."""
    edits = [{**row, "at": row["at"].isoformat()} for row in edit_rows(plan)]
    approval = plan.approval
    return {
        "digest": plan.digest,
        "plan": encoded_plan(plan),
        "at": at.isoformat(),
        "approved_by": text(approval.by) if approval else None,
        "approved_at": approval.at.isoformat() if approval else None,
        "edits": plain(edits),
        "subtasks": [
            {
                "subtask": item.id,
                "title": text(item.name),
                "kind": item.kind,
                "position": place,
                "state": "held" if item.hold else "waiting",
            }
            for place, item in enumerate(plan.subtasks)
        ],
    }


def event_row(event: Event) -> dict[str, Any]:
    """What `nadg_append` takes; a result over 1 MB as digest and preview."""
    payload = encoded(event)
    if len(payload) > RESULT_BYTES and isinstance(event.payload.get("result"), Mapping):
        payload = encoded(_slim(event))
    row = {**event.to_json(), "payload": payload, "facts": plain(facts(event))}
    return {name: text(value) if isinstance(value, str) else value for name, value in row.items()}


def _slim(event: Event) -> Event:
    body = json.dumps(event.payload["result"], separators=(",", ":"), default=str)
    digest = hashlib.sha256(body.encode()).hexdigest()
    result = {"sha256": digest, "size": len(body), "preview": body[:PREVIEW_CHARS]}
    return replace(event, payload={**event.payload, "result": result})


def run_from(row: Mapping[str, Any]) -> RunRow:
    """A run as the database gives it."""
    return RunRow(
        run_id=row["run_id"],
        command=row["command"],
        state=RunState(row["state"]),
        plan_digest=row["plan_digest"],
        epoch=row["epoch"],
        owner=row["owner"],
        heartbeat_at=time_from(row["heartbeat_at"]),
        created_at=datetime.fromisoformat(row["created_at"]).astimezone(UTC),
        ended_at=time_from(row["ended_at"]),
        rehearsal=row["rehearsal"],
    )


def time_from(value: str | None) -> datetime | None:
    """A time of the database, UTC; None for one that is none, such as `infinity`."""
    try:
        return None if value is None else datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def worker_from(row: Mapping[str, Any]) -> WorkerRow:
    """A worker as the database gives it."""
    worker = WorkerRow(
        worker_id=row["name"] or f"node-{row['id']}",
        url=row["vm_url"],
        status=row["status"] or "active",
        generation=row["generation"],
        capacity=row["capacity"],
        total_tasks=row["total_tasks"] or 0,
        last_ping=time_from(row["last_ping"]),
    )
    return registered(worker, row["labels"], row["details"])


def worker_row(row: WorkerRow) -> dict[str, Any]:
    """What `nadg_upsert_workers` takes."""
    details = row.details
    return {
        "name": text(row.worker_id),
        "vm_url": text(row.url),
        "status": text(row.status),
        "generation": row.generation,
        "labels": plain(list(row.labels)),
        "capacity": row.capacity,
        "total_tasks": row.total_tasks,
        "last_ping": iso(row.last_ping),
        "details": json.dumps(dict(details)),
        "latency_ms": number(details.get("latency_ms")),
        "reason": text(details.get("reason")),
        "boot_id": text(details.get("boot_id")),
    }


def filter_value(name: str, value: Any) -> Any:
    """What `nadg_query` takes for a filter: a time, a text, or a list of values."""
    if name in {"since", "until"}:
        at: datetime = value
        micros(at)
        return at.isoformat()
    if name == "text":
        return text(value)
    several = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    return [text(item) for item in several]


def frame_row(spec: frames.Frame, row: Mapping[str, Any]) -> list[Any]:
    """A frame's row in the order of its columns."""
    return [
        time_from(row[name])
        if kind == "time"
        else float(row[name])
        if kind == "float" and row[name] is not None
        else row[name]
        for name, (kind, _) in spec.columns.items()
    ]
