"""The control panel over a Grid: a pure state, an anywidget for the plan, a shell of plain widgets."""

from nadg_kernel.panel.panel import Panel

__all__ = ["Panel"]
