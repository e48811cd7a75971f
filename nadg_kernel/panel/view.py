"""What the plan view draws, as JSON computed from the state: the plan (changes with edits) and what is live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nadg_kernel.model import RunState, SubtaskState
from nadg_kernel.panel.approval import approval_json, count_text, will_json
from nadg_kernel.panel.code_diff import code_diff
from nadg_kernel.panel.graph import places
from nadg_kernel.panel.offer_view import trial_json
from nadg_kernel.panel.records import Step
from nadg_kernel.panel.state import PanelState, selected_subtask
from nadg_kernel.runview import seconds_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nadg_kernel.model import Problem, Subtask

Json = dict[str, Any]
STATE_TONES = {"running": "run", "succeeded": "ok", "cached": "ok", "failed": "bad", "held": "warn", "paused": "warn"}
"""Colours by state, the same in the list, the graph and the tables; the view module has its own copy."""


def plan_json(state: PanelState) -> Json:
    """The shown plan: the run's on the Run page, the reviewed one elsewhere. Empty without a plan."""
    on_run = state.step is Step.RUN
    plan = state.run_plan if on_run else state.plan
    if plan is None:
        return {}
    problems: dict[str | None, list[Problem]] = {}
    if not on_run:
        for problem in state.problems:
            problems.setdefault(problem.subtask if problem.subtask in plan.ids else None, []).append(problem)
    draft = {item.id: item for item in plan.draft}
    place = places(plan)
    return {
        "page": "run" if on_run else "review",
        "command": plan.command,
        "goal": plan.goal,
        "assumptions": list(plan.assumptions),
        "questions": list(plan.questions),
        "data": [
            {"name": name, "size": _size_text(schema.rows, len(schema.columns), schema.kind)}
            for name, schema in plan.data.items()
        ],
        "problems": [_problem_json(problem) for problem in problems.get(None, [])],
        "subtasks": [
            {
                **_subtask_json(item, number, draft, problems.get(item.id, []), place[item.id]),
                "will": None if on_run else will_json(item, state.workers),
            }
            for number, item in enumerate(plan.subtasks, 1)
        ],
        "suggestions": [{"title": item.title, "reason": item.reason} for item in state.suggestions],
        "undo": bool(state.undo),
        "redo": bool(state.redo),
        "approval": None if on_run else approval_json(state),
    }


def live_json(state: PanelState) -> Json:
    """What changes by itself: the selection, the run, messages; with the revision that it belongs to."""
    chosen = selected_subtask(state)
    out: Json = {
        "rev": state.revision,
        "selected": None if chosen is None else chosen.id,
        "notice": state.notices.get(state.step, ""),
        "starting": state.starting,
        "saved": state.saved,
        "run": None,
        "output": None,
        "trial": trial_json(state),
    }
    if state.step is not Step.RUN or state.run is None or state.run_plan is None:
        return out
    rows = {name: row for name, row in state.run.subtasks.items() if name in state.run_plan.ids}
    states = [str(row.get("state", SubtaskState.WAITING)) for row in rows.values()]
    out["run"] = {
        "id": state.run.run_id,
        "state": str(state.run.state),
        "reason": state.run.reason,
        "notice": state.run.notice,
        "elapsed": state.run.elapsed_s,
        "left": seconds_text(state.run.left_s),
        "live": state.run.state is RunState.RUNNING,
        "total": len(state.run_plan),
        "done": sum(SubtaskState(word).final for word in states),
        "counts": {word: states.count(word) for word in dict.fromkeys(states)},
        "rows": {name: {key: row[key] for key in _ROW if key in row} for name, row in rows.items()},
    }
    if chosen is not None and state.run.output.get("id") == chosen.id:
        out["output"] = dict(state.run.output)
    return out


_ROW = ("state", "icon", "detail", "seconds", "fraction", "shards")


def _subtask_json(
    item: Subtask,
    number: int,
    draft: Mapping[str, Subtask],
    problems: list[Problem],
    place: tuple[int, int],
) -> Json:
    was = draft.get(item.id)
    change = "added" if was is None else "" if was == item else "edited"
    return {
        "id": item.id,
        "n": number,
        "title": item.title,
        "name": item.name,
        "instruction": item.instruction,
        "kind": item.kind,
        "code": item.code,
        "depends_on": list(item.depends_on),
        "inputs": list(item.inputs),
        "map": _map_json(item),
        "labels": ", ".join(item.labels),
        "timeout_s": f"{item.limits.timeout_s:g}",
        "memory_mb": str(item.limits.memory_mb),
        "priority": str(item.priority),
        "retries": str(item.retries),
        "cache": {None: "auto", True: "on", False: "off"}[item.cache],
        "hold": item.hold,
        "network": item.permissions.network,
        "processes_allowed": item.permissions.processes,
        "gpu": item.permissions.gpu,
        "repeatable": item.repeatable,
        "summary": _summary(item),
        "tags": _tags(item, change, problems),
        "change": change,
        "diff": code_diff(was.code, item.code) if was is not None and was.code != item.code else [],
        "problems": [_problem_json(problem) for problem in problems],
        "column": place[0],
        "lane": place[1],
    }


def _problem_json(problem: Problem) -> Json:
    return {
        "message": problem.message,
        "line": problem.line,
        "blocks": problem.blocks,
        "subtask": problem.subtask,
        "field": _FIELDS.get(problem.code, ""),
    }


_FIELDS = {
    "cycle": "depends_on",
    "dangling": "depends_on",
    "label": "labels",
    "map_input": "map",
    "map_size": "map",
    "map_over": "map",
    "missing_code": "code",
}
"""Beside which field of the editor a kind of problem is shown; the others stand under the code."""


def _map_json(item: Subtask) -> Json | None:
    if item.map is None:
        return None
    by_rows = item.map.rows is not None
    count = item.map.rows if by_rows else item.map.shards
    return {
        "over": item.map.over,
        "unit": "rows" if by_rows else "shards",
        "count": "" if count is None else str(count),
    }


def _summary(item: Subtask) -> str:
    parts = [item.instruction.strip().partition("\n")[0]] if item.instruction.strip() else []
    if item.depends_on:
        parts.append("after " + ", ".join(item.depends_on))
    return " \N{MIDDLE DOT} ".join(parts)


def _tags(item: Subtask, change: str, problems: list[Problem]) -> list[list[str]]:
    """Chips of a row: text and tone."""
    tags: list[list[str]] = []
    if item.kind == "prompt":
        tags.append(["prompt", ""])
    if item.map is not None:
        tags.append(["map" if item.map.shards is None else f"map x {item.map.shards}", ""])
    if item.hold:
        tags.append(["held", ""])
    tags += [[name, "warn"] for name in item.permissions.granted]
    if change:
        tags.append([change, "edit"])
    blocking = sum(problem.blocks for problem in problems)
    if blocking:
        tags.append([count_text(blocking, "problem"), "bad"])
    elif problems:
        tags.append([count_text(len(problems), "remark"), "warn"])
    else:
        tags.append(["checks pass", "ok"])
    return tags


def _size_text(rows: int | None, columns: int, kind: str) -> str:
    if kind != "frame":
        return kind
    return f"{rows:,} x {columns}" if rows is not None else f"{columns} columns"


def same_plan(before: PanelState, after: PanelState) -> bool:
    """Whether `plan_json` gives the same for both, told from identities alone: it is asked at every repaint."""
    return all(one is other for one, other in zip(_shown(before), _shown(after), strict=True))


def _shown(state: PanelState) -> tuple[object, ...]:
    on_run = state.step is Step.RUN
    flags = (on_run, bool(state.undo), bool(state.redo), state.starting, state.running)
    return (state.run_plan if on_run else state.plan, state.problems, state.suggestions, state.workers, *flags)
