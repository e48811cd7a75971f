"""`nadg history`: what ran before, as a table for people or JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nadg_kernel.cli.console import error_line, make_console
from nadg_kernel.cli.report import frame_records
from nadg_kernel.cli.tables import print_table
from nadg_kernel.errors import SettingsError
from nadg_kernel.model import SubtaskState

if TYPE_CHECKING:
    import pandas as pd

SHOWN = ("run_id", "subtask", "title", "state", "worker", "seconds", "error")


def history(*, limit: int, state: str, worker: str, text: str, as_json: bool) -> int:
    """Print the rows; gives 0 also when there are none. Raises SettingsError, StoreError."""
    states = [str(item) for item in SubtaskState]
    if state and state not in states:
        message = f"--state is one of {', '.join(states)}, not {state!r}"
        raise SettingsError(message)
    from nadg_kernel.grid import Grid

    filters = {"state": state, "worker": worker, "text": text}
    with Grid(local_workers=0) as grid:
        frame = grid.history(limit=limit, **{name: value for name, value in filters.items() if value})
    if as_json:
        print(json.dumps(frame_records(frame), indent=2))  # noqa: T201
    elif frame.empty:
        error_line("no subtask in the history" + (" that fits" if any(filters.values()) else " yet"))
    else:
        _show(frame)
    return 0


def _show(frame: pd.DataFrame) -> None:
    columns = [name for name in SHOWN if name in frame.columns]
    rows = frame[columns].assign(seconds=frame["seconds"].round(2))
    print_table(make_console(), columns, frame_records(rows), numbers=("seconds",))
