"""The anywidget that draws the plan: its state is three traits that Python owns, its view one small ES module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import ipywidgets

_HERE = Path(__file__).parent
PARTS = (
    "tools",
    "link",
    "graph",
    "search",
    "list",
    "field",
    "code",
    "editor",
    "trial",
    "change",
    "whole",
    "run",
    "approval",
    "fleet",
    "results",
    "view",
)
"""The parts of the module in the order in which they are joined: a front end takes one, and there is no build step."""


PATCHED_ROWS = 20
"""Changed subtasks up to which a patch is sent in any plan; in a long one a quarter of it."""


def source() -> str:
    """The view as one ES module."""
    return "\n".join((_HERE / "view_js" / f"{name}.js").read_text(encoding="utf-8") for name in PARTS)


class PlanView(anywidget.AnyWidget):
    """Draws `plan` and `live` (view.py) and `offers` (offer_view.py), and hands each message of a view to `receive`.

    `receive` is called on whatever thread the front end's message arrives on, and must only pass it on.
    """

    _esm = source()
    _css = (_HERE / "plan_view.css").read_text(encoding="utf-8")

    plan = traitlets.Dict().tag(sync=True)
    live = traitlets.Dict().tag(sync=True)
    offers = traitlets.Dict().tag(sync=True)

    def __init__(self, receive: Callable[[Mapping[str, Any]], None]) -> None:
        """Show nothing yet."""
        self._patched = False
        super().__init__()
        self.on_msg(lambda _widget, content, _buffers: receive(content if isinstance(content, dict) else {}))
        answer_anywhere(self)

    def _should_send_property(self, key: str, value: Any) -> bool:
        """Keep a plan that was sent as a patch from being sent whole too (an ipywidgets hook, the same in 7 and 8)."""
        if key == "plan" and self._patched:
            return False
        return bool(super()._should_send_property(key, value))

    def push(
        self,
        plan: Mapping[str, Any],
        live: Mapping[str, Any],
        offers: Mapping[str, Any],
        answers: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Show this: of a plan that is there already only what differs; then send the answers that belong to it."""
        patch = _patch(self.plan, plan)
        if patch is not None:
            self._patched = True
            try:
                self.plan = dict(plan)  # for views that come later; those that are there get the patch
            finally:
                self._patched = False
            if patch["rows"] or patch["head"]:
                self.send({"op": "patch", **patch})
        with self.hold_sync():
            self.plan = dict(plan)
            self.live = dict(live)
            self.offers = dict(offers)
        for answer in answers:
            self.send(dict(answer))


def _patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any] | None:
    """What differs between two plans, as rows by place and other parts by name; None where all of it had better go."""
    before, after = old.get("subtasks"), new.get("subtasks")
    if not before or not after or old.keys() != new.keys() or len(before) != len(after):
        return None
    rows = {str(place): row for place, row in enumerate(after) if row != before[place]}
    if len(rows) > max(PATCHED_ROWS, len(after) // 4):
        return None
    return {"rows": rows, "head": {name: new[name] for name in new if name != "subtasks" and new[name] != old[name]}}


def answer_anywhere(widget: ipywidgets.Widget) -> None:
    """Let a widget's messages be handled while a cell blocks.

    ipykernel 7.4 keeps a comm on the shell that it was opened from, which is the one that cells block; older versions
    have nothing to change.
    """
    comm = getattr(widget, "comm", None)
    if comm is not None and hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001 - private, and the only way
