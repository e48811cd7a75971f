"""A run's memory: what was journalled, and what scheduler and inputs make of it, kept in step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nadg_kernel.model import EventType, Outcome, RunState, SubtaskState
from nadg_kernel.runner.intents import Cancel, Hold, Skip
from nadg_kernel.runner.journal import RUN, About
from nadg_kernel.runner.mailbox import now

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nadg_kernel.model import Event, Plan
    from nadg_kernel.runner.inputs import Inputs
    from nadg_kernel.runner.journal import Journal
    from nadg_kernel.scheduler import Change, Scheduler

RESTLESS = frozenset({RunState.RUNNING, RunState.PAUSED})
"""States of a run in which something is left to do."""


class Ledger:
    """Plan, journal, scheduler and inputs as one: what is recorded is applied, in the same order as a replay will.

    `live` says whether a `run_started` stands without its `run_ended`.
    """

    def __init__(
        self, plan: Plan, journal: Journal, scheduler: Scheduler, inputs: Inputs, about: dict[str, Any]
    ) -> None:
        """Bring them together. `about` is what `run_started` says besides plan and data."""
        self.plan, self.journal, self.scheduler, self.inputs = plan, journal, scheduler, inputs
        self.live = False
        self._about = about

    def start(self, *, resumed: bool) -> None:
        """The run is under way, for the first time or again."""
        self.live = True
        payload = {
            "plan": self.plan.digest,
            "command": self.plan.command,
            "planner": dict(self.plan.planner),
            **self._about,
            "resumed": resumed,
            "data": self.inputs.references,
        }
        self.journal.add(EventType.RUN_STARTED, payload=payload)

    def end(self, state: RunState, reason: object = "") -> Event | None:
        """The run is at rest. None if that was said already."""
        if not self.live:
            return None
        self.live = False
        return self.journal.add(EventType.RUN_ENDED, payload={"state": str(state), "reason": str(reason)})

    def add(self, kind: EventType, about: About = RUN, payload: dict[str, Any] | None = None) -> Event:
        """Journal what changes nothing for scheduler and inputs. A run at rest starts again by it."""
        if not self.live:
            self.start(resumed=True)
        return self.journal.add(kind, about, payload)

    def record(self, kind: EventType, about: About = RUN, payload: dict[str, Any] | None = None) -> None:
        """Journal an event and apply it."""
        self.apply(self.add(kind, about, payload))

    def apply(self, event: Event) -> None:
        """Let inputs and scheduler know; whether an end still counts is only known before the scheduler hears of it."""
        name, shard, payload = event.subtask or "", event.shard or 0, event.payload
        if event.type is EventType.ATTEMPT_ENDED:
            if payload["outcome"] == Outcome.SUCCEEDED and self.scheduler.current(event.attempt_id or ""):
                self.inputs.keep(name, shard, payload.get("result"))
        elif event.type is EventType.SHARD_CACHED:
            self.inputs.keep(name, shard, payload.get("result"))
        elif event.type is EventType.PLAN_REVISED:
            self.inputs.forget(payload.get("reset") or ())
        self.scheduler.apply(event, now())

    def tell_scheduler(self, kind: EventType, payload: dict[str, Any]) -> None:
        """Apply what is not for the journal."""
        self.scheduler.apply(self.journal.unwritten(kind, payload=payload), now())

    def report(self, changes: Sequence[Change]) -> None:
        """Journal new states of subtasks, so that history can be queried without replaying."""
        for change in changes:
            payload = {"state": str(change.state), "reason": change.reason}
            self.add(EventType.SUBTASK_STATE, About(change.subtask), payload)

    def replay(self, history: Iterable[Event]) -> dict[str, int]:
        """Be again where a journal ends, and go on if anything is left to do.

        Gives the last event id that is known of each attempt. Workers are those of now, not those of then.
        """
        heard: dict[str, int] = {}
        states: dict[str | None, Any] = {}
        for event in history:
            self.journal.seq = max(self.journal.seq, event.seq)
            if event.type is EventType.ATTEMPT_PROGRESS:
                heard[event.attempt_id or ""] = int(event.payload.get("event_id") or 0)
            elif event.type is EventType.SUBTASK_STATE:
                states[event.subtask] = event.payload["state"]
            if event.type is not EventType.WORKER_STATE:
                self.apply(event)
        news = [change for change in self.scheduler.changes() if states.get(change.subtask) != change.state]
        if self.scheduler.run_state in RESTLESS:
            self.start(resumed=True)
            self.report(news)
        return heard

    def heed(self, intent: Cancel | Hold | Skip) -> None:
        """Record what a person asked for, if it still makes sense."""
        name = intent.subtask
        if name is None:
            if self.scheduler.run_state not in RESTLESS:
                return
        elif name not in self.plan.ids or self.scheduler.state(name).final:
            return
        if isinstance(intent, Cancel):
            self.record(EventType.CANCEL_REQUESTED, About(name), {"by": intent.by})
        elif isinstance(intent, Hold):
            payload = {"on": intent.on, "by": intent.by, "reason": intent.reason}
            self.record(EventType.HOLD_SET, About(name), payload)
        else:
            payload = {"state": str(SubtaskState.SKIPPED), "reason": f"skipped by {intent.by}", "by": intent.by}
            self.record(EventType.SUBTASK_STATE, About(name), payload)
