"""Rules of trying a plan out before it is approved, whole or one subtask, on a few rows."""

from __future__ import annotations

from dataclasses import replace

from nadg_kernel.errors import PlanError
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.records import Step
from nadg_kernel.panel.state import Next, PanelState, plan_of, quiet, rule


@rule.register
def _(action: a.TryOut, state: PanelState) -> Next:
    plan = plan_of(state)
    if action.digest != plan.digest:
        message = "the plan has changed since you looked: read the code again, then try it"
        raise PlanError(message)
    if state.trying or (state.trial is not None and not state.trial.over):
        message = "something is being tried already: wait for it, or stop it"
        raise PlanError(message)
    if action.subtask is not None:
        plan[action.subtask]  # raises where it is gone
    asked = e.Rehearse(plan=plan, subtask=action.subtask, data=state.data)
    return replace(quiet(state, Step.REVIEW), trying=True), (asked,)


@rule.register
def _(action: a.TrialChanged, state: PanelState) -> Next:
    return replace(state, trial=action.trial, trying=False), ()


@rule.register
def _(action: a.TrialEvent, state: PanelState) -> Next:
    trial = state.trial
    if trial is None or action.snapshot.run_id != trial.snapshot.run_id:
        return state, ()
    after = replace(trial, snapshot=action.snapshot, estimate_s=action.estimate_s)
    asks = (e.ReadTrial(run_id=action.snapshot.run_id),) if after.over and not trial.over else ()
    return replace(state, trial=after), asks


@rule.register
def _(action: a.TrialRead, state: PanelState) -> Next:
    if state.trial is None or action.run_id != state.trial.snapshot.run_id:
        return state, ()
    return replace(state, trial=replace(state.trial, previews=action.previews)), ()


@rule.register
def _(_action: a.CloseTrial, state: PanelState) -> Next:
    if state.trial is None:
        return state, ()
    return replace(state, trial=None), () if state.trial.over else (e.StopTrial(),)
