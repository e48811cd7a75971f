"""Usage: what models really took, of a plan's drafting and changes and of its prompt subtasks, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nadg_kernel.model import Plan
    from nadg_kernel.stores.base import Store

COLUMNS = ("run_id", "subtask", "model", "calls", "prompt_tokens", "output_tokens")
MOST_RUNS = 500


async def usage_rows(store: Store, filters: Mapping[str, Any], models: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row per run and asker, newest run first; `subtask` is None for the planner's own calls.

    `models` maps worker ids to the model that they have now. Raises StoreError.
    """
    runs = await _rows(store, "runs", {"limit": MOST_RUNS, **filters})
    out: list[dict[str, Any]] = []
    for run in runs:
        plan = await store.get_plan(run["run_id"])
        if plan is None:
            continue
        out += _of_planner(run["run_id"], plan)
        prompts = {item.id for item in plan.subtasks if item.kind == "prompt"}
        if prompts:
            attempts = await _rows(store, "attempts", {"run": run["run_id"]})
            out += _of_prompts(run["run_id"], [row for row in attempts if row["subtask"] in prompts], models)
    return out


def _of_planner(run_id: str, plan: Plan) -> list[dict[str, Any]]:
    used = plan.planner.get("usage")
    if not isinstance(used, dict):
        return []
    about = {"run_id": run_id, "subtask": None, "model": str(plan.planner.get("model") or "")}
    tokens = {"prompt_tokens": used.get("prompt_tokens"), "output_tokens": used.get("answer_tokens")}
    return [{**about, "calls": int(used.get("calls") or 0), **tokens}]


def _of_prompts(run_id: str, attempts: Sequence[Mapping[str, Any]], models: Mapping[str, str]) -> list[dict[str, Any]]:
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for item in reversed(attempts):
        model = models.get(str(item["worker"]), "")
        new = {"run_id": run_id, "subtask": item["subtask"], "model": model, "calls": 0}
        row = rows.setdefault((item["subtask"], model), {**new, "prompt_tokens": 0, "output_tokens": 0})
        row["calls"] += 1
        row["prompt_tokens"] += int(item["prompt_tokens"] or 0)
        row["output_tokens"] += int(item["output_tokens"] or 0)
    return list(rows.values())


async def _rows(store: Store, frame: str, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row async for batch in store.query(frame, filters) for row in batch.to_pylist()]
