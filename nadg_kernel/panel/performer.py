"""Carries out what the reducer asks of the grid, on a thread of its own; every answer is an action."""

from __future__ import annotations

import logging
import re
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nadg_kernel.data import attach
from nadg_kernel.errors import DataError, EditError, NadgError
from nadg_kernel.model import Plan
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.found import name_of_file, offer_of_file, saved_plans
from nadg_kernel.panel.records import Offer, ResultItem, Step, Suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nadg_kernel.data import Attached
    from nadg_kernel.grid import Grid
    from nadg_kernel.panel.actions import Action
    from nadg_kernel.panel.effects import Effect
    from nadg_kernel.planners.base import PlannerProgress
    from nadg_kernel.run import Run

log = logging.getLogger(__name__)

SHOWN_HISTORY = 50


class Answer(Protocol):
    """Takes an action from any thread."""

    def __call__(self, action: Action) -> None:
        """Hand it to the reducer."""


class Performer:
    """Calls the grid so that neither a click nor the loop ever waits for it.

    Keeps what cannot be in a frozen state: the notebook's values, files that were read, and the run's handle.
    """

    def __init__(self, grid: Grid, namespace: Mapping[str, Any], answer: Answer, watch: Callable[[Run], None]) -> None:
        """`watch` is told of each run that starts, on this thread."""
        self.grid, self.namespace = grid, namespace
        self.run: Run | None = None
        self.folder = grid.settings.home / "plans"
        self._answer, self._watch = answer, watch
        self._files: dict[str, Attached] = {}
        self._names: dict[Path, str] = {}
        self._plan_paths: dict[str, Path] = {}
        self._shown: dict[tuple[str, str, str], ResultItem] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nadg-panel")

    def perform(self, effect: Effect) -> None:
        """Do it soon, in the order of the calls."""
        self._thread.submit(self._guarded, effect)

    def close(self) -> None:
        """Finish what was asked and end the thread."""
        self._thread.shutdown(wait=False)

    def _guarded(self, effect: Effect) -> None:
        number = effect.number if isinstance(effect, e.StartDraft) else None
        try:
            answer = self._do(effect)
        except Exception as error:  # noqa: BLE001 - whatever it is, the person sees it in the panel
            answer = self._failure(error, _PLACES.get(type(effect)), number, starting=isinstance(effect, e.StartRun))
        if answer is not None:
            self._tell(answer)

    def _tell(self, action: Action) -> None:
        try:
            self._answer(action)
        except RuntimeError:  # the grid was closed meanwhile; the panel says so at the next click
            log.info("the grid was closed before %s could be shown", type(action).__name__)

    def _failure(
        self, error: BaseException, place: Step | None, number: int | None = None, *, starting: bool = False
    ) -> Action:
        if isinstance(error, NadgError):
            message = str(error)
        else:
            log.error("the panel could not do what was asked", exc_info=error)
            message = (
                f"Something went wrong in NADG itself ({type(error).__name__}: {error}). Nothing you typed is lost."
            )
        return a.Failed(message=message, place=place, number=number, starting=starting)

    def _do(self, effect: Effect) -> Action | None:  # noqa: C901, PLR0911 - one line per effect
        match effect:
            case e.StartDraft():
                self._draft(effect)
                return None
            case e.Suggest():
                found = self.grid.suggest(self._values(effect.data))
                return a.Suggested(
                    suggestions=tuple(
                        Suggestion(title=item.title, reason=item.why, values=item.subtask.to_json()) for item in found
                    )
                )
            case e.ReadFile():
                return self._file(effect)
            case e.ReadPlan():
                plan = Plan.load(effect.path)
                self._plan_paths[effect.path] = Path(effect.path)
                return a.Opened(plan=plan, path=effect.path)
            case e.FindPlans():
                return a.PlansFound(files=saved_plans(self.folder))
            case e.Check():
                return a.Checked(plan=self.grid.check(effect.plan, self._missing(effect.plan, effect.data)))
            case e.Save():
                return a.Saved(path=str(self._save(effect)))
            case e.StartRun():
                self._start(effect)
                return None
            case e.Steer():
                self._steer(effect)
                return None
            case e.ReadHistory():
                return a.HistoryRead(rows=self._history())
            case e.ReadResults():
                return a.ResultsRead(run_id=effect.run_id, items=self._results(effect))
        message = f"no way to {type(effect).__name__}"
        raise TypeError(message)

    def _draft(self, effect: e.StartDraft) -> None:
        def tell(progress: PlannerProgress) -> None:
            self._tell(a.Drafting(number=effect.number, text=progress.text))

        future = self.grid.draft(effect.command, self._values(effect.data), tell=tell)
        future.add_done_callback(partial(self._drafted, effect.number))

    def _drafted(self, number: int, future: Future[Plan]) -> None:
        if future.cancelled():
            self._tell(a.Failed(message="The draft was cancelled.", place=Step.COMMAND, number=number))
        elif (error := future.exception()) is not None:
            self._tell(self._failure(error, Step.COMMAND, number))
        else:
            self._tell(a.Drafted(number=number, plan=future.result()))

    def _values(self, offers: tuple[Offer, ...]) -> dict[str, Any]:
        out = {}
        for offer in offers:
            if offer.path:
                out[offer.name] = self._files[offer.name]
            elif offer.name in self.namespace:
                out[offer.name] = self.namespace[offer.name]
            else:
                message = f"the notebook has no {offer.name!r} any more: run its cell again, or take it off"
                raise DataError(message)
        return out

    def _missing(self, plan: Plan, offers: tuple[Offer, ...]) -> dict[str, Any]:
        """Values for what the plan names and does not carry, as a plan from disk does not."""
        there = plan.context.attached
        wanted = tuple(offer for offer in offers if offer.name in plan.data and offer.name not in there)
        return self._values(wanted)

    def _file(self, effect: e.ReadFile) -> Action:
        path = Path(effect.path).expanduser()
        name = self._names.get(path) or name_of_file(effect.path, effect.taken)
        self._files[name] = attach(name, path, self.grid.blobs)
        self._names[path] = name  # the same file again is the same data, read anew
        return a.FileFound(offer=offer_of_file(name, effect.path, self._files[name].schema))

    def _save(self, effect: e.Save) -> Path:
        path = self._plan_paths.get(effect.file)
        if path is None:
            words = "-".join(re.findall(r"[a-z0-9]+", effect.plan.command.lower())[:6])[:48] or "plan"
            path = self.folder / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{words}.json"
            self._plan_paths[effect.file] = path
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".tmp")
        effect.plan.save(fresh)
        fresh.replace(path)  # whole or not at all, also when the kernel is killed meanwhile
        return path

    def _start(self, effect: e.StartRun) -> None:
        self.run = self.grid.run(effect.plan, self._missing(effect.plan, effect.data), show=False)
        self._watch(self.run)

    def _steer(self, effect: e.Steer) -> None:
        if self.run is None:
            message = "there is no run yet"
            raise EditError(message)
        match effect.verb, effect.subtask:
            case "hold", subtask:
                self.run.hold(subtask)
            case "release", subtask:
                self.run.hold(subtask, on=False)
            case "cancel", subtask:
                self.run.cancel(subtask)
            case "skip", str(subtask):
                self.run.skip(subtask)
            case "rerun", str(subtask):
                self.run.rerun(subtask)
            case verb, _:
                message = f"a run cannot {verb!r}"
                raise EditError(message)

    def _history(self) -> tuple[Mapping[str, Any], ...]:
        frame = self.grid.runs(limit=SHOWN_HISTORY)
        return tuple({str(name): value for name, value in row.items()} for row in frame.to_dict("records"))

    def _results(self, effect: e.ReadResults) -> tuple[ResultItem, ...]:
        run = self.run
        if run is None or run.id != effect.run_id:
            return ()
        out = []
        for item in effect.wanted:
            place = (run.id, item.subtask, item.key)
            if place not in self._shown:
                bundles = tuple(run[item.subtask].bundles())
                self._shown[place] = ResultItem(
                    subtask=item.subtask, title=item.title, state=item.state, key=item.key, bundles=bundles
                )
            out.append(self._shown[place])
        self._shown = {key: value for key, value in self._shown.items() if value in out}
        return tuple(out)


_PLACES: dict[type[Effect], Step] = {
    e.StartDraft: Step.COMMAND,
    e.Suggest: Step.COMMAND,
    e.ReadFile: Step.COMMAND,
    e.ReadPlan: Step.COMMAND,
    e.FindPlans: Step.COMMAND,
    e.Check: Step.REVIEW,
    e.Save: Step.REVIEW,
    e.StartRun: Step.REVIEW,
    e.Steer: Step.RUN,
    e.ReadResults: Step.RESULTS,
    e.ReadHistory: Step.HISTORY,
}
