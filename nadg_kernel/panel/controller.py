"""Owns the panel's state: takes actions from any thread, reduces them one by one on the grid's loop, pushes views."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from nadg_kernel.errors import NadgError
from nadg_kernel.model import RunState
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.approval import USABLE
from nadg_kernel.panel.doing_runs import run_item
from nadg_kernel.panel.found import frames_in
from nadg_kernel.panel.intents import parse
from nadg_kernel.panel.live import snapshot
from nadg_kernel.panel.performer import Performer
from nadg_kernel.panel.records import Step
from nadg_kernel.panel.reducer import reduce
from nadg_kernel.panel.state import PanelState, selected_subtask
from nadg_kernel.rehearsal import estimate_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nadg_kernel.grid import Grid
    from nadg_kernel.panel.actions import Action
    from nadg_kernel.panel.records import RunItem, Trial
    from nadg_kernel.run import Run

log = logging.getLogger(__name__)

PUSH_S = 0.125
"""The first change is shown at once, what follows within this time together: eight repaints a second."""
ANSWER_S = 0.25
"""What nobody waits for rests longer after an answer: whoever goes on finds room, and the next answer brings it."""
PUSHES = 10
"""At most so many repaints a second: what is left beside the eight is for answers to the person, at once."""
PUSHED_ROWS = 500
"""A run of more subtasks is repainted more rarely, in proportion."""


class Screen(Protocol):
    """What shows a state. All calls come from the loop's thread."""

    def show(self, state: PanelState, answers: list[dict[str, Any]]) -> None:
        """Draw the state, then send the answers that belong to it."""

    def reply(self, message: dict[str, Any]) -> None:
        """Send one message to the views."""

    def resend(self) -> None:
        """Send the whole state again: a view has missed something."""


class Controller:
    """The one place where the panel's state changes. `send` and `receive` only enqueue, so any thread may call them."""

    def __init__(self, grid: Grid, namespace: Mapping[str, Any], screen: Screen) -> None:
        """Nothing happens before `start`."""
        self.state = PanelState(revises=hasattr(getattr(grid, "planner", None), "revise"))
        self.grid, self.namespace = grid, namespace
        self._screen = screen
        self._performer = Performer(grid, namespace, self.send, self._watch, self._watch_trial)
        self._answers: list[dict[str, Any]] = []
        self._stale = self._run_stale = self._trial_stale = False
        self._resting = 0
        self._waiting = False
        self._pushed: deque[float] = deque(maxlen=PUSHES)
        self._unsubscribe = [grid.on_workers(lambda workers: self._apply(a.WorkersChanged(workers=tuple(workers))))]
        self._leave_run = self._leave_trial = _nothing

    def start(self) -> None:
        """Show the first state; look for workers, frames and saved plans."""
        self.grid.loop.call(self._look_at_workers)
        self.send(a.Offered(offers=frames_in(self.namespace)))
        self._performer.perform(e.FindPlans())
        self._performer.perform(e.FindRuns())
        self._performer.perform(e.FindPlanners())
        self._performer.perform(e.FindCommands())

    def close(self) -> None:
        """Let go of the grid; a run under way goes on."""
        for stop in (*self._unsubscribe, self._leave_run, self._leave_trial):
            stop()
        self._unsubscribe = []
        self._leave_run = self._leave_trial = _nothing
        self._performer.close()

    def send(self, action: Action) -> None:
        """Take an action, from any thread. Raises RuntimeError when the grid's loop is closed."""
        self.grid.loop.call(self._apply, action)

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take a message of a view, from any thread. Raises RuntimeError when the grid's loop is closed."""
        self.grid.loop.call(self._intent, message)

    def _intent(self, message: Mapping[str, Any]) -> None:
        if message.get("op") == "tick":
            self._tick(message)
            return
        answer = {"op": "ack", "ref": message.get("ref"), "ok": True, "rev": self.state.revision}
        try:
            self._step(parse(message))
        except NadgError as error:
            self._screen.reply({**answer, "ok": False, "error": str(error)})
        except Exception as error:
            log.exception("the panel could not take %r", message.get("op"))
            self._screen.reply({**answer, "ok": False, "error": _ours(error)})
        else:
            self._answers.append({**answer, "rev": self.state.revision})
            self._changed(now=True)

    def _apply(self, action: Action) -> None:
        """An action that no view waits for: what goes wrong is told on the page."""
        try:
            self._step(action)
        except NadgError as error:
            self._step(a.Failed(message=str(error)))
        except Exception as error:
            log.exception("the panel could not take %s", type(action).__name__)
            self._step(a.Failed(message=_ours(error)))

    def _step(self, action: Action) -> None:
        before = self.state
        self.state, effects = reduce(self.state, action)
        for effect in effects:
            self._performer.perform(effect)
        if self.state is not before:
            self._changed()

    def _tick(self, message: Mapping[str, Any]) -> None:
        """A view's sign of life, once a second: answer it, and use it to notice what nobody announces."""
        if self.state.step is Step.COMMAND:
            self._apply(a.Offered(offers=frames_in(self.namespace)))
        run, shown = self._performer.runs.shown, self.state.run
        if run is not None and shown is not None and run.state is not shown.state:
            self._run_changed()
        if self.state.step is Step.RUN:
            self._apply(a.RunsFound(items=self._runs_now()))
        if message.get("rev") != self.state.revision and not self._stale:
            self._screen.resend()
        self._screen.reply({"op": "tock", "rev": self.state.revision})

    def _runs_now(self) -> tuple[RunItem, ...]:
        """The listed runs as they are now; new ones are found with the next look into the store."""
        here = self.grid.runs_here
        return tuple(run_item(here[item.run_id]) if item.run_id in here else item for item in self.state.runs)

    def _look_at_workers(self) -> None:
        """As they are at this moment: read elsewhere, they would overwrite a change that comes in between."""
        self._apply(a.WorkersChanged(workers=tuple(self.grid.worker_states())))

    def _watch(self, run: Run) -> None:
        self.grid.loop.call(self._started, run)  # its progress changes there, and is only read there

    def _started(self, run: Run) -> None:
        self._leave_run()
        self._leave_run = run.subscribe(lambda _event: self._run_changed())
        shown = snapshot(run.id, run.progress, next(iter(run.plan.ids), None))
        self._apply(a.Started(snapshot=shown, plan=run.plan))

    def _watch_trial(self, run: Run, trial: Trial) -> None:
        self.grid.loop.call(self._trial_started, run, trial)

    def _trial_started(self, run: Run, trial: Trial) -> None:
        self._leave_trial()
        self._leave_trial = run.subscribe(lambda _event: self._trial_changed())
        self._apply(a.TrialChanged(trial=trial))
        self._trial_changed()

    def _trial_changed(self) -> None:
        self._trial_stale = True
        self._changed()

    def _run_changed(self) -> None:
        self._run_stale = True
        self._changed()

    def _changed(self, *, now: bool = False) -> None:
        self._stale = True
        wait = 1 - (time.monotonic() - self._pushed[0]) if len(self._pushed) == PUSHES else 0
        if not self._resting or (now and wait <= 0):
            self._push()
        elif now and not self._waiting:
            self._waiting = True
            self.grid.loop.later(wait, self._waited)

    def _waited(self) -> None:
        """There is room again for the answers that wait, if they have not gone meanwhile."""
        self._waiting = False
        if self._answers:
            self._changed(now=True)

    def _push(self) -> None:
        self._resting += 1
        self._pushed.append(time.monotonic())
        rows = 0 if self.state.run is None else len(self.state.run.subtasks)
        rest = PUSH_S * max(1.0, rows / PUSHED_ROWS)
        self.grid.loop.later(max(rest, ANSWER_S) if self._answers else rest, self._rested)
        self._look_at_run()
        self._look_at_trial()
        self._stale = False
        answers, self._answers = self._answers, []
        self._screen.show(self.state, answers)

    def _look_at_run(self) -> None:
        """Take the run in as it is now, if it or the subtask that is looked at has changed."""
        run, chosen = self._performer.runs.shown, selected_subtask(self.state)
        if run is None or self.state.run is None or chosen is None:
            return
        elsewhere = self.state.step is Step.RUN and self.state.run.output.get("id") != chosen.id
        if self._run_stale or elsewhere:
            self._run_stale = False
            self._apply(a.RunEvent(snapshot=snapshot(run.id, run.progress, chosen.id)))

    def _look_at_trial(self) -> None:
        """The same for the rehearsal, and what it tells of the whole."""
        run, trial, chosen = self._performer.runs.trial, self.state.trial, selected_subtask(self.state)
        if run is None or trial is None or chosen is None:
            return
        elsewhere = self.state.step is Step.REVIEW and trial.snapshot.output.get("id") != chosen.id in run.plan.ids
        if self._trial_stale or elsewhere:
            self._trial_stale = False
            now = snapshot(run.id, run.progress, chosen.id)
            slots = sum(worker.capacity for worker in self.state.workers if worker.health in USABLE)
            good = now.state is RunState.SUCCEEDED
            estimate = estimate_s(run.progress, trial.full_rows, trial.rows, slots) if good else None
            self._apply(a.TrialEvent(snapshot=now, estimate_s=estimate))

    def _rested(self) -> None:
        self._resting -= 1
        if self._stale and not self._resting:
            self._push()


def _nothing() -> None:
    """There is nothing to leave."""


def _ours(error: Exception) -> str:
    return f"Something went wrong in NADG itself ({type(error).__name__}: {error}). Nothing you typed is lost."
