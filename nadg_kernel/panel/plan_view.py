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
    "list",
    "field",
    "code",
    "editor",
    "trial",
    "change",
    "run",
    "approval",
    "fleet",
    "view",
)
"""The parts of the module in the order in which they are joined: a front end takes one, and there is no build step."""


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
        super().__init__()
        self.on_msg(lambda _widget, content, _buffers: receive(content if isinstance(content, dict) else {}))
        answer_anywhere(self)

    def push(
        self,
        plan: Mapping[str, Any],
        live: Mapping[str, Any],
        offers: Mapping[str, Any],
        answers: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Show this, in one update; then send the acknowledgements that belong to it."""
        with self.hold_sync():
            self.plan = dict(plan)
            self.live = dict(live)
            self.offers = dict(offers)
        for answer in answers:
            self.send(dict(answer))


def answer_anywhere(widget: ipywidgets.Widget) -> None:
    """Let a widget's messages be handled while a cell blocks.

    ipykernel 7.4 keeps a comm on the shell that it was opened from, which is the one that cells block; older versions
    have nothing to change.
    """
    comm = getattr(widget, "comm", None)
    if comm is not None and hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001 - private, and the only way
