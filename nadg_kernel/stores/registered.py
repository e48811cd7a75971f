"""Rows of the registry as records: anybody may have written one by hand, so what is wrong is said, never raised."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nadg_kernel.stores.base import PROBLEM

if TYPE_CHECKING:
    from nadg_kernel.stores.base import WorkerRow

ADVICE = "it is not used: correct the row or remove the worker"


def registered(row: WorkerRow, labels: object, details: str) -> WorkerRow:
    """The worker with its labels (JSON values) and details (JSON text) as they stand in its row.

    Where the row makes no sense the worker is offline and has a `problem`, and what can be kept is kept.
    """
    wrong: list[str] = []
    about: Any = _parsed(details)
    if not isinstance(about, dict):
        wrong.append(f"its details are no JSON object ({details[:40]!r})")
        about = {}
    if not isinstance(labels, list) or not all(isinstance(item, str) for item in labels):
        wrong.append(f"its labels are no list of texts ({json.dumps(labels)[:40]})")
        labels = []
    if row.capacity < 1:
        wrong.append(f"its capacity is {row.capacity}")
    if row.generation < 1:
        wrong.append(f"its generation is {row.generation}")
    found = replace(row, labels=tuple(labels), details=about)
    if not wrong:
        return found
    problem = f"its row in the registry makes no sense: {', '.join(wrong)}; {ADVICE}"
    return replace(
        found,
        status="offline",
        generation=max(1, row.generation),
        capacity=max(1, row.capacity),
        details={**about, PROBLEM: problem},
    )


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
