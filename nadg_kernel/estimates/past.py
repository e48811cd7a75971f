"""Earlier attempts at the work of a plan, read from the store: what `estimate` goes by."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import StoreError
from nadg_kernel.estimates.making import NEWEST, code_digest, estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nadg_kernel.model import Plan
    from nadg_kernel.stores.base import Store

SUBTASKS_READ = 2_000
"""Newest subtasks of the history that are looked through."""
RUNS_READ = 40
RUNS_EACH = 3
"""Runs that count for one subtask."""
WITHIN_S = 0.5
"""How long the start of a run waits for its history."""


async def earlier(store: Store, plan: Plan) -> list[dict[str, Any]]:
    """Attempts that succeeded at the same code or title, newest first: subtask, title, code, seconds, outcome.

    Rehearsals do not count: they ran on a few rows. Raises StoreError.
    """
    codes, titles = {code_digest(item) for item in plan.subtasks}, {item.title for item in plan.subtasks if item.title}
    plans: dict[str, Plan | None] = {}
    runs: Counter[str] = Counter()
    out: list[dict[str, Any]] = []
    for row in await _rows(store, "history", {"state": "succeeded", "limit": SUBTASKS_READ}):
        run_id = row["run_id"]
        if row["rehearsal"] or (run_id not in plans and len(plans) >= RUNS_READ):
            continue
        if run_id not in plans:
            plans[run_id] = await store.get_plan(run_id)
        known = plans[run_id]
        code = code_digest(known[row["subtask"]]) if known is not None and row["subtask"] in known.ids else ""
        if code not in codes and row["title"] not in titles:
            continue
        runs[code or row["title"]] += 1
        if runs[code or row["title"]] > RUNS_EACH:
            continue
        about = {"run": run_id, "subtask": row["subtask"], "outcome": "succeeded", "limit": NEWEST}
        known_of = {"subtask": row["subtask"], "title": row["title"], "code": code, "outcome": "succeeded"}
        attempts = await _rows(store, "attempts", about)
        out.extend({**known_of, "seconds": attempt["seconds"]} for attempt in attempts)
    return out


async def expected(store: Store, plan: Plan, within_s: float = WITHIN_S) -> dict[str, float]:
    """Seconds by subtask id, of what is known: for the order in which a run starts its subtasks.

    From this machine's journal. Empty where the order is given anyway, or where the history does not say in time: a
    run starts at once.
    """
    if len(plan) < 2 or len({item.depends_on for item in plan.subtasks}) < 2:  # noqa: PLR2004 - nothing to choose
        return {}
    try:
        async with asyncio.timeout(within_s):
            return estimate(plan, await earlier(getattr(store, "local", store), plan)).known
    except (TimeoutError, StoreError):
        return {}


async def _rows(store: Store, frame: str, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row async for batch in store.query(frame, filters) for row in batch.to_pylist()]
