"""The line of the Command page that says who plans, and asks whether it may see rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from nadg_kernel.panel import actions as a
from nadg_kernel.panel.plan_view import answer_anywhere
from nadg_kernel.panel.state import SAMPLE_ROWS
from nadg_kernel.panel.widgets import html, line, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from nadg_kernel.panel.actions import Action
    from nadg_kernel.panel.state import PanelState


class PlannerLine:
    """`send` takes actions; `drawing` tells whether the caller is the thread that draws, which is no person."""

    def __init__(self, send: Callable[[Action], None], drawing: Callable[[], bool]) -> None:
        """Nothing can be chosen yet."""
        self._send, self._drawing = send, drawing
        self.choice = w.Dropdown(options=[("", "")], value="", layout=w.Layout(width="auto"))
        self.choice.add_class("nadg-planner")
        self.choice.observe(self._chosen, "value")
        self.rows = w.Checkbox(indent=False, layout=w.Layout(width="auto"))
        self.rows.add_class("nadg-pick")
        self.rows.observe(self._allowed, "value")
        for widget in (self.choice, self.rows):
            answer_anywhere(widget)
        self.box = line(
            [html("nadg-hint", "<span class='nadg-dim'>Planner</span>"), self.choice, self.rows], "nadg-line-box"
        )

    def show(self, before: PanelState | None, state: PanelState) -> None:
        """Draw what changed."""
        if before is None or before.planners != state.planners:
            self.choice.options = [(item.text, item.name) for item in state.planners] or [("", "")]
            self.box.layout.display = None if state.planners else "none"
        put(self.choice, value=state.planner)
        asks = state.chosen is not None and state.chosen.sends and bool(state.attached)
        put(self.rows, description=f"Let it see the first {SAMPLE_ROWS} rows of {', '.join(state.attached)}")
        put(self.rows, value=asks and state.rows_allowed)
        self.rows.layout.display = None if asks else "none"

    def _chosen(self, change: dict[str, Any]) -> None:
        if not self._drawing() and change["new"] is not None:
            self._send(a.ChoosePlanner(name=str(change["new"])))

    def _allowed(self, change: dict[str, Any]) -> None:
        if not self._drawing():
            self._send(a.AllowRows(on=bool(change["new"])))
