"""Frames: the history of a Grid as pandas frames and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nadg_kernel import history
from nadg_kernel.grid.base import GridBase

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd


class Frames(GridBase):
    """The part of the Grid that reads what was recorded."""

    def history(self, **filters: Any) -> pd.DataFrame:
        """One row per subtask and run, newest first. Filters: since, until, state, worker, run, text, limit."""
        return self._frame("history", filters)

    def attempts(self, **filters: Any) -> pd.DataFrame:
        """One row per attempt, newest first. Filters as for `history`, and outcome."""
        return self._frame("attempts", filters)

    def runs(self, **filters: Any) -> pd.DataFrame:
        """One row per run, newest first."""
        return self._frame("runs", filters)

    def edits(self, **filters: Any) -> pd.DataFrame:
        """One row per changed field of a plan: what people change in a split."""
        return self._frame("edits", filters)

    def health(self, **filters: Any) -> pd.DataFrame:
        """One row per state that a worker was seen in, by runs and heartbeats, newest first."""
        return self._frame("health", filters)

    def registered(self, **filters: Any) -> pd.DataFrame:
        """One row per registered worker as it was last written. `since` and `until` are about its last ping."""
        return self._frame("workers", filters)

    def export_history(self, path: str | Path, frame: str = "history", **filters: Any) -> Path:
        """Write a frame to a .parquet or .csv file, batch by batch.

        Frames are history, attempts, runs, edits, workers, shards, health and summary (per day, worker and outcome).

        In CSV, text that a spreadsheet would run as a formula is made plain. Raises StoreError for another ending.
        """
        self._tell_errors()
        return self.loop.run(history.export(self.store, frame, filters, path))

    def _frame(self, name: str, filters: Mapping[str, Any]) -> pd.DataFrame:
        self._tell_errors()
        seen = history.Seen()
        return history.wait_shown(self.loop.submit(history.collect(self.store, name, filters, seen)), seen, name)
