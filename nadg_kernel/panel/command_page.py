"""The Command page of plain widgets: what should be done, over which data, and what the planner would be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from nadg_kernel.display import clean_text
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import pages
from nadg_kernel.panel.plan_view import answer_anywhere
from nadg_kernel.panel.planner_line import PlannerLine
from nadg_kernel.panel.widgets import box, button, html, line, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from nadg_kernel.panel.actions import Action
    from nadg_kernel.panel.records import Offer, RunItem
    from nadg_kernel.panel.state import PanelState

_PLACEHOLDER = (
    "What should be done? For instance: analyze customer sentiment from reviews, generate a summary report, "
    "and create data visualizations"
)
_NO_PLAN = ("Continue a saved plan", "")


class CommandPage:
    """`send` takes actions; `drawing` tells whether the caller is the thread that draws, which is no person."""

    def __init__(self, send: Callable[[Action], None], drawing: Callable[[], bool], message: w.HTML) -> None:
        """Make all widgets that do not depend on the state."""
        self._send, self._drawing = send, drawing
        self._command = _area("nadg-command", _PLACEHOLDER, 3)
        self._command.observe(self._typed, "value")
        self._lost = box([], "nadg-lost-runs")
        self._lost_of: dict[str, w.HBox] = {}
        self._data_hint = html("nadg-hint")
        self._picks = box([], "nadg-picks")
        self._pick_of: dict[str, w.Checkbox] = {}
        self._path = w.Text(placeholder="or the path of a file, such as reviews.csv", layout=w.Layout(width="auto"))
        self._path.add_class("nadg-path")
        self._attach = button("Attach file", "nadg-act2", lambda: send(a.AttachFile(path=self._path.value)))
        self._recipes_hint = html("nadg-hint")
        self._recipes = line([], "nadg-chosen")
        self._recent_hint = html("nadg-hint", pages.dim_html("Recent commands:"))
        self._recent = line([], "nadg-chosen")
        self._planner = PlannerLine(send, drawing)
        self._draft = button("Draft a plan", "nadg-act1", lambda: send(a.Draft(command=self._command.value)))
        self._ask = button("What would be sent", "nadg-act2", self._prompted)
        self._progress = html("nadg-status")
        self._saved = w.Dropdown(options=[_NO_PLAN], value="", layout=w.Layout(width="auto"))
        self._saved.add_class("nadg-saved-plans")
        self._saved.observe(self._open, "value")
        self._chat()
        for widget in (self._command, self._path, self._saved):
            answer_anywhere(widget)
        self.box = box(
            [
                self._lost,
                self._command,
                line([self._recent_hint, self._recent], "nadg-choices"),
                html("nadg-hint", "<h4>Data</h4>"),
                self._data_hint,
                self._picks,
                line([self._path, self._attach], "nadg-line-box"),
                line([self._recipes_hint, self._recipes], "nadg-choices"),
                self._planner.box,
                line([self._draft, self._ask, self._progress, self._saved], "nadg-line-box"),
                message,
                self._sent,
            ],
            "nadg-page",
        )

    def _chat(self) -> None:
        """What would be sent, to read or to copy, and where a chat's answer is pasted."""
        self._sent_line = html("nadg-hint")
        self._sent_text = _area("nadg-prompt", "", 8)
        self._sent_text.disabled = True
        copy = button("Copy", "nadg-act2", lambda: None)
        copy.add_class("nadg-copy")  # the view copies: a kernel has no clipboard
        self._answer = _area("nadg-answer", "Paste a chat's answer to this text here", 4)
        read = button("Use this answer", "nadg-act2", lambda: self._send(a.PasteAnswer(text=self._answer.value)))
        close = button("Close", "nadg-act2", lambda: self._send(a.LeaveChange()))
        parts = [self._sent_line, self._sent_text, line([copy, close], "nadg-line-box"), self._answer]
        self._sent = box([*parts, line([read], "nadg-line-box")], "nadg-sent")

    def show(self, before: PanelState | None, state: PanelState) -> None:
        """Draw what changed."""
        if before is not None and before.command_set != state.command_set:
            self._command.value = state.command
        if before is None or (before.offers, before.attached) != (state.offers, state.attached):
            self._show_data(state)
        if before is None or before.runs != state.runs:
            self._show_lost([item for item in state.runs if not item.here][:3])
        if before is None or before.suggestions != state.suggestions:
            self._show_recipes(state)
        if before is None or before.recent != state.recent:
            self._show_recent(state)
        self._planner.show(before, state)
        busy = state.drafting is not None
        copies = state.chosen is not None and state.chosen.copies
        words = "Make the text to copy" if copies else "Draft again" if state.plan is not None else "Draft a plan"
        self._ask.layout.display = "none" if copies else None
        put(self._draft, disabled=busy, description="Drafting\N{HORIZONTAL ELLIPSIS}" if busy else words)
        put(self._progress, value=pages.progress_html(state.drafting))
        if before is None or before.files != state.files:
            self._saved.options = [_NO_PLAN, *((file.text, file.path) for file in state.files)]
            self._saved.value = ""
            self._saved.layout.display = None if state.files else "none"
        text = "" if state.prompt_changes else state.prompt
        put(self._sent_text, value=text)
        put(self._sent_line, value=pages.dim_html(state.prompt_line))
        self._sent.layout.display = None if text else "none"

    def _show_lost(self, items: list[RunItem]) -> None:
        for item in items:
            if item.run_id not in self._lost_of:
                resume = button("Resume", "nadg-act2", _sender(self._send, a.ShowRun(run_id=item.run_id)))
                self._lost_of[item.run_id] = line([html("nadg-grow", pages.lost_html(item)), resume], "nadg-lost-run")
        self._lost.children = tuple(self._lost_of[item.run_id] for item in items)

    def _show_recipes(self, state: PanelState) -> None:
        found = state.suggestions
        put(self._recipes_hint, value=pages.dim_html("Recipes that fit this data:" if found else ""))
        self._recipes.children = tuple(
            _choice(item.title, item.reason, _sender(self._send, a.UseRecipe(suggestion=place)))
            for place, item in enumerate(found)
        )

    def _show_recent(self, state: PanelState) -> None:
        self._recent_hint.layout.display = None if state.recent else "none"
        self._recent.children = tuple(
            _choice(text, text, _sender(self._send, a.SetCommand(text=text, typed=False))) for text in state.recent
        )

    def _show_data(self, state: PanelState) -> None:
        for offer in state.offers:
            if offer.name not in self._pick_of:
                self._pick_of[offer.name] = self._pick(offer)
            pick = self._pick_of[offer.name]
            put(pick, description=pages.data_text(offer.name, offer.text, offer.columns))
            put(pick, value=offer.name in state.attached)
        picks = tuple(self._pick_of[offer.name] for offer in state.offers)
        if self._picks.children != picks:
            self._picks.children = picks
        put(
            self._data_hint,
            value=pages.dim_html("" if picks else "This notebook has no frames yet. Make one, or name a file."),
        )

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

    def _prompted(self) -> None:
        self._send(a.SetCommand(text=self._command.value))
        self._send(a.MakePrompt(command=self._command.value))

    def _typed(self, change: dict[str, Any]) -> None:
        if not self._drawing():
            self._send(a.SetCommand(text=str(change["new"])))

    def _open(self, change: dict[str, Any]) -> None:
        if not self._drawing() and change["new"]:
            self._send(a.OpenPlan(path=str(change["new"])))


def _area(name: str, placeholder: str, rows: int) -> w.Textarea:
    area = w.Textarea(placeholder=placeholder, layout=w.Layout(width="auto"), rows=rows)
    area.add_class(name)
    answer_anywhere(area)
    return area


def _choice(text: str, tooltip: str, pressed: Callable[[], None]) -> w.Button:
    """A small button; what it stands for in full is its tooltip."""
    made = button(pages.short_text(text), "nadg-choice", pressed)
    made.tooltip = clean_text(tooltip, 1_000)
    return made


def _sender(send: Callable[[Action], None], action: Action) -> Callable[[], None]:
    return lambda: send(action)
