"""Rules of runs: controls, going on after a change, runs of the background, results."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nadg_kernel.errors import EditError, PlanError
from nadg_kernel.model import RunState, SubtaskState
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.records import Kept, ResultItem, Step
from nadg_kernel.panel.state import Next, PanelState, plan_of, quiet, rule, saved, with_plan

if TYPE_CHECKING:
    from nadg_kernel.model import Plan
    from nadg_kernel.panel.effects import Effect

FINAL = frozenset(state for state in SubtaskState if state.final)


@rule.register
def _(action: a.Control, state: PanelState) -> Next:
    if state.run is None:
        message = "there is no run yet"
        raise EditError(message)
    return quiet(state, Step.RUN), (e.Steer(verb=action.verb, subtask=action.subtask),)


@rule.register
def _(action: a.Started, state: PanelState) -> Next:
    after = replace(state, starting=False, run=action.snapshot, run_plan=action.plan, step=Step.RUN, results=())
    after = replace(after, kept=Kept(), next_prompt="")
    return replace(quiet(after, Step.RUN), selected=next(iter(action.plan.ids), None)), (e.FindRuns(),)


@rule.register
def _(action: a.RunEvent, state: PanelState) -> Next:
    if state.run is None or action.snapshot.run_id != state.run.run_id:
        return state, ()
    if action.snapshot.revision < state.run.revision:
        return state, ()
    after = replace(state, run=action.snapshot)
    return after, results_wanted(after)


@rule.register
def _(action: a.ResultsRead, state: PanelState) -> Next:
    if state.run is None or action.run_id != state.run.run_id:
        return state, ()
    return replace(state, results=action.items), ()


@rule.register
def _(action: a.RunsFound, state: PanelState) -> Next:
    return (state, ()) if action.items == state.runs else (replace(state, runs=action.items), ())


@rule.register
def _(action: a.ShowRun, state: PanelState) -> Next:
    if state.run is not None and state.run.run_id == action.run_id:
        return state, ()
    return quiet(state, state.step), (e.OpenRun(run_id=action.run_id),)


@rule.register
def _(action: a.GoOn, state: PanelState) -> Next:
    plan = plan_of(state)
    if state.run is None or not would_rerun(state):
        message = "there is no run that could go on with this plan: approve it as a new run"
        raise PlanError(message)
    if action.digest != plan.digest:
        message = "the plan has changed since you looked: read it again, then approve"
        raise PlanError(message)
    approved = plan.approve()
    after = replace(with_plan(state, approved), run_plan=approved, step=Step.RUN, burst="", results=(), kept=Kept())
    return quiet(after, Step.RUN), (*saved(after), e.ReviseRun(run_id=state.run.run_id, plan=approved))


@rule.register
def _(action: a.EditRun, state: PanelState) -> Next:
    ran = state.run_plan
    if ran is None or state.run is None:
        message = "there is no run yet"
        raise EditError(message)
    ran[action.subtask]  # raises where it is gone
    after = replace(state, step=Step.REVIEW, selected=action.subtask)
    now = state.plan
    if now is not None and (now.command, now.data) == (ran.command, ran.data) and action.subtask in now.ids:
        return after, ()
    after = replace(with_plan(after, ran), undo=(), redo=(), burst="", file=f"run {state.run.run_id}")
    return after, saved(after)


def would_rerun(state: PanelState) -> tuple[str, ...]:
    """Ids that would run again if the shown run went on with the reviewed plan; empty where it cannot."""
    plan, old, run = state.plan, state.run_plan, state.run
    if plan is None or old is None or run is None or run.state in {RunState.CANCELLED, RunState.INTERRUPTED}:
        return ()
    if (plan.command, plan.data) != (old.command, old.data):
        return ()
    return changed(old, plan)


def changed(old: Plan, new: Plan) -> tuple[str, ...]:
    """Ids of what runs again when a run goes on with another plan: new or different, and all that depends on it."""
    before = {item.id: item for item in old.subtasks}
    touched = {item.id for item in new.subtasks if before.get(item.id) != item}
    touched.update(*(new.descendants(name) for name in touched))
    return tuple(name for name in new.ids if name in touched)


def results_wanted(state: PanelState) -> tuple[Effect, ...]:
    """On the Results page: what has ended and is not shown yet as it is now."""
    if state.step is not Step.RESULTS or state.run is None or state.run_plan is None:
        return ()
    rows = state.run.subtasks
    wanted = tuple(
        ResultItem(subtask=item.id, title=item.name, state=word, key=f"{word} {rows[item.id].get('attempts')}")
        for item in state.run_plan.subtasks
        if (word := str(rows.get(item.id, {}).get("state", ""))) in FINAL
    )
    if wanted == state.results:
        return ()
    return (e.ReadResults(run_id=state.run.run_id, wanted=wanted),)
