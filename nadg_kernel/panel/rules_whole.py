"""Rules of the reviewed plan as a whole: its difference to the draft, the file that it is kept in."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from nadg_kernel.errors import EditError
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.records import Step
from nadg_kernel.panel.state import Next, PanelState, plan_of, quiet, rule

if TYPE_CHECKING:
    from nadg_kernel.panel.effects import Effect

MAX_NAME = 200
_NAME = re.compile(r"[\w .()+-]+")


@rule.register
def _(action: a.ShowDiff, state: PanelState) -> Next:
    plan_of(state)
    return (state, ()) if action.on == state.comparing else (replace(state, comparing=action.on), ())


@rule.register
def _(action: a.SaveAs, state: PanelState) -> Next:
    plan, name = plan_of(state), action.name.strip()
    if not name:
        message = "type a name for the plan first"
        raise EditError(message)
    path = "/" in name or "\\" in name
    if len(name) > MAX_NAME or not (path or (_NAME.fullmatch(name) and name.strip(". "))):
        message = "a plan's name has letters, digits, spaces and . _ - ( ) +; or give the path of a file"
        raise EditError(message)
    return quiet(state, Step.REVIEW), (e.SavePlanAs(plan=plan, file=state.file, name=name),)


@rule.register
def _(action: a.SavedAs, state: PanelState) -> Next:
    listed = (e.FindPlans(),)
    if action.file != state.file or state.plan is None:  # another plan is reviewed by now
        return state, listed
    after = replace(state, file=action.path, saved=action.path)
    late: tuple[Effect, ...] = () if state.plan is action.plan else (e.Save(plan=state.plan, file=action.path),)
    return after, (*late, *listed)
