"""Rules of what the planner is asked after its draft: answers to its questions, changes, repairs, and their text."""

from __future__ import annotations

from dataclasses import replace

from nadg_kernel.errors import EditError, PlanError
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.records import Step
from nadg_kernel.panel.rules_results import followed
from nadg_kernel.panel.rules_review import edited
from nadg_kernel.panel.state import Next, PanelState, answers_of, first_problem, plan_of, quiet, rule, saved, with_plan


@rule.register
def _(action: a.AnswerQuestions, state: PanelState) -> Next:
    plan = plan_of(state)
    known = answers_of(plan)
    given = {q: text.strip() for q, text in action.answers.items() if q in plan.questions and text.strip()}
    new = {question: text for question, text in given.items() if known.get(question) != text}
    if not new:
        message = "type an answer first"
        raise EditError(message)
    changes = {question: (known.get(question), text) for question, text in new.items()}
    after = replace(with_plan(state, plan.logged("answer", None, changes, None)), burst="")
    effects = saved(after)
    if not state.revises or state.asking:
        return after, effects
    words = "Answers to your questions:\n" + "\n".join(f"{question} {text}" for question, text in new.items())
    after, asked = _asked(after, words, None, None)
    return after, (*effects, *asked)


@rule.register
def _(action: a.AskChange, state: PanelState) -> Next:
    plan = plan_of(state)
    if state.asking:
        message = "the planner is being asked already: wait for it, or stop waiting"
        raise PlanError(message)
    if action.subtask is not None:
        plan[action.subtask]  # raises where it is gone
    if not (action.words.strip() or (action.answer or "").strip()):
        message = "say in words what should change"
        raise EditError(message)
    return _asked(quiet(state, Step.REVIEW), action.words.strip(), action.subtask, action.answer)


@rule.register
def _(action: a.AskRepair, state: PanelState) -> Next:
    if state.run is None or state.run_plan is None:
        message = "there is no run yet"
        raise EditError(message)
    if state.asking:
        message = "the planner is being asked already: wait for it, or stop waiting"
        raise PlanError(message)
    number = state.ask_number + 1
    title = state.run_plan[action.subtask].name
    after = replace(quiet(state, Step.RUN), ask_number=number, asking=f"a fix of {title}", change=None)
    asked = e.AskForRepair(number=number, run_id=state.run.run_id, subtask=action.subtask, planner=state.planner)
    return after, (asked,)


@rule.register
def _(action: a.Proposed, state: PanelState) -> Next:
    if action.number != state.ask_number or not state.asking:
        return state, ()
    return replace(state, asking="", change=action.change), ()


@rule.register
def _(action: a.TakeChange, state: PanelState) -> Next:
    change = state.change
    if change is None or action.digest != change.plan.digest:
        message = "this proposal is gone: ask again"
        raise PlanError(message)
    if change.follows:
        return followed(state, change)
    if change.run_id:
        return _mended(state, change.run_id)
    plan = plan_of(state)
    if plan.subtasks != change.base.subtasks:
        message = "the plan has changed since the planner was asked: ask again, or undo your last edits first"
        raise PlanError(message)
    after, effects = edited(replace(state, change=None), change.plan)
    if after.selected not in change.plan.ids:
        after = replace(after, selected=first_problem(after))
    return after, (*effects, e.Check(plan=change.plan, data=state.data))


@rule.register
def _(_action: a.LeaveChange, state: PanelState) -> Next:
    return replace(state, change=None, asking="", ask_number=state.ask_number + 1, prompt="", next_prompt=""), ()


@rule.register
def _(action: a.MakePrompt, state: PanelState) -> Next:
    if action.words:
        return quiet(state, Step.REVIEW), (e.WritePrompt(command=action.words, data=state.data, plan=plan_of(state)),)
    command = (state.command if action.command is None else action.command).strip()
    if not command:
        message = "Type what should be done first."
        raise EditError(message)
    asked = e.WritePrompt(command=command, data=state.data, planner=state.planner, samples=state.allowed)
    return quiet(state, Step.COMMAND), (asked,)


@rule.register
def _(action: a.PromptMade, state: PanelState) -> Next:
    return replace(state, prompt=action.text, prompt_changes=action.changes, prompt_line=action.line), ()


@rule.register
def _(action: a.PasteAnswer, state: PanelState) -> Next:
    if not action.text.strip():
        message = "paste the chat's answer first"
        raise EditError(message)
    if state.drafting is not None:
        return state, ()
    number = state.draft_number + 1
    after = replace(quiet(state, Step.COMMAND), draft_number=number, drafting="Reading the answer")
    asked = e.ReadAnswer(number=number, answer=action.text, command=state.command.strip(), data=state.data)
    return after, (asked,)


def _asked(state: PanelState, words: str, subtask: str | None, answer: str | None) -> Next:
    number = state.ask_number + 1
    asking = "changes" if answer is None else "the changes of the answer"
    asked = e.AskForChange(
        number=number, plan=plan_of(state), words=words, subtask=subtask, answer=answer, planner=state.planner
    )
    return replace(state, ask_number=number, asking=asking, change=None), (asked,)


def _mended(state: PanelState, run_id: str) -> Next:
    """Take a repair: the run goes on with it, and so does the review if it showed the run's plan."""
    change = state.change
    if change is None or state.run is None or state.run.run_id != run_id:
        message = "this fix belongs to another run: look at that run first"
        raise PlanError(message)
    approved = change.plan.approve()
    after = replace(state, change=None, run_plan=approved, results=())
    effects: tuple[e.Effect, ...] = (e.ReviseRun(run_id=run_id, plan=approved),)
    if state.plan is not None and state.plan.subtasks == change.base.subtasks:
        after = with_plan(edited(after, approved)[0], approved)
        effects = (*effects, *saved(after))
    return quiet(after, Step.RUN), effects
