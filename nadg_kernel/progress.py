"""What a run's events add up to, for everything that shows a run: one reducer for cell, panel and command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nadg_kernel.model import EventType, Outcome, Result, RunState, SubtaskState

if TYPE_CHECKING:
    from nadg_kernel.model import Event, Plan

KEPT_OUTPUT = 20_000
"""Characters of stdout and stderr kept for showing, from the end; the result holds them up to the limit."""


@dataclass(kw_only=True, slots=True)
class ShardProgress:
    """One shard as last heard of."""

    number: int
    state: SubtaskState = SubtaskState.WAITING
    worker: str = ""
    attempts: int = 0
    fraction: float | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    error: Mapping[str, Any] | None = None
    reason: str = ""
    result: Result | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    layers: tuple[str, ...] = ()


@dataclass(kw_only=True, slots=True)
class SubtaskProgress:
    """One subtask as last heard of."""

    id: str
    title: str
    state: SubtaskState = SubtaskState.WAITING
    reason: str = ""
    text: str = ""
    stdout: str = ""
    stderr: str = ""
    displays: list[Mapping[str, Any]] = field(default_factory=list)
    shards: dict[int, ShardProgress] = field(default_factory=dict)
    shard_count: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def worker(self) -> str:
        """The workers that it ran on, in order of first use."""
        return ", ".join(dict.fromkeys(item.worker for _, item in sorted(self.shards.items()) if item.worker))

    @property
    def attempts(self) -> int:
        """Attempts over all shards."""
        return sum(item.attempts for item in self.shards.values())

    @property
    def fraction(self) -> float | None:
        """How far it is, 0 to 1; None is unknown."""
        if self.state.good:
            return 1.0
        count = self.shard_count or len(self.shards)
        if not count:
            return None
        parts = [1.0 if item.state.final else item.fraction for item in self.shards.values()]
        known = [part for part in parts if part is not None]
        return sum(known) / count if known else None

    @property
    def seconds(self) -> float | None:
        """From its first start to its end; None before."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()

    @property
    def failed(self) -> ShardProgress | None:
        """The first shard that failed."""
        bad = (item for _, item in sorted(self.shards.items()) if item.state is SubtaskState.FAILED)
        return next(bad, None)

    @property
    def error(self) -> Mapping[str, Any] | None:
        """The error of the first shard that failed: type, message, line, traceback, hint; or its reason."""
        bad = self.failed
        if bad is None:
            return None
        if bad.error:
            return bad.error
        return {"type": str(bad.outcome or "failed"), "message": bad.reason or self.reason, "traceback": ""}

    def results(self) -> list[Result | None]:
        """Results in shard order; None where there is none."""
        return [self.shards[number].result for number in sorted(self.shards)]


class RunProgress:
    """The state of a run, kept by applying its events in order. `revision` rises with every change."""

    def __init__(self, plan: Plan) -> None:
        """Start from the plan: everything waits."""
        self.revision = 0
        self.state = RunState.RUNNING
        self.reason = ""
        self.held_because = ""
        self.rehearsal = False
        self.started_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.last_at: datetime | None = None
        self.store_notice = ""
        self.subtasks: dict[str, SubtaskProgress] = {}
        self.revise(plan)

    def revise(self, plan: Plan) -> None:
        """Follow a plan revision: known subtasks keep what they have."""
        old = self.subtasks
        self.plan = plan
        self.subtasks = {
            item.id: old.get(item.id) or SubtaskProgress(id=item.id, title=item.name) for item in plan.subtasks
        }

    def counts(self) -> dict[SubtaskState, int]:
        """How many subtasks are in each state that occurs."""
        out: dict[SubtaskState, int] = {}
        for item in self.subtasks.values():
            out[item.state] = out.get(item.state, 0) + 1
        return out

    @property
    def done(self) -> int:
        """Subtasks in a final state."""
        return sum(item.state.final for item in self.subtasks.values())

    @property
    def seconds(self) -> float | None:
        """From start to end, or to the last event while it runs."""
        until = self.ended_at or self.last_at
        return None if self.started_at is None or until is None else (until - self.started_at).total_seconds()

    def apply(self, event: Event) -> None:
        """Take one event in."""
        self.revision += 1
        self.last_at = event.at
        if event.type is EventType.RUN_STARTED:
            self.started_at = self.started_at or event.at
            self.state, self.ended_at, self.reason = RunState.RUNNING, None, ""
            self.rehearsal = bool(event.payload.get("rehearsal"))
        elif event.type is EventType.RUN_ENDED:
            self.state = RunState(event.payload["state"])
            reasons = (self.held_because if self.state is RunState.PAUSED else "", event.payload.get("reason"))
            self.reason = "; ".join(str(reason) for reason in reasons if reason)
            self.ended_at = event.at
        elif event.type is EventType.HOLD_SET and event.subtask is None:
            self.held_because = str(event.payload.get("reason") or "")
        elif event.type is EventType.STORE_DEGRADED:
            self.store_notice = f"{event.payload.get('store')}: {event.payload.get('reason')}"
        elif event.type is EventType.STORE_RECOVERED:
            self.store_notice = ""
        elif event.type is EventType.PLAN_REVISED:
            for name in event.payload.get("reset") or ():
                if name in self.subtasks:
                    self.subtasks[name] = SubtaskProgress(id=name, title=self.subtasks[name].title)
        elif event.subtask is not None and event.subtask in self.subtasks:
            self._subtask(self.subtasks[event.subtask], event)

    def _subtask(self, item: SubtaskProgress, event: Event) -> None:
        payload = event.payload
        if event.type is EventType.SHARDS_FIXED:
            item.shard_count = int(payload["count"])
            for number in range(item.shard_count):
                item.shards.setdefault(number, ShardProgress(number=number))
        elif event.type is EventType.SUBTASK_STATE:
            item.state = SubtaskState(payload["state"])
            item.reason = str(payload.get("reason") or "")
            if item.state.final:
                item.ended_at = event.at
        elif event.shard is not None:
            shard = item.shards.setdefault(event.shard, ShardProgress(number=event.shard))
            self._shard(item, shard, event)

    def _shard(self, item: SubtaskProgress, shard: ShardProgress, event: Event) -> None:
        payload = event.payload
        if event.type is EventType.ATTEMPT_INTENDED:
            shard.attempts += 1
            shard.worker = str(payload.get("worker") or "")
            shard.state, shard.fraction, shard.error, shard.outcome = SubtaskState.RUNNING, None, None, None
            shard.started_at, shard.ended_at = event.at, None
            item.started_at = item.started_at or event.at
            item.ended_at = None
        elif event.type is EventType.ATTEMPT_STARTED:
            shard.layers = tuple(payload.get("layers") or ())
        elif event.type is EventType.ATTEMPT_PROGRESS:
            if payload.get("fraction") is not None:
                shard.fraction = float(payload["fraction"])
            item.text = str(payload.get("text") or item.text)
            item.stdout = (item.stdout + str(payload.get("stdout") or ""))[-KEPT_OUTPUT:]
            item.stderr = (item.stderr + str(payload.get("stderr") or ""))[-KEPT_OUTPUT:]
            item.displays.extend(payload.get("displays") or ())
        elif event.type is EventType.ATTEMPT_ENDED:
            self._ended(shard, event)
        elif event.type is EventType.SHARD_CACHED:
            shard.state, shard.ended_at = SubtaskState.CACHED, event.at
            shard.result = Result.from_json(payload["result"])

    def _ended(self, shard: ShardProgress, event: Event) -> None:
        payload = event.payload
        shard.outcome = Outcome(payload["outcome"])
        shard.ended_at = event.at
        shard.error = payload.get("error")
        shard.reason = str(payload.get("reason") or "")
        shard.usage = payload.get("usage") or {}
        shard.layers = tuple(payload.get("layers") or shard.layers)
        if payload.get("result") is not None:
            shard.result = Result.from_json(payload["result"])
        shard.state = {
            Outcome.SUCCEEDED: SubtaskState.SUCCEEDED,
            Outcome.CANCELLED: SubtaskState.CANCELLED,
            # whether a lost or rejected shard is tried again is the scheduler's to say: until then it is ready
            Outcome.LOST: SubtaskState.READY,
            Outcome.REJECTED: SubtaskState.READY,
        }.get(shard.outcome, SubtaskState.FAILED)
