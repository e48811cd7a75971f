"""Rules of the pages beside the work: workers and history."""

from __future__ import annotations

from dataclasses import replace

from nadg_kernel.errors import EditError
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.records import Step
from nadg_kernel.panel.state import Next, PanelState, quiet, rule

FILTERS = ("since", "state", "worker", "text")


@rule.register
def _(action: a.HistoryRead, state: PanelState) -> Next:
    return replace(quiet(state, Step.HISTORY), history=action.rows, figures=action.figures), ()


@rule.register
def _(action: a.FilterHistory, state: PanelState) -> Next:
    if action.name not in FILTERS:
        message = f"the history has no filter {action.name!r}"
        raise EditError(message)
    filters = {name: value for name, value in state.filters.items() if name != action.name}
    if action.value.strip():
        filters[action.name] = action.value.strip()
    if filters == state.filters:
        return state, ()
    return replace(state, filters=filters), (e.ReadHistory(filters=filters),)


@rule.register
def _(action: a.AddWorker, state: PanelState) -> Next:
    url = action.url.strip()
    if not url:
        return replace(
            state, fleet_note=("Type the worker's URL first, for instance https://you-nadg.hf.space.", True)
        ), ()
    return replace(state, fleet_note=("", False), fleet_busy=True), (e.Enlist(url=url),)


@rule.register
def _(action: a.RemoveWorker, state: PanelState) -> Next:
    return replace(state, fleet_note=("", False), fleet_busy=True), (e.Dismissed(worker=action.worker),)


@rule.register
def _(_action: a.Ping, state: PanelState) -> Next:
    return replace(state, fleet_note=("", False), fleet_busy=True), (e.AskWorkers(),)


@rule.register
def _(action: a.FleetAnswered, state: PanelState) -> Next:
    return replace(state, fleet_note=(action.text, action.refused), fleet_busy=False), ()
