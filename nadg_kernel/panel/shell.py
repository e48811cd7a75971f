"""The panel's shell of plain widgets: steps, command, data, results, workers, history. It shows what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from nadg_kernel.panel import actions as a
from nadg_kernel.panel import pages
from nadg_kernel.panel.command_page import CommandPage
from nadg_kernel.panel.history_page import HistoryPage
from nadg_kernel.panel.offer_view import offers_json
from nadg_kernel.panel.plan_view import PlanView
from nadg_kernel.panel.records import ResultItem, Step
from nadg_kernel.panel.result_actions import KeepFile
from nadg_kernel.panel.view import live_json, plan_json, same_plan
from nadg_kernel.panel.widgets import box, button, html, line, mark, put

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nadg_kernel.panel.actions import Action
    from nadg_kernel.panel.state import PanelState

STEPS = {
    Step.COMMAND: "1 Command",
    Step.REVIEW: "2 Review",
    Step.RUN: "3 Run",
    Step.RESULTS: "4 Results",
    Step.WORKERS: "Workers",
    Step.HISTORY: "History",
}


SHOWN_FILES = 20
"""Files of one result that get a button."""
_IN_VIEW = {Step.REVIEW, Step.RUN, Step.RESULTS, Step.WORKERS}
"""Pages that the plan view draws, with their messages."""


class Shell:
    """Widgets and how a state is shown in them.

    `send` takes actions and `receive` the plan view's messages, from any thread. `drawing` tells whether the caller is
    the thread that draws: what is set from there is no intent of the person.
    """

    def __init__(
        self,
        send: Callable[[Action], None],
        receive: Callable[[Mapping[str, Any]], None],
        drawing: Callable[[], bool],
        *,
        planner: str,
        store: str,
    ) -> None:
        """Make all widgets that do not depend on the state."""
        self._send, self._drawing, self._planner, self._store = send, drawing, planner, store
        self._drawn: PanelState | None = None
        self._plan: dict[str, Any] = {}
        self.view = PlanView(receive)
        self._status = html("nadg-status")
        self._steps = {step: button(text, "nadg-step", self._go(step)) for step, text in STEPS.items()}
        self._messages = {step: html("nadg-message") for step in Step if step not in _IN_VIEW}
        self._command = CommandPage(send, drawing, self._messages[Step.COMMAND])
        self._history = HistoryPage(send, drawing, self._messages[Step.HISTORY])
        self._results = box([], "nadg-results")
        self._result_boxes: dict[str, tuple[str, w.Widget]] = {}
        self._kept: dict[str, w.HTML] = {}
        self._no_results = html("nadg-hint")
        plan = box([self.view], "nadg-page", "nadg-flush")
        self._pages = {
            Step.COMMAND: (self._command.box,),
            Step.REVIEW: (plan,),
            Step.RUN: (plan,),
            Step.RESULTS: (plan, box([self._no_results, self._results], "nadg-page")),
            Step.WORKERS: (plan,),
            Step.HISTORY: (self._history.box,),
        }
        self._parts = tuple(dict.fromkeys(part for parts in self._pages.values() for part in parts))
        steps = line(list(self._steps.values()), "nadg-steps")
        self.children = (
            line([self._status, steps], "nadg-strip"),
            *self._parts,
        )

    def show(self, state: PanelState, answers: list[dict[str, Any]]) -> None:
        """Draw what changed since the last call, then send the answers."""
        before, self._drawn = self._drawn, state
        if before is None or not same_plan(before, state):
            self._plan = plan_json(state)
        self._show_frame(state)
        self.view.push(self._plan, live_json(state), offers_json(state), answers)
        self._command.show(before, state)
        self._history.show(before, state)
        self._show_results(state)

    def reply(self, message: dict[str, Any]) -> None:
        """Send one message to the plan views."""
        self.view.send(message)

    def resend(self) -> None:
        """Send the plan view's whole state again."""
        self.view.send_state(["plan", "live", "offers"])

    def say(self, text: str) -> None:
        """Show a message although no state can be drawn any more (the grid is closed)."""
        for message in self._messages.values():
            message.value = pages.message_html(text)
        self.view.push(self.view.plan, {**self.view.live, "notice": text}, self.view.offers)

    def _show_frame(self, state: PanelState) -> None:
        put(self._status, value=pages.status_html(state, state.planner or self._planner, self._store))
        shown = self._pages[state.step]
        for part in self._parts:
            part.layout.display = None if part in shown else "none"
        for step, pressed in self._steps.items():
            mark(pressed, "nadg-now", on=step is state.step)
            needs = {Step.REVIEW: state.plan, Step.RUN: state.run, Step.RESULTS: state.run}
            put(pressed, disabled=step in needs and needs[step] is None)
        for step, message in self._messages.items():
            put(message, value=pages.message_html(state.notices.get(step, "")))

    def _show_results(self, state: PanelState) -> None:
        if state.step is not Step.RESULTS:
            return
        run = "" if state.run is None else state.run.run_id
        boxes = []
        for number, item in enumerate(state.results, 1):
            key = f"{run} {item.key}"
            known = self._result_boxes.get(item.subtask)
            if known is None or known[0] != key:
                self._result_boxes[item.subtask] = known = (key, self._result(item, number))
            boxes.append(known[1])
        if self._results.children != tuple(boxes):
            self._results.children = tuple(boxes)
        for subtask, note in self._kept.items():
            put(note, value=pages.kept_html(state.kept) if state.kept.subtask == subtask else "")
        hint = "" if boxes else "No subtask has ended yet. Results appear here one by one."
        put(self._no_results, value=f"<span class='nadg-dim'>{hint}</span>" if hint else "")

    def _result(self, item: ResultItem, number: int) -> w.VBox:
        """One result as the notebook itself would render it: safe bundles in an Output widget, and its files."""
        outputs = tuple(
            {"output_type": "display_data", "data": dict(bundle), "metadata": {}} for bundle in item.bundles
        )
        head = html("nadg-rhead", pages.result_head_html(item, number))
        body = w.Output(outputs=outputs) if outputs else html("nadg-nothing", pages.NOTHING)
        body.add_class("nadg-given")
        if not item.files:
            return box([head, body], "nadg-result")
        files = [self._file(item.subtask, place, *file) for place, file in enumerate(item.files[:SHOWN_FILES])]
        note = self._kept[item.subtask] = html("nadg-hint")
        return box([head, body, line([*files, note], "nadg-line-box")], "nadg-result")

    def _file(self, subtask: str, place: int, path: str, size: int) -> w.Button:
        keep = KeepFile(what="file", subtask=subtask, number=place)
        return button(f"Save {path} ({size:,} bytes)", "nadg-act2", lambda: self._send(keep))

    def _go(self, step: Step) -> Callable[[], None]:
        return lambda: self._send(a.GoTo(step=step))
