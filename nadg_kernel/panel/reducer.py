"""The panel's one reducer: pure, so that every rule of the panel is tested without a widget."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nadg_kernel.panel import (  # noqa: F401 - they register the rules
    rules_change,
    rules_command,
    rules_flow,
    rules_lists,
    rules_results,
    rules_review,
    rules_run,
    rules_trial,
    rules_whole,
)
from nadg_kernel.panel.state import Next, PanelState, rule

if TYPE_CHECKING:
    from nadg_kernel.panel.actions import Action


def reduce(state: PanelState, action: Action) -> Next:
    """The state after an action, and what it asks for. Raises EditError or PlanError; then nothing has changed."""
    after, effects = rule(action, state)
    if after is not state:
        after = replace(after, revision=state.revision + 1)
    return after, effects
