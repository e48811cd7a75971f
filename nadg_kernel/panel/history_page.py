"""The History page of plain widgets: past runs as a table, figures over them, and filters for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from nadg_kernel.panel import actions as a
from nadg_kernel.panel import pages
from nadg_kernel.panel.doing_lists import PERIODS
from nadg_kernel.panel.plan_view import answer_anywhere
from nadg_kernel.panel.records import Step
from nadg_kernel.panel.widgets import box, button, html, line, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from nadg_kernel.panel.actions import Action
    from nadg_kernel.panel.state import PanelState

_STATES = ("succeeded", "failed", "cancelled", "interrupted", "running", "paused")


class HistoryPage:
    """`send` takes actions; `drawing` tells whether the caller is the thread that draws, which is no person."""

    def __init__(self, send: Callable[[Action], None], drawing: Callable[[], bool], message: w.HTML) -> None:
        """Make all widgets that do not depend on the state."""
        self._send, self._drawing = send, drawing
        since = self._choice("since", "All time", [(f"Last {name}", name) for name in PERIODS])
        state = self._choice("state", "Any state", [(name, name) for name in _STATES])
        self._worker = self._choice("worker", "Any worker", [])
        text = w.Text(placeholder="words of the command", continuous_update=False, layout=w.Layout(width="auto"))
        self._filter(text, "text")
        refresh = button("Refresh", "nadg-act2", lambda: send(a.GoTo(step=Step.HISTORY)))
        self._table = html("nadg-table-box")
        self._figures = box([], "nadg-figures")
        self._drawn: object = ()
        filters = line([since, state, self._worker, text, refresh], "nadg-line-box")
        filters.add_class("nadg-filters")
        self.box = box([message, filters, self._table, self._figures], "nadg-page")

    def show(self, before: PanelState | None, state: PanelState) -> None:
        """Draw what changed."""
        if before is None or (before.history, before.filters) != (state.history, state.filters):
            self._table.value = pages.history_html(state.history, filtered=bool(state.filters))
        names = [worker.worker_id for worker in state.workers]
        if before is None or [worker.worker_id for worker in before.workers] != names:
            chosen = self._worker.value
            self._worker.options = [("Any worker", ""), *((name, name) for name in names)]
            put(self._worker, value=chosen if chosen in names else "")
        if self._drawn is not state.figures:
            self._drawn = state.figures
            self._figures.children = tuple(
                w.Output(outputs=({"output_type": "display_data", "data": dict(bundle), "metadata": {}},))
                for _title, bundle in state.figures
            )

    def _choice(self, name: str, none: str, options: list[tuple[str, str]]) -> w.Dropdown:
        choice = w.Dropdown(options=[(none, ""), *options], value="", layout=w.Layout(width="auto"))
        self._filter(choice, name)
        return choice

    def _filter(self, widget: w.Widget, name: str) -> None:
        def changed(change: dict[str, Any]) -> None:
            if not self._drawing():
                self._send(a.FilterHistory(name=name, value=str(change["new"] or "")))

        widget.observe(changed, "value")
        widget.add_class(f"nadg-filter-{name}")
        answer_anywhere(widget)
