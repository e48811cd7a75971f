"""Carries out what the reducer asks of the grid, on threads of its own; every answer is an action."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import NadgError, WorkerError
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel import result_effects as r
from nadg_kernel.panel.doing_command import Commands
from nadg_kernel.panel.doing_lists import Lists
from nadg_kernel.panel.doing_plans import Plans
from nadg_kernel.panel.doing_results import Results
from nadg_kernel.panel.doing_runs import Runs
from nadg_kernel.panel.materials import Materials
from nadg_kernel.panel.records import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nadg_kernel.grid import Grid
    from nadg_kernel.panel.actions import Action
    from nadg_kernel.panel.effects import Effect
    from nadg_kernel.panel.records import Trial
    from nadg_kernel.run import Run

log = logging.getLogger(__name__)

SLOW_AT_ONCE = 4
"""Requests to planners, workers and the history that may wait at the same time."""
SLOW = (
    e.AskForChange, e.AskForRepair, e.WritePrompt, e.ReadAnswer, e.Estimate, e.ReadHistory, e.FindRuns, e.OpenRun,
    e.Enlist, e.Dismissed, e.AskWorkers, e.FindPlanners, e.FindCommands, r.KeepFile, r.AskForNext, r.WriteNextPrompt,
)  # fmt: skip
"""What may take seconds, and must not keep an edit from being saved."""


class Performer:
    """Calls the grid so that neither a click nor the loop ever waits for it.

    `runs` keeps the handles that cannot be in a frozen state.
    """

    def __init__(
        self,
        grid: Grid,
        namespace: Mapping[str, Any],
        answer: Callable[[Action], None],
        watch: Callable[[Run], None],
        watch_trial: Callable[[Run, Trial], None],
    ) -> None:
        """`watch` and `watch_trial` are told of each run that is looked at, on one of these threads."""
        self._answer = answer
        materials = Materials(grid, namespace)
        self.runs = Runs(grid, materials, self._tell, watch, watch_trial)
        self._plans = Plans(grid, materials, self._tell, self._failure, self.runs.known)
        self._handlers = {
            **self._plans.handlers(),
            **self.runs.handlers(),
            **Lists(grid).handlers(),
            **Commands(grid, materials).handlers(),
            **Results(grid, self.runs.known).handlers(),
        }
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nadg-panel")
        self._slow = ThreadPoolExecutor(max_workers=SLOW_AT_ONCE, thread_name_prefix="nadg-panel-slow")

    def perform(self, effect: Effect) -> None:
        """Do it soon: what is quick in the order of the calls, what may take long beside it."""
        if isinstance(effect, e.Estimate):
            self._plans.newest = effect.plan
        pool = self._slow if isinstance(effect, SLOW) else self._thread
        try:
            pool.submit(self._guarded, effect)
        except RuntimeError:  # the kernel ends, or the panel was closed: nobody is there to be told
            log.info("%s came after the end", type(effect).__name__)

    def close(self) -> None:
        """Finish what was asked and end the threads."""
        self._thread.shutdown(wait=False)
        self._slow.shutdown(wait=False)

    def _guarded(self, effect: Effect) -> None:
        try:
            answer = self._handlers[type(effect)](effect)
        except Exception as error:  # noqa: BLE001 - whatever it is, the person sees it in the panel
            answer = self._refused(effect, error)
        if answer is not None:
            self._tell(answer)

    def _refused(self, effect: Effect, error: Exception) -> Action:
        if isinstance(effect, (e.Enlist, e.Dismissed, e.AskWorkers)) and isinstance(error, (NadgError, WorkerError)):
            return a.FleetAnswered(text=str(error), refused=True)
        number = effect.number if isinstance(effect, (e.StartDraft, e.ReadAnswer, e.BeginPlan)) else None
        failed = self._failure(error, _PLACES.get(type(effect)), number)
        asking = isinstance(effect, (e.AskForChange, e.AskForRepair, r.AskForNext))
        return a.Failed(
            message=failed.message,
            place=failed.place,
            number=number,
            starting=isinstance(effect, e.StartRun),
            asking=asking,
        )

    def _tell(self, action: Action) -> None:
        try:
            self._answer(action)
        except RuntimeError:  # the grid was closed meanwhile; the panel says so at the next click
            log.info("the grid was closed before %s could be shown", type(action).__name__)

    def _failure(self, error: BaseException, place: Step | None, number: int | None = None) -> a.Failed:
        if isinstance(error, NadgError):
            message = str(error)
        else:
            log.error("the panel could not do what was asked", exc_info=error)
            message = (
                f"Something went wrong in NADG itself ({type(error).__name__}: {error}). Nothing you typed is lost."
            )
        return a.Failed(message=message, place=place, number=number)


_PLACES: dict[type[Effect], Step] = {
    e.StartDraft: Step.COMMAND,
    e.ReadAnswer: Step.COMMAND,
    e.FindPlanners: Step.COMMAND,
    e.FindCommands: Step.COMMAND,
    e.BeginPlan: Step.COMMAND,
    e.Suggest: Step.COMMAND,
    e.ReadFile: Step.COMMAND,
    e.FindPlans: Step.COMMAND,
    e.Check: Step.REVIEW,
    e.Save: Step.REVIEW,
    e.SavePlanAs: Step.REVIEW,
    e.Estimate: Step.REVIEW,
    e.Rehearse: Step.REVIEW,
    e.ReadTrial: Step.REVIEW,
    e.AskForChange: Step.REVIEW,
    e.StartRun: Step.REVIEW,
    e.AskForRepair: Step.RUN,
    e.ReviseRun: Step.RUN,
    e.Steer: Step.RUN,
    e.ReadResults: Step.RESULTS,
    r.KeepFile: Step.RESULTS,
    r.AskForNext: Step.RESULTS,
    r.WriteNextPrompt: Step.RESULTS,
    e.ReadHistory: Step.HISTORY,
    e.Enlist: Step.WORKERS,
    e.Dismissed: Step.WORKERS,
    e.AskWorkers: Step.WORKERS,
}
