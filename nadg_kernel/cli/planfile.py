"""A plan file on its way to a run: what it needs, what changed since its approval, and approving it anew."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import DataError, EditError, NadgError, PlanFileError
from nadg_kernel.model import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nadg_kernel.model import DataSchema, Subtask

ANEW = "look at it, then --approve approves it anew"
UNTOLD = "its digest differs, and its edit log does not say why"


def load(path: Path, schemas: Mapping[str, DataSchema]) -> Plan:
    """Read a plan file. A plan that nobody approved takes the attached data in. Raises PlanFileError."""
    plan = Plan.load(path)
    new = {name: schema.to_json() for name, schema in schemas.items() if name not in plan.data}
    if plan.approval is not None or not new:
        return plan
    raw = json.loads(
        path.read_text(encoding="utf-8")
    )  # a second reading: `inputs` that are not given depend on the data
    try:
        return Plan.from_json({**raw, "data": {**dict(raw.get("data") or {}), **new}})
    except PlanFileError as error:
        message = f"{path}: {error}"
        raise PlanFileError(message) from error


def require_data(plan: Plan, names: set[str]) -> None:
    """Raise DataError where the plan needs data that is not attached, or data is attached that it does not name."""
    missing = [name for name in plan.data if name not in names]
    if missing:
        columns = ", ".join(plan.data[missing[0]].columns)
        about = f" (a table with the columns {columns})" if columns else ""
        message = f"the plan needs the data {missing[0]!r}{about}: --data {missing[0]}=FILE"
        raise DataError(message)
    if plan.approval is not None and (extra := sorted(names - set(plan.data))):
        known = ", ".join(plan.data) or "none"
        message = f"the plan was approved without data called {extra[0]!r} (it reads: {known})"
        raise DataError(message)


def departures(plan: Plan, schemas: Mapping[str, DataSchema]) -> list[str]:
    """In words, how the plan and this data depart from what was approved; empty when the approval holds."""
    out = [] if plan.approved else changes_since_approval(plan)
    for name, approved in plan.data.items():
        out += [f"data {name!r}: {text}" for text in approved.differences(schemas[name])]
    return out


def refuse(path: Path, plan: Plan, found: list[str]) -> NadgError:
    """The error for an approval that does not hold."""
    assert plan.approval is not None  # noqa: S101 - only an approved plan has departures
    who = f"by {plan.approval.by} on {plan.approval.at:%Y-%m-%d %H:%M}"
    kind: type[NadgError] = DataError if plan.approved else PlanFileError
    what = (
        "this data is not what the plan was approved for" if plan.approved else f"{path} was changed since its approval"
    )
    return kind(f"{what} ({who}): {'; '.join(found)}. Nothing ran: {ANEW}")


def with_schemas(plan: Plan, schemas: Mapping[str, DataSchema]) -> Plan:
    """The plan as a draft over this data."""
    return replace(plan, data={**plan.data, **schemas}, approval=None)


def changes_since_approval(plan: Plan) -> list[str]:
    """What was changed in the file itself: its subtasks beside those that draft and edit log lead to."""
    approved = _as_logged(plan)
    if approved is None or plan.approval is None:
        return [UNTOLD]
    old = {item.id: item for item in approved.subtasks}
    new = {item.id: item for item in plan.subtasks}
    out = [f"subtask {name!r} was removed" for name in old if name not in new]
    out += [f"subtask {name!r} was added" for name in new if name not in old]
    for name in (name for name in new if name in old):
        out += _subtask_changes(old[name], new[name])
    if not out:
        return ["its command, goal, assumptions, questions, data or digest were changed"]
    return out if approved.digest == plan.approval.digest else [UNTOLD]


def _as_logged(plan: Plan) -> Plan | None:
    """Replay the log over the draft; None where an edit cannot be replayed."""
    state = replace(plan, subtasks=plan.draft, edits=(), approval=None)
    replay = {"edit": _replay_edit, "hold": _replay_edit, "add": _replay_add, "drop": _replay_drop}
    try:
        for edit in plan.edits:
            if edit.kind == "move":
                continue  # the order of the list is not part of an approval
            step = replay.get(edit.kind)
            if step is None or edit.subtask is None:
                return None
            state = step(state, edit.subtask, {name: after for name, (_before, after) in edit.changes.items()})
    except (EditError, TypeError, ValueError, AttributeError):
        return None  # a log that was written by hand too
    return state


def _replay_edit(plan: Plan, name: str, after: dict[str, Any]) -> Plan:
    if "prompt" in after:
        after = {**after, "kind": "prompt"}
    elif after.get("code") is None:
        after.pop("code", None)
    return plan.edit(name, **after)


def _replay_add(plan: Plan, _name: str, after: dict[str, Any]) -> Plan:
    return plan.add(**after["subtask"])


def _replay_drop(plan: Plan, name: str, _after: dict[str, Any]) -> Plan:
    return plan.drop(name)


def _subtask_changes(old: Subtask, new: Subtask) -> list[str]:
    before, after = old.to_json(), new.to_json()
    out = []
    for field in {**before, **after}:
        if field in {"title", "instruction", "priority", "hold"} or before.get(field) == after.get(field):
            continue
        if field == "code":
            out.append(f"the code of {new.id!r} was changed{_first_line(old.code, new.code)}")
        else:
            out.append(f"{field} of {new.id!r} was changed")
    return out


def _first_line(old: str, new: str) -> str:
    pairs = zip([*old.splitlines(), None], [*new.splitlines(), None], strict=False)
    line = next((number for number, (before, after) in enumerate(pairs, 1) if before != after), None)
    return "" if line is None else f" from line {line} on"
