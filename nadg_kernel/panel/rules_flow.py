"""Rules of the way to a plan: command, data, draft, saved plans, and what is checked against workers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nadg_kernel.errors import EditError
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.records import Step
from nadg_kernel.panel.rules_review import KEPT_UNDO
from nadg_kernel.panel.rules_run import results_wanted
from nadg_kernel.panel.state import Next, PanelState, first_problem, noticed, quiet, rule, saved, with_plan

if TYPE_CHECKING:
    from nadg_kernel.engines.base import WorkerState
    from nadg_kernel.panel.effects import Effect

MAX_COMMAND = 100_000
"""Characters. A longer command is data: attach it as a file."""


@rule.register
def _(action: a.GoTo, state: PanelState) -> Next:
    after = replace(state, step=action.step)
    if action.step is Step.HISTORY:
        return after, (e.ReadHistory(filters=state.filters),)
    if action.step is Step.COMMAND:
        return after, (e.FindRuns(), e.FindCommands())
    if action.step is Step.RUN:
        return after, (e.FindRuns(),)
    return after, results_wanted(after)


@rule.register
def _(action: a.SetCommand, state: PanelState) -> Next:
    if action.text == state.command:
        return state, ()
    follows = state.command_set + (0 if action.typed else 1)
    return replace(quiet(state, Step.COMMAND), command=action.text, command_set=follows), ()


@rule.register
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


@rule.register
def _(action: a.AttachData, state: PanelState) -> Next:
    if action.name not in {offer.name for offer in state.offers}:
        message = f"there is no data named {action.name!r} any more"
        raise EditError(message)
    names = [name for name in state.attached if name != action.name]
    after = replace(quiet(state, Step.COMMAND), attached=(*names, action.name) if action.on else tuple(names))
    return after, _data_changed(state, after)


@rule.register
def _(action: a.AttachFile, state: PanelState) -> Next:
    path = action.path.strip()
    if not path:
        message = "type the path of a file first, for instance reviews.csv"
        raise EditError(message)
    return quiet(state, Step.COMMAND), (e.ReadFile(path=path, taken=tuple(offer.name for offer in state.offers)),)


@rule.register
def _(action: a.FileFound, state: PanelState) -> Next:
    others = tuple(offer for offer in state.offers if offer.name != action.offer.name)
    attached = tuple(dict.fromkeys((*state.attached, action.offer.name)))
    after = replace(quiet(state, Step.COMMAND), offers=(*others, action.offer), attached=attached)
    return after, _data_changed(state, after)


@rule.register
def _(action: a.Draft, state: PanelState) -> Next:
    command = (state.command if action.command is None else action.command).strip()
    if state.drafting is not None:
        return state, ()
    if not command:
        return noticed(state, Step.COMMAND, "Type what should be done first."), ()
    if len(command) > MAX_COMMAND:
        size = f"{len(command):,} characters"
        text = f"The command has {size}; at most {MAX_COMMAND:,} are read. Attach long text as a file instead."
        return noticed(state, Step.COMMAND, text), ()
    text = state.command if action.command is None else action.command
    after = replace(quiet(state, Step.COMMAND), command=text)
    who, rows = state.planner, state.allowed
    if state.chosen is not None and state.chosen.copies:  # the person carries the text: show it
        return after, (e.WritePrompt(command=command, data=state.data, planner=who, samples=rows),)
    number = state.draft_number + 1
    asked = e.StartDraft(number=number, command=command, data=state.data, planner=who, samples=rows)
    return replace(after, draft_number=number, drafting="Asking the planner"), (asked,)


@rule.register
def _(action: a.Drafting, state: PanelState) -> Next:
    if action.number != state.draft_number or state.drafting is None:
        return state, ()
    return replace(state, drafting=action.text), ()


@rule.register
def _(action: a.Drafted, state: PanelState) -> Next:
    if action.number != state.draft_number or state.drafting is None:
        return state, ()
    kept = (*state.undo, state.plan)[-KEPT_UNDO:] if state.plan is not None else ()
    after = replace(
        with_plan(state, action.plan),
        drafting=None,
        step=Step.REVIEW,
        undo=kept,
        redo=(),
        burst="",
        trial=None,
        change=None,
    )
    after = replace(after, selected=first_problem(after), file=f"draft {action.number}")
    return after, (*saved(after), e.Check(plan=action.plan, data=state.data))


@rule.register
def _(action: a.OpenPlan, state: PanelState) -> Next:
    return state, (e.ReadPlan(path=action.path),)


@rule.register
def _(action: a.Opened, state: PanelState) -> Next:
    after = replace(
        with_plan(state, action.plan), step=Step.REVIEW, undo=(), redo=(), burst="", trial=None, change=None
    )
    after = replace(after, command=action.plan.command, command_set=state.command_set + 1, file=action.path)
    asks = (e.Check(plan=action.plan, data=state.data), e.Estimate(plan=action.plan, data=state.data))
    return replace(after, selected=first_problem(after)), asks


@rule.register
def _(action: a.PlansFound, state: PanelState) -> Next:
    return replace(state, files=action.files), ()


@rule.register
def _(action: a.Checked, state: PanelState) -> Next:
    if state.plan is None or action.plan != state.plan:  # context does not take part in the comparison
        return state, ()
    return with_plan(state, action.plan), ()


@rule.register
def _(action: a.Estimated, state: PanelState) -> Next:
    if state.plan is None or action.digest != state.plan.digest:
        return state, ()
    return replace(state, estimate=(action.digest, action.time, action.tokens)), ()


@rule.register
def _(action: a.Suggested, state: PanelState) -> Next:
    return replace(state, suggestions=action.suggestions), ()


@rule.register
def _(action: a.WorkersChanged, state: PanelState) -> Next:
    if action.workers == state.workers:
        return state, ()
    after = replace(state, workers=action.workers)
    if state.plan is None or _offers_of(action.workers) == _offers_of(state.workers):
        return after, ()
    return after, (e.Check(plan=state.plan, data=state.data),)


@rule.register
def _(action: a.Saved, state: PanelState) -> Next:
    return (state, ()) if action.path == state.saved else (replace(state, saved=action.path), (e.FindPlans(),))


@rule.register
def _(action: a.Failed, state: PanelState) -> Next:
    if action.number is not None and action.number != state.draft_number:
        return state, ()
    after = state if action.number is None else replace(state, drafting=None)
    after = replace(after, starting=False) if action.starting else after
    if action.place is Step.REVIEW and state.trying:
        after = replace(after, trying=False)
    if action.asking:
        after = replace(after, asking="")
    return noticed(after, action.place or state.step, action.message), ()


@rule.register
def _(_action: a.Dismiss, state: PanelState) -> Next:
    return quiet(state, state.step), ()


def _data_changed(before: PanelState, after: PanelState) -> tuple[Effect, ...]:
    if before.data == after.data:
        return ()
    asks: tuple[Effect, ...] = (e.Suggest(data=after.data),)
    if after.plan is not None:
        asks = (*asks, e.Check(plan=after.plan, data=after.data))
    return asks


def _offers_of(workers: tuple[WorkerState, ...]) -> frozenset[tuple[object, ...]]:
    """What of the workers a plan is checked against."""
    return frozenset((item.worker_id, item.health, item.labels, item.modules) for item in workers)
