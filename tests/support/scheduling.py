"""Drives a scheduler by hand: events are made, a clock is turned, what it decides is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

from nadg_kernel.model import Event, EventType, Map, Permissions, Plan, Shard, Subtask
from nadg_kernel.scheduler import Cancel, Scheduler, Start

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def subtask(name, *needs, **values):
    """A subtask whose inputs are its dependencies; `network=True` and `over="x"` for short."""
    values.setdefault("inputs", needs)
    if values.pop("network", False):
        values["permissions"] = Permissions(network=True)
    if over := values.pop("over", None):
        values["map"] = Map(over=over, shards=2)
    return Subtask(id=name, code="result = 1", depends_on=needs, **values)


def plan_of(*subtasks, data=None):
    return Plan(command="test", subtasks=tuple(subtasks), data=data or {})


def event(kind, subtask=None, shard=None, attempt_id=None, **payload):
    return Event(
        run_id="run", epoch=1, seq=0, at=EPOCH, type=kind, subtask=subtask, shard=shard, attempt_id=attempt_id,
        payload=payload,
    )  # fmt: skip


def result_of(size):
    return {"value": {"format": "json", "size": size}}


class Driver:
    """A scheduler under test, its clock, and the attempts that it started."""

    def __init__(self, *subtasks, workers=("w1",), capacity=1, plan=None, **options):
        options.setdefault("seed", 1)
        self.scheduler = Scheduler(plan or plan_of(*subtasks), **options)
        self.now = 0.0
        self.wake_at = None
        self.running = {}
        self.cancels = []
        self.journal = []
        self.states = {}
        self.reasons = {}
        self._ids = count(1)
        for name in workers:
            self.worker(name, capacity=capacity)

    def apply(self, kind, subtask=None, shard=None, attempt_id=None, **payload):
        happened = event(kind, subtask, shard, attempt_id, **payload)
        self.journal.append(happened)
        self.scheduler.apply(happened, self.now)

    def worker(self, name, *, state="ready", capacity=1, labels=(), boot_id="b1", reason="", latency_ms=None):
        self.apply(
            EventType.WORKER_STATE, worker=name, state=state, capacity=capacity, labels=list(labels), boot_id=boot_id,
            reason=reason, latency_ms=latency_ms,
        )  # fmt: skip

    def decide(self):
        """Decide, answer each start, and give the starts as `subtask.shard@worker`."""
        decisions, self.wake_at = self.scheduler.decide(self.now)
        starts = []
        for item in decisions:
            if isinstance(item, Cancel):
                self.cancels.append(item)
                continue
            assert isinstance(item, Start)
            attempt_id = f"a{next(self._ids)}"
            self.running[attempt_id] = item
            self.apply(
                EventType.ATTEMPT_INTENDED, item.shard.subtask, item.shard.number, attempt_id,
                worker=item.worker, number=item.number,
            )  # fmt: skip
            starts.append(f"{item.shard.subtask}.{item.shard.number}@{item.worker}")
        for change in self.scheduler.changes():
            self.states[change.subtask] = str(change.state)
            self.reasons[change.subtask] = change.reason
        return starts

    def attempt(self, name, number=0):
        """The id of the attempt that runs for a shard."""
        wanted = Shard(name, number)
        return next(key for key, item in self.running.items() if item.shard == wanted)

    def end(self, name, number=0, outcome="succeeded", *, seconds=1.0, size=10, attempt_id=None, **payload):
        """End the attempt of a shard, then decide again; gives the new starts."""
        key = attempt_id or self.attempt(name, number)
        item = self.running.pop(key)
        if outcome == "succeeded":
            payload.setdefault("result", result_of(size))
        self.apply(
            EventType.ATTEMPT_ENDED, item.shard.subtask, item.shard.number, key,
            outcome=outcome, worker=item.worker, seconds=seconds, **payload,
        )  # fmt: skip
        return self.decide()

    def until(self, moment):
        """Turn the clock to a moment, stopping wherever the scheduler asked to be woken; gives all starts."""
        starts = []
        while self.wake_at is not None and self.wake_at <= moment:
            self.now = max(self.now, self.wake_at)
            starts += self.decide()
        self.now = moment
        return starts + self.decide()
