"""Small tools for the plain widgets of the panel's shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from nadg_kernel.panel.plan_view import answer_anywhere

if TYPE_CHECKING:
    from collections.abc import Callable


def button(text: str, name: str, pressed: Callable[[], None]) -> w.Button:
    """A button that works also while a cell blocks."""
    made = w.Button(description=text, layout=w.Layout(width="auto"))
    made.add_class(name)
    made.on_click(lambda _: pressed())
    answer_anywhere(made)
    return made


def html(name: str, value: str = "") -> w.HTML:
    """A text, safe already."""
    widget = w.HTML(value=value)
    widget.add_class(name)
    return widget


def box(children: list[w.Widget], *names: str) -> w.VBox:
    """Widgets below each other."""
    made = w.VBox(children)
    for name in names:
        made.add_class(name)
    return made


def line(children: list[w.Widget], name: str) -> w.HBox:
    """Widgets beside each other."""
    made = w.HBox(children)
    made.add_class(name)
    return made


def put(widget: w.Widget, **traits: Any) -> None:
    """Set what differs, so that nothing is sent that the front end has."""
    for name, value in traits.items():
        if getattr(widget, name) != value:
            setattr(widget, name, value)


def mark(widget: w.DOMWidget, name: str, *, on: bool) -> None:
    """Add a class, or take it off."""
    if on:
        widget.add_class(name)
    else:
        widget.remove_class(name)
