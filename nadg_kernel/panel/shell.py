"""The panel's shell of plain widgets: steps, command, data, results, workers, history. It shows what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from nadg_kernel.panel import actions as a
from nadg_kernel.panel import pages
from nadg_kernel.panel.plan_view import PlanView, answer_anywhere
from nadg_kernel.panel.records import Offer, ResultItem, Step
from nadg_kernel.panel.view import live_json, plan_json, same_plan

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
_PLACEHOLDER = (
    "What should be done? For instance: analyze customer sentiment from reviews, generate a summary report, "
    "and create data visualizations"
)


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
        self._status = _html("nadg-status")
        self._steps = {step: self._button(text, "nadg-step", self._go(step)) for step, text in STEPS.items()}
        self._messages = {step: _html("nadg-message") for step in Step if step not in {Step.REVIEW, Step.RUN}}
        self._command_widgets()
        self._results = _box([], "nadg-results")
        self._result_boxes: dict[str, tuple[str, w.Widget]] = {}
        self._no_results = _html("nadg-hint")
        self._workers = _html("nadg-table-box")
        self._history = _html("nadg-table-box")
        self._refresh = self._button("Refresh", "nadg-act2", self._go(Step.HISTORY))
        plan = _box([self.view], "nadg-page", "nadg-flush")
        self._pages = {
            Step.COMMAND: self._command_page,
            Step.REVIEW: plan,
            Step.RUN: plan,
            Step.RESULTS: _box([self._messages[Step.RESULTS], self._no_results, self._results], "nadg-page"),
            Step.WORKERS: _box([self._messages[Step.WORKERS], self._workers], "nadg-page"),
            Step.HISTORY: _box([self._messages[Step.HISTORY], self._history, self._refresh], "nadg-page"),
        }
        steps = _line(list(self._steps.values()), "nadg-steps")
        self.children = (
            _line([self._status, steps], "nadg-strip"),
            *dict.fromkeys(self._pages.values()),
        )

    def show(self, state: PanelState, answers: list[dict[str, Any]]) -> None:
        """Draw what changed since the last call, then send the answers."""
        before, self._drawn = self._drawn, state
        if before is None or not same_plan(before, state):
            self._plan = plan_json(state)
        self._show_frame(state)
        self.view.push(self._plan, live_json(state), answers)
        self._show_command(before, state)
        self._show_results(state)
        if before is None or before.workers != state.workers:
            self._workers.value = pages.workers_html(state.workers)
        if before is None or before.history is not state.history:
            self._history.value = pages.history_html(state.history)

    def reply(self, message: dict[str, Any]) -> None:
        """Send one message to the plan views."""
        self.view.send(message)

    def resend(self) -> None:
        """Send the plan view's whole state again."""
        self.view.send_state(["plan", "live"])

    def say(self, text: str) -> None:
        """Show a message although no state can be drawn any more (the grid is closed)."""
        for message in self._messages.values():
            message.value = pages.message_html(text)
        self.view.push(self.view.plan, {**self.view.live, "notice": text})

    def _command_widgets(self) -> None:
        self._command = w.Textarea(placeholder=_PLACEHOLDER, layout=w.Layout(width="auto"), rows=3)
        self._command.add_class("nadg-command")
        self._command.observe(self._typed, "value")
        self._data_hint = _html("nadg-hint")
        self._picks = _box([], "nadg-picks")
        self._pick_of: dict[str, w.Checkbox] = {}
        self._path = w.Text(placeholder="or the path of a file, such as reviews.csv", layout=w.Layout(width="auto"))
        self._path.add_class("nadg-path")
        self._attach = self._button("Attach file", "nadg-act2", lambda: a.AttachFile(path=self._path.value))
        self._recipes = _html("nadg-hint")
        self._draft = self._button("Draft a plan", "nadg-act1", lambda: a.Draft(command=self._command.value))
        self._progress = _html("nadg-status")
        self._saved = w.Dropdown(options=[("Continue a saved plan", "")], value="", layout=w.Layout(width="auto"))
        self._saved.add_class("nadg-saved-plans")
        self._saved.observe(self._open, "value")
        self._command_page = _box(
            [
                self._command,
                _html("nadg-hint", "<h4>Data</h4>"),
                self._data_hint,
                self._picks,
                _line([self._path, self._attach], "nadg-line-box"),
                self._recipes,
                _line([self._draft, self._progress, self._saved], "nadg-line-box"),
                self._messages[Step.COMMAND],
            ],
            "nadg-page",
        )
        for widget in (self._command, self._path, self._saved):
            answer_anywhere(widget)

    def _show_frame(self, state: PanelState) -> None:
        _set(self._status, value=pages.status_html(state, self._planner, self._store))
        shown = self._pages[state.step]
        for page in dict.fromkeys(self._pages.values()):
            page.layout.display = None if page is shown else "none"
        for step, button in self._steps.items():
            _mark(button, "nadg-now", on=step is state.step)
            needs = {Step.REVIEW: state.plan, Step.RUN: state.run, Step.RESULTS: state.run}
            _set(button, disabled=step in needs and needs[step] is None)
        for step, message in self._messages.items():
            _set(message, value=pages.message_html(state.notices.get(step, "")))

    def _show_command(self, before: PanelState | None, state: PanelState) -> None:
        if before is not None and before.command_set != state.command_set:
            self._command.value = state.command
        if before is None or (before.offers, before.attached) != (state.offers, state.attached):
            self._show_data(state)
        _set(self._recipes, value=pages.recipes_html(state))
        busy = state.drafting is not None
        words = "Draft again" if state.plan is not None else "Draft a plan"
        _set(self._draft, disabled=busy, description="Drafting\N{HORIZONTAL ELLIPSIS}" if busy else words)
        _set(self._progress, value=pages.progress_html(state.drafting))
        if before is None or before.files != state.files:
            self._saved.options = [("Continue a saved plan", ""), *((file.text, file.path) for file in state.files)]
            self._saved.value = ""
            self._saved.layout.display = None if state.files else "none"

    def _show_data(self, state: PanelState) -> None:
        for offer in state.offers:
            if offer.name not in self._pick_of:
                self._pick_of[offer.name] = self._pick(offer)
            pick = self._pick_of[offer.name]
            _set(pick, description=pages.data_text(offer.name, offer.text, offer.columns))
            _set(pick, value=offer.name in state.attached)
        picks = tuple(self._pick_of[offer.name] for offer in state.offers)
        if self._picks.children != picks:
            self._picks.children = picks
        hint = "" if picks else "This notebook has no frames yet. Make one, or name a file."
        _set(self._data_hint, value=f"<span class='nadg-dim'>{hint}</span>" if hint else "")

    def _pick(self, offer: Offer) -> w.Checkbox:
        pick = w.Checkbox(indent=False, layout=w.Layout(width="auto"))
        pick.add_class("nadg-pick")
        name = offer.name

        def toggled(change: dict[str, Any]) -> None:
            if not self._drawing():
                self._send(a.AttachData(name=name, on=bool(change["new"])))

        pick.observe(toggled, "value")
        answer_anywhere(pick)
        return pick

    def _show_results(self, state: PanelState) -> None:
        if state.step is not Step.RESULTS:
            return
        run = "" if state.run is None else state.run.run_id
        boxes = []
        for number, item in enumerate(state.results, 1):
            key = f"{run} {item.key}"
            known = self._result_boxes.get(item.subtask)
            if known is None or known[0] != key:
                self._result_boxes[item.subtask] = known = (key, _result(item, number))
            boxes.append(known[1])
        if self._results.children != tuple(boxes):
            self._results.children = tuple(boxes)
        hint = "" if boxes else "No subtask has ended yet. Results appear here one by one."
        _set(self._no_results, value=f"<span class='nadg-dim'>{hint}</span>" if hint else "")

    def _typed(self, change: dict[str, Any]) -> None:
        if not self._drawing():
            self._send(a.SetCommand(text=str(change["new"])))

    def _open(self, change: dict[str, Any]) -> None:
        if not self._drawing() and change["new"]:
            self._send(a.OpenPlan(path=str(change["new"])))

    def _button(self, text: str, name: str, make: Callable[[], Action]) -> w.Button:
        button = w.Button(description=text, layout=w.Layout(width="auto"))
        button.add_class(name)
        button.on_click(lambda _: self._send(make()))
        answer_anywhere(button)
        return button

    def _go(self, step: Step) -> Callable[[], Action]:
        return lambda: a.GoTo(step=step)


def _html(name: str, value: str = "") -> w.HTML:
    widget = w.HTML(value=value)
    widget.add_class(name)
    return widget


def _box(children: list[w.Widget], *names: str) -> w.VBox:
    box = w.VBox(children)
    for name in names:
        box.add_class(name)
    return box


def _line(children: list[w.Widget], name: str) -> w.HBox:
    box = w.HBox(children)
    box.add_class(name)
    return box


def _set(widget: w.Widget, **traits: Any) -> None:
    """Set what differs, so that nothing is sent that the front end has."""
    for name, value in traits.items():
        if getattr(widget, name) != value:
            setattr(widget, name, value)


def _mark(widget: w.DOMWidget, name: str, *, on: bool) -> None:
    if on:
        widget.add_class(name)
    else:
        widget.remove_class(name)


def _result(item: ResultItem, number: int) -> w.VBox:
    """One result as the notebook itself would render it: safe bundles in an Output widget."""
    outputs = tuple({"output_type": "display_data", "data": dict(bundle), "metadata": {}} for bundle in item.bundles)
    head = _html("nadg-rhead", pages.result_head_html(item, number))
    body = w.Output(outputs=outputs) if outputs else _html("nadg-nothing", pages.NOTHING)
    return _box([head, body], "nadg-result")
