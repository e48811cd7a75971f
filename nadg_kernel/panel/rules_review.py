"""Rules of the review: edits, undo and redo, approval."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import EditError, PlanError
from nadg_kernel.model.edits import fresh_id
from nadg_kernel.model.splitting import split_code
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.records import Step
from nadg_kernel.panel.state import Next, PanelState, plan_of, quiet, rule, saved, with_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nadg_kernel.model import Plan

KEPT_UNDO = 200

NEW_CODE = '# needs code: set `result` from `inputs`, for instance result = inputs["name"].describe()\nresult = None\n'


@rule.register
def _(action: a.Select, state: PanelState) -> Next:
    shown = state.run_plan if state.step is Step.RUN else state.plan
    if shown is None or action.subtask not in shown.ids or action.subtask == state.selected:
        return state, ()
    return replace(state, selected=action.subtask, burst=""), ()


@rule.register
def _(action: a.EditField, state: PanelState) -> Next:
    plan = plan_of(state)
    again = bool(action.burst) and action.burst == state.burst and bool(state.undo)
    # Typing goes on: change what was there before the burst, so that one visit to a field is one edit in the log.
    base = state.undo[-1] if again else plan
    if action.field == "hold":
        changed = base.hold(action.subtask, bool(action.value))
    else:
        changed = base.edit(action.subtask, **{action.field: action.value})
    changed = changed if changed is base else changed.with_context(plan.context)
    if again and changed is base:  # typed back to what it was: no edit remains
        after = replace(with_plan(state, base), undo=state.undo[:-1], burst="")
        return after, saved(after)
    if changed.subtasks == plan.subtasks:
        return state, ()
    undo = state.undo if again else _pushed(state)
    after = replace(with_plan(state, changed), undo=undo, redo=(), burst=action.burst)
    if action.field == "id" and state.selected == action.subtask:
        after = replace(after, selected=str(action.value))
    return after, saved(after)


@rule.register
def _(action: a.AddSubtask, state: PanelState) -> Next:
    plan = plan_of(state)
    values: Mapping[str, Any] = {"title": "New subtask", "code": NEW_CODE}
    if action.suggestion is not None:
        if not 0 <= action.suggestion < len(state.suggestions):
            message = "this suggestion is gone: the data has changed"
            raise EditError(message)
        values = dict(state.suggestions[action.suggestion].values)
        if values.get("id") in {*plan.ids, *plan.data}:
            values["id"] = None  # a fresh one is made from the title
    changed = plan.add(before=_behind(plan, state.selected), **values)
    new = next(name for name in changed.ids if name not in plan.ids)
    after, effects = edited(state, changed)
    return replace(after, selected=new, step=Step.REVIEW), effects


@rule.register
def _(action: a.Drop, state: PanelState) -> Next:
    plan = plan_of(state)
    place = plan.ids.index(plan[action.subtask].id)
    after, effects = edited(state, plan.drop(action.subtask))
    left = after.plan.ids if after.plan is not None else ()
    if state.selected == action.subtask:
        after = replace(after, selected=left[min(place, len(left) - 1)] if left else None)
    return after, effects


@rule.register
def _(action: a.Duplicate, state: PanelState) -> Next:
    plan = plan_of(state)
    values = plan[action.subtask].to_json()
    new = fresh_id(action.subtask, {*plan.data, *plan.ids})
    values |= {"id": new, "title": f"{plan[action.subtask].name} (copy)"}
    after, effects = edited(state, plan.add(before=_behind(plan, action.subtask), **values))
    return replace(after, selected=new), effects


@rule.register
def _(action: a.Move, state: PanelState) -> Next:
    plan = plan_of(state)
    place = plan.ids.index(plan[action.subtask].id)
    changed = plan.move(action.subtask, max(0, place + action.by))
    return (state, ()) if changed is plan else edited(state, changed)


@rule.register
def _(action: a.SplitAt, state: PanelState) -> Next:
    plan = plan_of(state)
    item = plan[action.subtask]
    if item.map is not None or item.kind != "python":
        message = "only Python code without a map can be split at a line: take off its map first"
        raise EditError(message)
    first = fresh_id(f"{item.id}_start", {*plan.ids, *plan.data})
    head, rest = split_code(item.code, action.line, first)
    parts = ({"id": first, "code": head}, {"id": item.id, "title": item.title, "code": rest, "depends_on": (first,)})
    after, effects = edited(state, plan.split(item.id, *parts))
    return replace(after, selected=first), effects


@rule.register
def _(action: a.SplitShards, state: PanelState) -> Next:
    plan = plan_of(state)
    item = plan[action.subtask]
    over = item.inputs[0] if item.map is None and item.inputs else item.map.over if item.map is not None else None
    if over is None:
        message = "there is nothing to divide: give this subtask an input first"
        raise EditError(message)
    changed = plan.edit(item.id, map={"over": over, "shards": action.count, "rows": None})
    return (state, ()) if changed is plan else edited(state, changed)


@rule.register
def _(action: a.MergeNext, state: PanelState) -> Next:
    plan = plan_of(state)
    behind = _behind(plan, action.subtask)
    if behind is None:
        message = "there is no subtask behind this one to merge it with"
        raise EditError(message)
    # What came out last is what comes out of both, so it keeps its name for those who read it.
    last = action.subtask if behind in _above(plan, action.subtask) else behind
    after, effects = edited(state, plan.merge(action.subtask, behind, id=last))
    return replace(after, selected=last), effects


@rule.register
def _(_action: a.Undo, state: PanelState) -> Next:
    plan = plan_of(state)
    if not state.undo:
        return state, ()
    return _stepped(state, state.undo[-1], "undo", undo=state.undo[:-1], redo=(*state.redo, plan))


@rule.register
def _(_action: a.Redo, state: PanelState) -> Next:
    plan = plan_of(state)
    if not state.redo:
        return state, ()
    return _stepped(state, state.redo[-1], "redo", undo=(*state.undo, plan), redo=state.redo[:-1])


@rule.register
def _(action: a.Approve, state: PanelState) -> Next:
    plan = plan_of(state)
    if state.running:
        message = "a run is under way: wait for it, or cancel it on the Run page"
        raise PlanError(message)
    if action.digest != plan.digest:
        message = "the plan has changed since you looked: read it again, then approve"
        raise PlanError(message)
    approved = plan.approve()
    after = replace(with_plan(state, approved), starting=True, change=None, burst="")
    return quiet(after, Step.REVIEW), (*saved(after), e.StartRun(plan=approved, data=state.data))


def _pushed(state: PanelState) -> tuple[Plan, ...]:
    return (*state.undo, plan_of(state))[-KEPT_UNDO:]


def edited(state: PanelState, plan: Plan) -> Next:
    """One edit more: it can be undone, and is asked to be saved."""
    after = replace(with_plan(state, plan), undo=_pushed(state), redo=(), burst="")
    return quiet(after, Step.REVIEW), saved(after)


def _stepped(state: PanelState, to: Plan, kind: str, *, undo: tuple[Plan, ...], redo: tuple[Plan, ...]) -> Next:
    """Bring back an earlier or later plan; the log only grows, so going back is an edit too."""
    now = plan_of(state)
    target = to if to.command != now.command else replace(to, edits=now.edits, approval=None)
    plan = target.logged(kind, None, {}, None).with_context(now.context)
    after = replace(with_plan(state, plan), undo=undo, redo=redo, burst="")
    if state.selected not in plan.ids:
        after = replace(after, selected=plan.ids[0] if plan.ids else None)
    return after, saved(after)


def _behind(plan: Plan, subtask: str | None) -> str | None:
    """The id of the subtask that follows, to add before; None is the end."""
    if subtask not in plan.ids:
        return None
    place = plan.ids.index(subtask) + 1
    return plan.ids[place] if place < len(plan.ids) else None


def _above(plan: Plan, subtask: str) -> frozenset[str]:
    """Everything that a subtask depends on, directly or not."""
    return frozenset(name for name in plan.ids if subtask in plan.descendants(name))
