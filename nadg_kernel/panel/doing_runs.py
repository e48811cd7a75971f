"""What the panel asks of the grid about runs: start, steer, rehearse, take up again, read results."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nadg_kernel.display import clean_text
from nadg_kernel.errors import EditError
from nadg_kernel.model import RunState
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.live import snapshot
from nadg_kernel.panel.records import ResultItem, RunItem, Trial
from nadg_kernel.rehearsal import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from nadg_kernel.grid import Grid
    from nadg_kernel.panel.actions import Action
    from nadg_kernel.panel.materials import Materials
    from nadg_kernel.run import Run

SHOWN_RUNS = 20
SHOWN_PREVIEW = 4_000
"""Characters of a rehearsed subtask's result."""


class Runs:
    """One method per effect. `shown` is the run that is looked at, `trial` the rehearsal."""

    def __init__(
        self,
        grid: Grid,
        materials: Materials,
        tell: Callable[[Action], None],
        watch: Callable[[Run], None],
        watch_trial: Callable[[Run, Trial], None],
    ) -> None:
        """Nothing runs yet."""
        self._grid, self._materials, self._tell = grid, materials, tell
        self._watch, self._watch_trial = watch, watch_trial
        self.shown: Run | None = None
        self.trial: Run | None = None
        self._results: dict[tuple[str, str, str], ResultItem] = {}

    def handlers(self) -> dict[type[e.Effect], Callable[[Any], Action | None]]:
        """Effect -> what carries it out."""
        return {
            e.StartRun: self.start,
            e.Steer: self.steer,
            e.ReviseRun: self.revise,
            e.FindRuns: self.find,
            e.OpenRun: self.open,
            e.ReadResults: self.read_results,
            e.Rehearse: self.rehearse,
            e.StopTrial: self.stop_trial,
            e.ReadTrial: self.read_trial,
        }

    def known(self, run_id: str) -> Run:
        """The handle of a run that this grid drives. Raises EditError."""
        if self.shown is not None and self.shown.id == run_id:
            return self.shown
        if (run := self._grid.runs_here.get(run_id)) is None:
            message = f"this notebook does not drive the run {run_id}"
            raise EditError(message)
        return run

    def start(self, effect: e.StartRun) -> None:
        """A run of an approved plan."""
        self._look_at(self._grid.run(effect.plan, self._materials.missing(effect.plan, effect.data), show=False))

    def open(self, effect: e.OpenRun) -> None:
        """A run of this grid, or one that nobody drives: then it is taken up again."""
        here = self._grid.runs_here.get(effect.run_id)
        self._look_at(here or self._grid.resume(effect.run_id, show=False))

    def _look_at(self, run: Run) -> None:
        self.shown = run
        self._watch(run)
        self._tell(self.find())

    def steer(self, effect: e.Steer) -> None:
        """Hold, release, cancel, skip or rerun."""
        run = self.shown
        if run is None:
            message = "there is no run yet"
            raise EditError(message)
        match effect.verb, effect.subtask:
            case "hold", subtask:
                run.hold(subtask)
            case "release", subtask:
                run.hold(subtask, on=False)
            case "cancel", subtask:
                run.cancel(subtask)
            case "skip", str(subtask):
                run.skip(subtask)
            case "rerun", str(subtask):
                run.rerun(subtask)
            case verb, _:
                message = f"a run cannot {verb!r}"
                raise EditError(message)

    def revise(self, effect: e.ReviseRun) -> None:
        """Go on with another approved plan."""
        self.known(effect.run_id).revise(effect.plan)

    def find(self, _effect: e.FindRuns | None = None) -> Action:
        """The runs of this grid, and those of the store that nobody drives."""
        here = [run for run in reversed(self._grid.runs_here.values()) if not run.progress.rehearsal]
        items = [run_item(run) for run in here[:SHOWN_RUNS]]
        lost = self._grid.unfinished()[:SHOWN_RUNS]
        if lost:
            frame = self._grid.runs(limit=500)
            found = {row["run_id"]: row for row in frame[frame["run_id"].isin(lost)].to_dict("records")}
            for name in lost:
                row = found.get(name, {})
                if row.get("rehearsal"):
                    continue
                done, total = row.get("succeeded"), row.get("subtasks")
                words = f"{done:g} of {total:g} done" if _number(done) and _number(total) else "interrupted"
                text = f"{words} \N{MIDDLE DOT} {_short(str(row.get('command') or name))}"
                items.append(RunItem(run_id=name, text=text, state=str(RunState.INTERRUPTED), here=False))
        return a.RunsFound(items=tuple(items))

    def read_results(self, effect: e.ReadResults) -> Action:
        """Results as safe bundles; those that are known already are not made again."""
        run = self.shown
        out: list[ResultItem] = []
        if run is not None and run.id == effect.run_id:
            for item in effect.wanted:
                place = (run.id, item.subtask, item.key)
                if place not in self._results:
                    gave = run[item.subtask]
                    files = tuple((clean_text(file.path, 200), file.size) for file in gave.artifacts)
                    self._results[place] = replace(item, bundles=tuple(gave.bundles()), files=files)
                out.append(self._results[place])
            self._results = {key: value for key, value in self._results.items() if value in out}
        return a.ResultsRead(run_id=effect.run_id, items=tuple(out))

    def rehearse(self, effect: e.Rehearse) -> None:
        """Try the plan, or one subtask of it, on the first rows."""
        data = self._materials.missing(effect.plan, effect.data)
        run = self._grid.rehearse(effect.plan, data, rows=ROWS, subtask=effect.subtask, show=False)
        self.trial = run
        full = [rows for schema in effect.plan.data.values() if (rows := schema.rows) is not None]
        trial = Trial(
            plan=effect.plan,
            subtask=effect.subtask,
            rows=ROWS,
            full_rows=max(full, default=None),
            snapshot=snapshot(run.id, run.progress, effect.subtask),
        )
        self._watch_trial(run, trial)

    def stop_trial(self, _effect: e.StopTrial) -> None:
        """Cancel the rehearsal."""
        if self.trial is not None:
            self.trial.cancel()

    def read_trial(self, effect: e.ReadTrial) -> Action:
        """What the rehearsed subtasks gave, as plain text."""
        previews: dict[str, str] = {}
        run = self.trial
        if run is not None and run.id == effect.run_id:
            for name in run.plan.ids:
                if run[name].state.good:
                    # what it printed is shown beside it already
                    own = [
                        item for item in run[name].bundles() if "<details><summary>" not in item.get("text/html", "")
                    ]
                    shown = [str(bundle["text/plain"]) for bundle in own if bundle.get("text/plain")]
                    previews[name] = clean_text("\n".join(shown)[:SHOWN_PREVIEW], SHOWN_PREVIEW)
        return a.TrialRead(run_id=effect.run_id, previews=previews)


def run_item(run: Run) -> RunItem:
    """A run of this grid in a few words."""
    progress = run.progress
    text = f"{progress.done} of {len(progress.subtasks)} done \N{MIDDLE DOT} {_short(run.plan.command)}"
    return RunItem(run_id=run.id, text=text, state=str(progress.state))


def _short(command: str) -> str:
    return clean_text(command, 70).replace("\n", " ")


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and value == value  # noqa: PLR0124 - NaN is not itself
