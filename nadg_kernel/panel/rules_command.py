"""Rules of the Command page around the command: who plans and what it may see, earlier commands, recipes by a click."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nadg_kernel.errors import EditError
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.records import Step
from nadg_kernel.panel.state import Next, PanelState, quiet, rule

if TYPE_CHECKING:
    from nadg_kernel.panel.effects import Effect


@rule.register
def _(action: a.PlannersFound, state: PanelState) -> Next:
    if action.items == state.planners:
        return state, ()
    return _revising(replace(state, planners=action.items)), ()


@rule.register
def _(action: a.ChoosePlanner, state: PanelState) -> Next:
    if action.name == state.planner:
        return state, ()
    if action.name not in {item.name for item in state.planners}:
        message = f"there is no planner {action.name!r} here"
        raise EditError(message)
    # Rows that one planner may see are not for the next one.
    after = replace(quiet(state, Step.COMMAND), planner=action.name, samples=())
    return _shown_again(_revising(after))


@rule.register
def _(action: a.AllowRows, state: PanelState) -> Next:
    samples = state.attached if action.on else ()
    return (state, ()) if samples == state.samples else _shown_again(replace(state, samples=samples))


@rule.register
def _(action: a.CommandsFound, state: PanelState) -> Next:
    return (state, ()) if action.commands == state.recent else (replace(state, recent=action.commands), ())


@rule.register
def _(action: a.UseRecipe, state: PanelState) -> Next:
    if not 0 <= action.suggestion < len(state.suggestions):
        message = "this suggestion is gone: the data has changed"
        raise EditError(message)
    found = state.suggestions[action.suggestion]
    plan = state.plan
    if plan is not None and {*found.values.get("inputs", ())} <= {*plan.data, *plan.ids}:
        return rule(a.AddSubtask(suggestion=action.suggestion), state)
    if state.drafting is not None:
        return state, ()
    number = state.draft_number + 1
    after = replace(quiet(state, Step.COMMAND), draft_number=number, drafting="Making the plan")
    command = state.command.strip() or found.title
    return after, (e.BeginPlan(number=number, command=command, data=state.data, values=found.values),)


def _revising(state: PanelState) -> PanelState:
    """Whether the chosen planner can be asked for changes."""
    who = state.chosen
    return state if who is None else replace(state, revises=who.revises)


def _shown_again(state: PanelState) -> Next:
    """What would be sent has changed: show it anew where it is shown."""
    if not state.prompt or state.prompt_changes or not state.command.strip():
        return state, ()
    asked: Effect = e.WritePrompt(
        command=state.command.strip(), data=state.data, planner=state.planner, samples=state.allowed
    )
    return state, (asked,)
