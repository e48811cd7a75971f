"""What the panel asks of the grid for its side pages: workers added, removed and asked, the history and its figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nadg_kernel.grid import Grid
    from nadg_kernel.panel.actions import Action

SHOWN_HISTORY = 50
DRAWN_ATTEMPTS = 20_000
"""The newest attempts, over which figures are drawn."""
PERIODS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}


class Lists:
    """One method per effect; all are called on the performer's threads."""

    def __init__(self, grid: Grid) -> None:
        """Nothing is read yet."""
        self._grid = grid

    def handlers(self) -> dict[type[e.Effect], Callable[[Any], Action | None]]:
        """Effect -> what carries it out."""
        return {
            e.ReadHistory: self.history,
            e.Enlist: self.enlist,
            e.Dismissed: self.dismiss,
            e.AskWorkers: self.ping,
        }

    def enlist(self, effect: e.Enlist) -> Action:
        """Register a worker."""
        name = self._grid.add_worker(effect.url)
        text = f"{name} is registered. It is asked now; its token (nadg workers token {name}) must be set on it."
        return a.FleetAnswered(text=text)

    def dismiss(self, effect: e.Dismissed) -> Action:
        """Forget a worker."""
        self._grid.remove_worker(effect.worker)
        return a.FleetAnswered(text=f"{effect.worker} is forgotten; its history stays.")

    def ping(self, _effect: e.AskWorkers) -> Action:
        """Ask every registered worker."""
        beats = self._grid.ping().to_dict("records")
        if not beats:
            return a.FleetAnswered(text="No remote worker is registered: local workers are watched all the time.")
        words = [
            f"{row['worker_id']}: {row['status']}"
            + ("" if row["seconds"] != row["seconds"] else f" in {row['seconds']:.2f} s")
            + (f" ({row['reason']})" if row["reason"] else "")
            for row in beats
        ]
        return a.FleetAnswered(text="; ".join(words))

    def history(self, effect: e.ReadHistory) -> Action:
        """Past runs, and figures over their attempts."""
        filters = _filters(effect.filters)
        frame = self._grid.runs(limit=SHOWN_HISTORY, **_only(filters, {"since", "state", "text"}))
        rows = tuple({str(name): value for name, value in row.items()} for row in frame.to_dict("records"))
        if not rows:
            return a.HistoryRead(rows=rows)
        attempts = self._grid.attempts(limit=DRAWN_ATTEMPTS, **_only(filters, {"since", "worker", "text"}))
        done = self._grid.history(limit=DRAWN_ATTEMPTS, **_only(filters, {"since", "worker", "text"}))
        if attempts.empty:
            return a.HistoryRead(rows=rows)
        from nadg_kernel import charts

        figures = (
            ("Newest run, over time", charts.timeline(_of_newest(attempts))),
            ("Failures", charts.failures(attempts)),
            ("Slowest subtasks", charts.slowest(done)),
            ("Success by worker", charts.worker_success(attempts)),
        )
        return a.HistoryRead(rows=rows, figures=tuple((title, _bundle(figure)) for title, figure in figures))


def _filters(chosen: Mapping[str, str]) -> dict[str, Any]:
    out: dict[str, Any] = dict(chosen)
    if period := PERIODS.get(out.pop("since", "")):
        out["since"] = datetime.now(UTC) - period
    return out


def _only(filters: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in filters.items() if name in names}


def _of_newest(attempts: Any) -> Any:
    return attempts[attempts["run_id"] == attempts["run_id"].iloc[0]] if len(attempts) else attempts


def _bundle(figure: Any) -> dict[str, Any]:
    """What the notebook's own renderer draws; as plain JSON values, which a widget can carry."""
    import json

    return {"application/vnd.plotly.v1+json": json.loads(figure.to_json())}
