"""Expected seconds of subtasks and of a whole plan. Pure: earlier attempts in, numbers out; unknown stays unknown."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from nadg_kernel.estimates.makespan import feasible, makespan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nadg_kernel.engines.base import WorkerState
    from nadg_kernel.model import Plan, Subtask

NEWEST = 20
"""Attempts that count, per subtask: what ran long ago ran elsewhere, or on other data."""
SAME_CODE, SAME_TITLE, SAME_ID = "the same code", "the same title", "the same id"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a plan will take, as far as that is known.

    `seconds` has each subtask's id: the expected seconds of one attempt (of one shard), None where nothing is known.
    `shards` has the count that the plan fixes, None where it depends on a value that does not exist yet. `total` is
    the expected seconds of the whole run on the workers that are ready; None as soon as a part of it is not known.
    `basis` says in words what the numbers rest on, or why there are none.
    """

    seconds: Mapping[str, float | None] = field(default_factory=dict)
    shards: Mapping[str, int | None] = field(default_factory=dict)
    total: float | None = None
    basis: str = ""

    @property
    def known(self) -> dict[str, float]:
        """Only what is known, as the scheduler takes it: seconds by subtask id."""
        return {name: value for name, value in self.seconds.items() if value is not None}


def estimate(plan: Plan, past: Iterable[Mapping[str, Any]] | Any, workers: Sequence[WorkerState] = ()) -> Estimate:
    """Estimate a plan from earlier attempts on the workers as they are.

    `past` is a pandas frame or rows, newest first, each one attempt: `seconds`, `outcome` (only `succeeded` counts),
    and of `code` (see `code_digest`), `title` and `subtask` what is known. The same code counts most, then the same
    title; the same id only for rows that have neither. Rows without seconds are ignored. Nothing is guessed: what
    never ran is None, and a plan with such a part has no total.
    """
    pools = _pools(past)
    found = {item.id: _match(item, pools) for item in plan.subtasks}
    seconds = {name: None if hit is None else median(hit[1]) for name, hit in found.items()}
    shards = {item.id: shard_count(plan, item) for item in plan.subtasks}
    basis = _basis({name: hit for name, hit in found.items() if hit is not None}, len(plan))
    total, why = _total(plan, seconds, shards, workers)
    return Estimate(seconds=seconds, shards=shards, total=total, basis="; ".join(filter(None, (basis, why))))


def code_digest(subtask: Subtask) -> str:
    """What makes two subtasks the same work, whatever they are called: SHA-256 (hex) over kind and code."""
    return hashlib.sha256(f"{subtask.kind}\n{subtask.code}".encode("utf-8", "surrogatepass")).hexdigest()


def _pools(past: Any) -> dict[tuple[str, str], list[float]]:
    """Seconds by (what is the same, its value), the newest of each."""
    rows = past.to_dict("records") if hasattr(past, "to_dict") else past
    pools: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        seconds = row.get("seconds")
        if not isinstance(seconds, int | float) or not math.isfinite(seconds) or seconds < 0:
            continue
        if str(row.get("outcome") or "succeeded") != "succeeded":
            continue
        keys = [(SAME_CODE, row.get("code")), (SAME_TITLE, row.get("title"))]
        given = [(kind, value) for kind, value in keys if isinstance(value, str) and value]
        for kind, value in given or [(SAME_ID, str(row.get("subtask") or ""))]:
            pool = pools[kind, value]
            if len(pool) < NEWEST:
                pool.append(float(seconds))
    return pools


def _match(subtask: Subtask, pools: Mapping[tuple[str, str], list[float]]) -> tuple[str, list[float]] | None:
    for key in ((SAME_CODE, code_digest(subtask)), (SAME_TITLE, subtask.title), (SAME_ID, subtask.id)):
        if key[1] and (pool := pools.get(key)):
            return key[0], pool
    return None


def shard_count(plan: Plan, subtask: Subtask) -> int | None:
    """How many shards a subtask will have, where the plan and the size of its data say so."""
    over = subtask.map
    if over is None:
        return 1
    schema = plan.data.get(over.over)
    rows = None if schema is None else schema.rows
    if rows is None:
        return None if over.shards is None or over.over in plan.data else over.shards
    if over.rows:
        return max(1, math.ceil(rows / over.rows))
    return max(1, min(over.shards or 1, rows))


def _total(
    plan: Plan,
    seconds: Mapping[str, float | None],
    shards: Mapping[str, int | None],
    workers: Sequence[WorkerState],
) -> tuple[float | None, str]:
    """The makespan, or None and why not."""
    if not len(plan) or any(value is None for value in seconds.values()):
        return None, ""  # the basis has said what is missing
    needs = {item.id: item.depends_on for item in plan.subtasks}
    if not feasible(needs):
        return None, "no total: the plan's dependencies have a problem"
    if missing := [name for name, count in shards.items() if count is None]:
        return None, f"no total: how many shards {_named(missing)} will have is not known yet"
    slots = sum(max(0, state.capacity) for state in workers if state.health == "ready")
    if not slots:
        return None, "no total: no worker is ready"
    if alone := [item.id for item in plan.subtasks if not any(_takes(state, item) for state in workers)]:
        return None, f"no total: no ready worker offers what {_named(alone)} needs"
    work = {name: (float(seconds[name] or 0.0), int(shards[name] or 1)) for name in plan.ids}
    return makespan(needs, work, slots), ""


def _takes(state: WorkerState, subtask: Subtask) -> bool:
    needs = {*subtask.labels, *(["gpu"] if subtask.permissions.gpu else [])}
    return state.health == "ready" and needs <= state.labels


def _basis(found: Mapping[str, tuple[str, list[float]]], subtasks: int) -> str:
    if not found:
        return "none of it has run before"
    attempts = sum(len(pool) for _, pool in found.values())
    kinds = [kind for kind in (SAME_CODE, SAME_TITLE, SAME_ID) if any(hit[0] == kind for hit in found.values())]
    text = f"{attempts} earlier attempt{'s' * (attempts != 1)} with {' or '.join(kinds)}"
    unknown = subtasks - len(found)
    return text + (f"; {unknown} of {subtasks} subtasks never ran before" if unknown else "")


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004 - three
