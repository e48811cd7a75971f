"""Rehearsal: a plan, or one subtask of it, on a few rows before anybody approves it. Network and processes are off."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nadg_kernel.data import split_value
from nadg_kernel.model import Map, Permissions
from nadg_kernel.values import from_ref, to_ref
from nadg_kernel.wire import INLINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nadg_kernel.engines.base import Blobs
    from nadg_kernel.model import Plan
    from nadg_kernel.progress import RunProgress

ROWS = 200


def sampled(refs: Mapping[str, Mapping[str, Any]], rows: int, blobs: Blobs) -> dict[str, dict[str, Any]]:
    """The first rows of each value that has rows, as ValueRefs; other values whole."""
    out = {}
    for name, ref in refs.items():
        first = split_value(from_ref(ref, blobs.get), Map(over=name, rows=rows))[0]
        out[name] = to_ref(first, INLINE_BYTES, lambda _sha256, data: _keep(blobs, data))
    return out


def _keep(blobs: Blobs, data: bytes) -> None:
    blobs.put(data)


def rehearsed(plan: Plan, subtask: str | None = None) -> Plan:
    """The plan as it is rehearsed: no permissions, no holds; with `subtask` only that one and what it needs."""
    wanted = set(plan.ids) if subtask is None else _with_ancestors(plan, subtask)
    subtasks = tuple(
        replace(item, permissions=Permissions(), hold=False, cache=False) for item in plan.subtasks if item.id in wanted
    )
    return replace(plan, subtasks=subtasks, approval=None)


def estimate_s(progress: RunProgress, full_rows: int | None, rows: int, slots: int) -> float | None:
    """Seconds that the whole may take, from a rehearsal: time per row over all rows and slots. None is unknown.

    What does not map is taken as linear in the rows too, which is what most table work is.
    """
    if full_rows is None:
        return progress.seconds
    busy = sum(item.seconds or 0.0 for item in progress.subtasks.values())
    if not busy:
        return None
    return busy * max(1.0, full_rows / max(1, min(rows, full_rows))) / max(1, slots)


def _with_ancestors(plan: Plan, subtask: str) -> set[str]:
    found: set[str] = set()
    todo = [plan[subtask].id]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [need for need in plan[name].depends_on if need in plan.ids]
    return found
