"""Rules of the Results page: files that are kept, and what comes next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nadg_kernel.errors import EditError, PlanError
from nadg_kernel.panel import effects as e
from nadg_kernel.panel import result_actions as a
from nadg_kernel.panel import result_effects as re
from nadg_kernel.panel.records import Kept, Step
from nadg_kernel.panel.rules_review import edited
from nadg_kernel.panel.state import Next, PanelState, quiet, rule, saved, with_plan

if TYPE_CHECKING:
    from nadg_kernel.panel.records import Change, RunSnapshot

KEPT = ("report", "notebook", "plan", "file")


@rule.register
def _(action: a.KeepFile, state: PanelState) -> Next:
    if action.what not in KEPT:
        message = f"of a run {', '.join(KEPT)} can be kept, not {action.what!r}"
        raise EditError(message)
    run = _shown(state)
    wanted = re.KeepFile(run_id=run.run_id, what=action.what, subtask=action.subtask, number=action.number)
    return replace(quiet(state, Step.RESULTS), kept=Kept()), (wanted,)


@rule.register
def _(action: a.FileKept, state: PanelState) -> Next:
    return replace(state, kept=Kept(text=action.text, refused=action.refused, subtask=action.subtask)), ()


@rule.register
def _(action: a.AskNext, state: PanelState) -> Next:
    run = _shown(state)
    if state.asking:
        message = "the planner is being asked already: wait for it, or stop waiting"
        raise PlanError(message)
    if not action.words.strip():
        message = "say in words what should come next"
        raise EditError(message)
    number, answer = state.ask_number + 1, (action.answer or "").strip() or None
    if action.answer is not None and answer is None:
        message = "paste the chat's answer first"
        raise EditError(message)
    asking = "what comes next" if answer is None else "the next steps of the answer"
    after = replace(quiet(state, Step.RESULTS), ask_number=number, asking=asking, change=None)
    words = action.words.strip()
    asked = re.AskForNext(number=number, run_id=run.run_id, words=words, answer=answer, planner=state.planner)
    return after, (asked,)


@rule.register
def _(action: a.MakeNextPrompt, state: PanelState) -> Next:
    if not action.words.strip():
        message = "say in words what should come next"
        raise EditError(message)
    return state, (re.WriteNextPrompt(run_id=_shown(state).run_id, words=action.words.strip()),)


@rule.register
def _(action: a.NextPromptMade, state: PanelState) -> Next:
    return replace(state, next_prompt=action.text), ()


def followed(state: PanelState, change: Change) -> Next:
    """Take the next steps: they stand on the Review page, from where the run goes on once they are approved."""
    run, ran = _shown(state), state.run_plan
    if run.run_id != change.run_id or ran is None:
        message = "these steps belong to another run: look at that run first"
        raise PlanError(message)
    now, after = state.plan, replace(state, change=None, next_prompt="", step=Step.REVIEW)
    if now is not None and (now.command, now.data) == (ran.command, ran.data):
        after, effects = edited(after, change.plan)
    else:
        after = replace(with_plan(after, change.plan), undo=(), redo=(), burst="", file=f"run {run.run_id}")
        effects = saved(after)
    before = {item.id: item for item in change.base.subtasks}
    new = next((item.id for item in change.plan.subtasks if before.get(item.id) != item), after.selected)
    return replace(after, selected=new), (*effects, e.Check(plan=change.plan, data=state.data))


def _shown(state: PanelState) -> RunSnapshot:
    if state.run is None:
        message = "there is no run yet"
        raise EditError(message)
    return state.run
