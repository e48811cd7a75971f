"""What an approval would mean, in words: what runs where, with which permissions, and what stands in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nadg_kernel.engines.base import WorkerHealth, WorkerState

if TYPE_CHECKING:
    from nadg_kernel.model import Plan, Subtask
    from nadg_kernel.panel.state import PanelState

USABLE = frozenset({WorkerHealth.READY, WorkerHealth.WAKING, WorkerHealth.ASLEEP})


def approval_json(state: PanelState) -> dict[str, Any]:
    """Everything beside the Approve button. `can` says whether it works, `why` what hinders it."""
    plan = state.plan
    if plan is None:
        return {"can": False, "why": "There is no plan yet."}
    why = _hindrance(state)
    return {
        "digest": plan.digest,
        "approved": plan.approved,
        "can": not why,
        "why": why,
        "summary": _summary(plan, state.workers),
        "permissions": [
            f"{', '.join(item.permissions.granted)} for {item.name}"
            for item in plan.subtasks
            if item.permissions.granted
        ],
        "blocking": len(state.blocking),
    }


def count_text(count: int, noun: str) -> str:
    """`1 problem`, `2 problems`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def eligible(item: Subtask, workers: tuple[WorkerState, ...]) -> tuple[WorkerState, ...]:
    """The workers that a subtask may run on now or once they are awake."""
    return tuple(worker for worker in workers if worker.health in USABLE and set(item.labels) <= worker.labels)


def _hindrance(state: PanelState) -> str:
    if state.starting:
        return "The run is being started."
    if state.running:
        return "A run is under way: wait for it, or cancel it on the Run page."
    if state.blocking:
        return f"{count_text(len(state.blocking), 'problem')} to fix first."
    if not state.workers:
        return "There is no worker: see the Workers page."
    if not any(worker.health in USABLE for worker in state.workers):
        return "No worker can take anything now: see the Workers page."
    return ""


def _summary(plan: Plan, workers: tuple[WorkerState, ...]) -> str:
    shards = 0
    open_ended = False
    for item in plan.subtasks:
        if item.map is None or item.map.shards is not None:
            shards += 1 if item.map is None else item.map.shards or 0
            continue
        schema = plan.data.get(item.map.over)
        if schema is not None and schema.rows is not None and item.map.rows:
            shards += -(-schema.rows // item.map.rows)
        else:
            open_ended = True
    more = " or more" if open_ended else ""
    ready = sum(worker.health is WorkerHealth.READY for worker in workers)
    text = count_text(len(plan), "subtask")
    if shards != len(plan) or open_ended:
        text += f", {count_text(shards, 'shard')}{more}"
    return f"{text} on {count_text(ready, 'ready worker')}"


def will_json(item: Subtask, workers: tuple[WorkerState, ...]) -> dict[str, Any]:
    """What of a subtask would run, where, with which permissions and limits."""
    able = eligible(item, workers)
    if not able:
        where = "no worker" if not item.labels else f"no worker with {', '.join(item.labels)}"
    elif len(able) == len(workers) and len(able) > 1:
        where = f"any of {len(able)} workers"
    else:
        where = ", ".join(worker.worker_id for worker in able[:3]) + (" and others" if len(able) > 3 else "")  # noqa: PLR2004
    size = count_text(len(item.code.splitlines()), "line")
    return {
        "what": f"prompt, {size}" if item.kind == "prompt" else f"Python, {size}",
        "where": where,
        "permissions": list(item.permissions.granted),
        "limits": f"{item.limits.timeout_s:g} s, {item.limits.memory_mb:,} MB",
    }
