"""Words and tables of the panel's shell as HTML; everything that comes from outside is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from nadg_kernel.display import clean_text
from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.panel.view import STATE_TONES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nadg_kernel.panel.records import Kept, ResultItem, RunItem
    from nadg_kernel.panel.state import PanelState

CELL_CHARS = 200
CHOICE_CHARS = 60
NOTHING = "<span class='nadg-dim'>It gave no result and printed nothing.</span>"


def status_html(state: PanelState, planner: str, store: str) -> str:
    """The strip on top: workers, planner, where the history is."""
    ready = sum(worker.health is WorkerHealth.READY for worker in state.workers)
    tone = "" if ready and ready == len(state.workers) else " nadg-warn" if ready else " nadg-bad"
    words = "workers ready" if state.workers else "workers"
    return (
        f"<div class='nadg-facts'><span><span class='nadg-dot{tone}'></span><b>{ready} of {len(state.workers)}</b> "
        f"{words}</span><span>planner <b>{_safe(planner)}</b></span><span>history <b>{_safe(store)}</b></span></div>"
    )


def message_html(text: str) -> str:
    """What went wrong, where the person is; empty without a message."""
    return f"<div class='nadg-problem'>{escape(clean_text(text, 4_000))}</div>" if text else ""


def dim_html(text: str) -> str:
    """A remark; empty without one."""
    return f"<span class='nadg-dim'>{_safe(text)}</span>" if text else ""


def lost_html(item: RunItem) -> str:
    """A run that nobody drives."""
    return f"{_chip('interrupted', 'warn')} {_safe(item.text)}"


def progress_html(drafting: str | None) -> str:
    """What the planner says while it works."""
    return f"<span class='nadg-dim' role='status'>{_safe(drafting)}</span>" if drafting else ""


def data_text(name: str, size: str, columns: Sequence[str]) -> str:
    """One line of the data list (plain text, for a checkbox)."""
    shown = f": {', '.join(columns)}" if columns else ""
    return f"{name} \N{MIDDLE DOT} {size}{shown}"


def short_text(text: str) -> str:
    """A command or title on one short line (plain text, for a button)."""
    words = " ".join(clean_text(text, 400).split())
    return words if len(words) <= CHOICE_CHARS else words[: CHOICE_CHARS - 1] + "\N{HORIZONTAL ELLIPSIS}"


def result_head_html(item: ResultItem, number: int) -> str:
    """The head line of one result."""
    return (
        f"<div class='nadg-rline'><span class='nadg-n'>{number}</span><b>{_safe(item.title)}</b>"
        f"{_chip(item.state, STATE_TONES.get(item.state, ''))}</div>"
    )


def kept_html(kept: Kept) -> str:
    """What came of keeping a file of a result, beside the button for it."""
    tone = "nadg-badtext" if kept.refused else "nadg-goodtext"
    return f"<span class='{tone}' role='status'>{escape(clean_text(kept.text, 1_000))}</span>" if kept.text else ""


HISTORY = {
    "created_at": "started",
    "state": "state",
    "command": "command",
    "subtasks": "subtasks",
    "succeeded": "succeeded",
    "failed": "failed",
    "attempts": "attempts",
    "seconds": "seconds",
    "run_id": "run",
}
"""The columns of `grid.runs()` that the page shows, with their heads."""


def history_html(rows: Sequence[Mapping[str, Any]], *, filtered: bool = False) -> str:
    """Past runs as a table; all columns are in `grid.runs()`."""
    if not rows:
        words = "No run is like that. Change the filters above." if filtered else "Nothing has run yet."
        return f"<p class='nadg-dim'>{words}</p>"
    heads = [name for name in HISTORY if name in rows[0]]
    body = ("".join(f"<td{_narrow(name)}>{_of(name, row)}</td>" for name in heads) for row in rows)
    return _table([HISTORY[name] for name in heads], body)


def _table(heads: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th scope='col'>{_safe(name)}</th>" for name in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    table = f"<table class='nadg-table'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class='nadg-scroll' tabindex='0' role='group' aria-label='table'>{table}</div>"


def _narrow(name: str) -> str:
    return "" if name == "command" else " class='nadg-one-line'"


def _of(name: str, row: Mapping[str, Any]) -> str:
    mark = " " + _chip("rehearsal") if name == "state" and row.get("rehearsal") is True else ""
    return _cell(name, row.get(name)) + mark


def _cell(name: str, value: Any) -> str:
    if name == "state":
        return _chip(str(value), STATE_TONES.get(str(value), ""))
    import pandas as pd

    if value is None or value is pd.NA or value != value:  # noqa: PLR0124 - NaN and NaT are not themselves
        return ""
    if isinstance(value, float):
        return f"{value:,.2f}"
    if hasattr(value, "strftime"):
        return f"{value:%d %b %Y %H:%M:%S}"
    return _safe(str(value))


def _chip(text: str, tone: str = "") -> str:
    return f"<span class='nadg-chip{' nadg-' + tone if tone else ''}'>{_safe(text)}</span>"


def _safe(text: str) -> str:
    return escape(clean_text(text, CELL_CHARS))
