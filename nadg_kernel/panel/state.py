"""The panel's state and its one reducer: pure, so that every rule of the panel is tested without a widget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import singledispatch
from typing import Any

from nadg_kernel.engines.base import WorkerState
from nadg_kernel.errors import EditError, PlanError
from nadg_kernel.model import Plan, Problem, RunState, Subtask
from nadg_kernel.model.edits import fresh_id
from nadg_kernel.panel import actions as a
from nadg_kernel.panel.actions import Action, Effect, Offer, RunSnapshot, Step, Suggestion

KEPT_UNDO = 200
MAX_COMMAND = 100_000
"""Characters. A longer command is data: attach it as a file."""

NEW_CODE = '# needs code: set `result` from `inputs`, for instance result = inputs["name"].describe()\nresult = None\n'


@dataclass(frozen=True, kw_only=True)
class PanelState:
    """Everything that the panel shows. `revision` rises with every change."""

    revision: int = 0
    step: Step = Step.COMMAND
    command: str = ""
    command_set: int = 0
    """Rises when the command was chosen instead of typed, so that the text box follows."""
    offers: tuple[Offer, ...] = ()
    attached: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    draft_number: int = 0
    drafting: str | None = None
    """What the planner says it does, while it works."""
    plan: Plan | None = None
    problems: tuple[Problem, ...] = ()
    selected: str | None = None
    undo: tuple[Plan, ...] = ()
    redo: tuple[Plan, ...] = ()
    burst: str = ""
    saved: str = ""
    run_plan: Plan | None = None
    run: RunSnapshot | None = None
    starting: bool = False
    workers: tuple[WorkerState, ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()
    notices: Mapping[Step, str] = field(default_factory=dict)
    """What went wrong, on the page where it matters, until it is dismissed or overtaken."""

    @property
    def data(self) -> tuple[Offer, ...]:
        """What is attached."""
        return tuple(offer for offer in self.offers if offer.name in self.attached)

    @property
    def running(self) -> bool:
        """Whether a run of this panel is under way."""
        return self.starting or (self.run is not None and self.run.state in {RunState.RUNNING, RunState.PAUSED})

    @property
    def blocking(self) -> tuple[Problem, ...]:
        """The problems that refuse approval."""
        return tuple(problem for problem in self.problems if problem.blocks)


Next = tuple[PanelState, tuple[Effect, ...]]


def reduce(state: PanelState, action: Action) -> Next:
    """The state after an action, and what it asks for. Raises EditError or PlanError; then nothing has changed."""
    after, effects = _reduce(action, state)
    if after is not state:
        after = replace(after, revision=state.revision + 1)
    return after, effects


@singledispatch
def _reduce(action: Action, _state: PanelState) -> Next:
    message = f"no rule for {type(action).__name__}"
    raise TypeError(message)


@_reduce.register
def _(action: a.GoTo, state: PanelState) -> Next:
    asks: tuple[Effect, ...] = (a.ReadHistory(),) if action.step is Step.HISTORY else ()
    return replace(state, step=action.step), asks


@_reduce.register
def _(action: a.SetCommand, state: PanelState) -> Next:
    if action.text == state.command:
        return state, ()
    follows = state.command_set + (0 if action.typed else 1)
    return replace(_quiet(state, Step.COMMAND), command=action.text, command_set=follows), ()


@_reduce.register
def _(action: a.Offered, state: PanelState) -> Next:
    files = tuple(offer for offer in state.offers if offer.path)
    names = {offer.name for offer in files}
    offers = (*(offer for offer in action.offers if offer.name not in names), *files)
    if offers == state.offers:
        return state, ()
    known = {offer.name for offer in offers}
    attached = tuple(name for name in state.attached if name in known)
    if not state.offers and len(action.offers) == 1 and state.plan is None:
        attached = (action.offers[0].name,)  # the only frame there is: what else could the command be about
    after = replace(state, offers=offers, attached=attached)
    return after, _data_changed(state, after)


@_reduce.register
def _(action: a.AttachData, state: PanelState) -> Next:
    if action.name not in {offer.name for offer in state.offers}:
        message = f"there is no data named {action.name!r} any more"
        raise EditError(message)
    names = [name for name in state.attached if name != action.name]
    after = replace(_quiet(state, Step.COMMAND), attached=(*names, action.name) if action.on else tuple(names))
    return after, _data_changed(state, after)


@_reduce.register
def _(action: a.AttachFile, state: PanelState) -> Next:
    path = action.path.strip()
    if not path:
        message = "type the path of a file first, for instance reviews.csv"
        raise EditError(message)
    return _quiet(state, Step.COMMAND), (a.ReadFile(path=path, taken=tuple(offer.name for offer in state.offers)),)


@_reduce.register
def _(action: a.FileFound, state: PanelState) -> Next:
    others = tuple(offer for offer in state.offers if offer.name != action.offer.name)
    attached = tuple(dict.fromkeys((*state.attached, action.offer.name)))
    after = replace(_quiet(state, Step.COMMAND), offers=(*others, action.offer), attached=attached)
    return after, _data_changed(state, after)


@_reduce.register
def _(action: a.Draft, state: PanelState) -> Next:
    command = (state.command if action.command is None else action.command).strip()
    if state.drafting is not None:
        return state, ()
    if not command:
        return _noticed(state, Step.COMMAND, "Type what should be done first."), ()
    if len(command) > MAX_COMMAND:
        size = f"{len(command):,} characters"
        text = f"The command has {size}; at most {MAX_COMMAND:,} are read. Attach long text as a file instead."
        return _noticed(state, Step.COMMAND, text), ()
    number = state.draft_number + 1
    text = state.command if action.command is None else action.command
    after = replace(_quiet(state, Step.COMMAND), command=text, draft_number=number, drafting="Asking the planner")
    return after, (a.StartDraft(number=number, command=command, data=state.data),)


@_reduce.register
def _(action: a.Drafting, state: PanelState) -> Next:
    if action.number != state.draft_number or state.drafting is None:
        return state, ()
    return replace(state, drafting=action.text), ()


@_reduce.register
def _(action: a.Drafted, state: PanelState) -> Next:
    if action.number != state.draft_number or state.drafting is None:
        return state, ()
    kept = (*state.undo, state.plan)[-KEPT_UNDO:] if state.plan is not None else ()
    after = replace(_with_plan(state, action.plan), drafting=None, step=Step.REVIEW, undo=kept, redo=(), burst="")
    after = replace(after, selected=_first_problem(after))
    return after, (a.Save(plan=action.plan), a.Check(plan=action.plan, data=state.data))


@_reduce.register
def _(action: a.OpenPlan, state: PanelState) -> Next:
    return state, (a.ReadPlan(path=action.path),)


@_reduce.register
def _(action: a.Opened, state: PanelState) -> Next:
    after = replace(_with_plan(state, action.plan), step=Step.REVIEW, undo=(), redo=(), burst="")
    after = replace(after, command=action.plan.command, command_set=state.command_set + 1)
    return replace(after, selected=_first_problem(after)), (a.Check(plan=action.plan, data=state.data),)


@_reduce.register
def _(action: a.Checked, state: PanelState) -> Next:
    if state.plan is None or action.plan != state.plan:  # context does not take part in the comparison
        return state, ()
    return _with_plan(state, action.plan), ()


@_reduce.register
def _(action: a.Suggested, state: PanelState) -> Next:
    return replace(state, suggestions=action.suggestions), ()


@_reduce.register
def _(action: a.Select, state: PanelState) -> Next:
    shown = state.run_plan if state.step is Step.RUN else state.plan
    if shown is None or action.subtask not in shown.ids or action.subtask == state.selected:
        return state, ()
    return replace(state, selected=action.subtask, burst=""), ()


@_reduce.register
def _(action: a.EditField, state: PanelState) -> Next:
    plan = _plan(state)
    again = bool(action.burst) and action.burst == state.burst and bool(state.undo)
    # Typing goes on: change what was there before the burst, so that one visit to a field is one edit in the log.
    base = state.undo[-1] if again else plan
    if action.field == "hold":
        changed = base.hold(action.subtask, bool(action.value))
    else:
        changed = base.edit(action.subtask, **{action.field: action.value})
    changed = changed if changed is base else changed.with_context(plan.context)
    if again and changed is base:  # typed back to what it was: no edit remains
        after = replace(_with_plan(state, base), undo=state.undo[:-1], burst="")
        return after, (a.Save(plan=base),)
    if changed.subtasks == plan.subtasks:
        return state, ()
    undo = state.undo if again else _pushed(state)
    after = replace(_with_plan(state, changed), undo=undo, redo=(), burst=action.burst)
    if action.field == "id" and state.selected == action.subtask:
        after = replace(after, selected=str(action.value))
    return after, (a.Save(plan=changed),)


@_reduce.register
def _(action: a.AddSubtask, state: PanelState) -> Next:
    plan = _plan(state)
    values: Mapping[str, Any] = {"title": "New subtask", "code": NEW_CODE}
    if action.suggestion is not None:
        if not 0 <= action.suggestion < len(state.suggestions):
            message = "this suggestion is gone: the data has changed"
            raise EditError(message)
        values = state.suggestions[action.suggestion].values
    changed = plan.add(before=_behind(plan, state.selected), **values)
    new = next(name for name in changed.ids if name not in plan.ids)
    after, effects = _edited(state, changed)
    return replace(after, selected=new, step=Step.REVIEW), effects


@_reduce.register
def _(action: a.Drop, state: PanelState) -> Next:
    plan = _plan(state)
    place = plan.ids.index(plan[action.subtask].id)
    after, effects = _edited(state, plan.drop(action.subtask))
    left = after.plan.ids if after.plan is not None else ()
    if state.selected == action.subtask:
        after = replace(after, selected=left[min(place, len(left) - 1)] if left else None)
    return after, effects


@_reduce.register
def _(action: a.Duplicate, state: PanelState) -> Next:
    plan = _plan(state)
    values = plan[action.subtask].to_json()
    new = fresh_id(action.subtask, {*plan.data, *plan.ids})
    values |= {"id": new, "title": f"{plan[action.subtask].name} (copy)"}
    after, effects = _edited(state, plan.add(before=_behind(plan, action.subtask), **values))
    return replace(after, selected=new), effects


@_reduce.register
def _(action: a.Move, state: PanelState) -> Next:
    plan = _plan(state)
    place = plan.ids.index(plan[action.subtask].id)
    changed = plan.move(action.subtask, max(0, place + action.by))
    return (state, ()) if changed is plan else _edited(state, changed)


@_reduce.register
def _(_action: a.Undo, state: PanelState) -> Next:
    plan = _plan(state)
    if not state.undo:
        return state, ()
    return _stepped(state, state.undo[-1], "undo", undo=state.undo[:-1], redo=(*state.redo, plan))


@_reduce.register
def _(_action: a.Redo, state: PanelState) -> Next:
    plan = _plan(state)
    if not state.redo:
        return state, ()
    return _stepped(state, state.redo[-1], "redo", undo=(*state.undo, plan), redo=state.redo[:-1])


@_reduce.register
def _(action: a.Approve, state: PanelState) -> Next:
    plan = _plan(state)
    if state.running:
        message = "a run is under way: wait for it, or cancel it on the Run page"
        raise PlanError(message)
    if action.digest != plan.digest:
        message = "the plan has changed since you looked: read it again, then approve"
        raise PlanError(message)
    approved = plan.approve()
    after = replace(_with_plan(state, approved), starting=True, burst="")
    return _quiet(after, Step.REVIEW), (a.Save(plan=approved), a.StartRun(plan=approved, data=state.data))


@_reduce.register
def _(action: a.Control, state: PanelState) -> Next:
    if state.run is None:
        message = "there is no run yet"
        raise EditError(message)
    return _quiet(state, Step.RUN), (a.Steer(verb=action.verb, subtask=action.subtask),)


@_reduce.register
def _(action: a.Started, state: PanelState) -> Next:
    after = replace(state, starting=False, run=action.snapshot, run_plan=state.plan, step=Step.RUN)
    first = None if state.plan is None or not state.plan.ids else state.plan.ids[0]
    return replace(_quiet(after, Step.RUN), selected=first), ()


@_reduce.register
def _(action: a.RunEvent, state: PanelState) -> Next:
    if state.run is None or action.snapshot.run_id != state.run.run_id:
        return state, ()
    if action.snapshot.revision < state.run.revision:
        return state, ()
    return replace(state, run=action.snapshot), ()


@_reduce.register
def _(action: a.WorkersChanged, state: PanelState) -> Next:
    if action.workers == state.workers:
        return state, ()
    after = replace(state, workers=action.workers)
    if state.plan is None or _offers_of(action.workers) == _offers_of(state.workers):
        return after, ()
    return after, (a.Check(plan=state.plan, data=state.data),)


@_reduce.register
def _(action: a.HistoryRead, state: PanelState) -> Next:
    return replace(_quiet(state, Step.HISTORY), history=action.rows), ()


@_reduce.register
def _(action: a.Saved, state: PanelState) -> Next:
    return (state, ()) if action.path == state.saved else (replace(state, saved=action.path), ())


@_reduce.register
def _(action: a.Failed, state: PanelState) -> Next:
    if action.number is not None and action.number != state.draft_number:
        return state, ()
    after = state if action.number is None else replace(state, drafting=None)
    after = replace(after, starting=False) if action.starting else after
    return _noticed(after, action.place or state.step, action.message), ()


@_reduce.register
def _(_action: a.Dismiss, state: PanelState) -> Next:
    return _quiet(state, state.step), ()


def _plan(state: PanelState) -> Plan:
    if state.plan is None:
        message = "there is no plan yet: draft one from a command"
        raise EditError(message)
    return state.plan


def _with_plan(state: PanelState, plan: Plan) -> PanelState:
    return replace(state, plan=plan, problems=plan.problems)


def _pushed(state: PanelState) -> tuple[Plan, ...]:
    return (*state.undo, _plan(state))[-KEPT_UNDO:]


def _edited(state: PanelState, plan: Plan) -> Next:
    after = replace(_with_plan(state, plan), undo=_pushed(state), redo=(), burst="")
    return _quiet(after, Step.REVIEW), (a.Save(plan=plan),)


def _stepped(state: PanelState, to: Plan, kind: str, *, undo: tuple[Plan, ...], redo: tuple[Plan, ...]) -> Next:
    """Bring back an earlier or later plan; the log only grows, so going back is an edit too."""
    now = _plan(state)
    target = to if to.command != now.command else replace(to, edits=now.edits, approval=None)
    plan = target.logged(kind, None, {}, None).with_context(now.context)
    after = replace(_with_plan(state, plan), undo=undo, redo=redo, burst="")
    if state.selected not in plan.ids:
        after = replace(after, selected=plan.ids[0] if plan.ids else None)
    return after, (a.Save(plan=plan),)


def _behind(plan: Plan, subtask: str | None) -> str | None:
    """The id of the subtask that follows, to add before; None is the end."""
    if subtask not in plan.ids:
        return None
    place = plan.ids.index(subtask) + 1
    return plan.ids[place] if place < len(plan.ids) else None


def _first_problem(state: PanelState) -> str | None:
    """Where to look first: at the first problem, else at the first subtask."""
    plan = _plan(state)
    found = next((problem.subtask for problem in state.problems if problem.subtask in plan.ids), None)
    return found or (plan.ids[0] if plan.ids else None)


def _data_changed(before: PanelState, after: PanelState) -> tuple[Effect, ...]:
    if before.data == after.data:
        return ()
    asks: tuple[Effect, ...] = (a.Suggest(data=after.data),)
    if after.plan is not None:
        asks = (*asks, a.Check(plan=after.plan, data=after.data))
    return asks


def _offers_of(workers: tuple[WorkerState, ...]) -> frozenset[tuple[object, ...]]:
    """What of the workers a plan is checked against."""
    return frozenset((item.worker_id, item.health, item.labels, item.modules) for item in workers)


def _noticed(state: PanelState, place: Step, text: str) -> PanelState:
    return replace(state, notices={**state.notices, place: text})


def _quiet(state: PanelState, place: Step) -> PanelState:
    if place not in state.notices:
        return state
    return replace(state, notices={step: text for step, text in state.notices.items() if step is not place})


def selected_subtask(state: PanelState) -> Subtask | None:
    """The subtask that the page shows, of the run's plan on the Run page and of the reviewed plan elsewhere."""
    shown = state.run_plan if state.step is Step.RUN else state.plan
    if shown is None or not shown.ids:
        return None
    return shown[state.selected] if state.selected in shown.ids else shown.subtasks[0]
