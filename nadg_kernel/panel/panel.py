"""The widget that a person gets: the shell with its controller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from nadg_kernel.panel.controller import Controller
from nadg_kernel.panel.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nadg_kernel.grid import Grid

CLOSED = "The grid of this panel is closed. Make a new Grid() and show its panel; saved plans can be continued there."


class Panel(w.VBox):  # type: ignore[misc]
    """The control panel over a grid, to show as the last line of a cell.

    `namespace` is where data frames are offered from: the notebook's variables by default. Showing the panel twice
    shows the same state twice. `state` is what it shows now.
    """

    def __init__(self, grid: Grid, namespace: Mapping[str, Any] | None = None) -> None:
        """Make the widgets; they fill as the grid answers."""
        self._shell = Shell(
            self._passed(lambda: self._controller.send),
            self._passed(lambda: self._controller.receive),
            lambda: grid.loop.here,
            planner=grid.planner_name,
            store=grid.store_name,
        )
        super().__init__(self._shell.children)
        self.add_class("nadg-panel")
        self._controller = Controller(grid, _notebook() if namespace is None else namespace, self._shell)
        self._controller.start()

    @property
    def state(self) -> Any:
        """The state as it is now, a frozen record."""
        return self._controller.state

    def __repr__(self) -> str:
        """Where it stands, in a few words: this is what a notebook keeps where it cannot show the panel."""
        state = self._controller.state
        plan = "" if state.plan is None else f", {len(state.plan)} subtasks"
        run = "" if state.run is None else f", run {state.run.run_id} {state.run.state}"
        return f"Panel({state.step}{plan}{run})"

    def close(self) -> None:
        """Take the panel off the screen and let go of the grid; a run under way goes on."""
        if (controller := getattr(self, "_controller", None)) is not None:
            controller.close()
        super().close()

    def _passed(self, target: Callable[[], Callable[[Any], None]]) -> Callable[[Any], None]:
        """Pass something on to the controller; once the grid's loop is closed, say so in the panel instead."""

        def pass_on(thing: Any) -> None:
            try:
                target()(thing)
            except RuntimeError:
                self._shell.say(CLOSED)
                self._shell.reply({"op": "tock", "rev": -1})  # the kernel is there, only the grid is not

        return pass_on


def _notebook() -> Mapping[str, Any]:
    """The variables of the notebook; none outside of IPython."""
    from IPython import get_ipython

    shell = get_ipython()
    return {} if shell is None else shell.user_ns
