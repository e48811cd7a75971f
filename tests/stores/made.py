"""Made-up plans, owners and events for the store's tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from nadg_kernel.model import Event, EventType, Plan
from nadg_kernel.stores.base import Owner

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
ME = Owner(name="me", host="here", pid=100, started=1.5, boot_id="b")
OTHER = Owner(name="another notebook", host="here", pid=200, started=2.5, boot_id="b")


def plan(command="Count the reviews", subtasks=("count",)):
    made = Plan(command=command, planner={"name": "recipes"})
    for name in subtasks:
        made = made.add(id=name, title=f"The {name}", code="result = 1", by="tester")
    return made.approve(by="tester")


class Journal:
    """Numbers events as a runner does."""

    def __init__(self, run_id, epoch=1, seq=0, start=START):
        self.run_id, self.epoch, self.seq, self.at = run_id, epoch, seq, start

    def event(self, kind, subtask=None, shard=None, attempt_id=None, **payload):
        self.seq += 1
        self.at += timedelta(seconds=1)
        return Event(
            run_id=self.run_id, epoch=self.epoch, seq=self.seq, at=self.at, type=EventType(kind),
            subtask=subtask, shard=shard, attempt_id=attempt_id, payload=payload,
        )  # fmt: skip

    def attempt(self, subtask="count", shard=0, attempt_id="a1", number=1, worker="w1", outcome="succeeded", **ended):
        """Intended, started and ended, one second apart; a failure when `error` is given."""
        where = (subtask, shard, attempt_id)
        return [
            self.event("attempt_intended", *where, worker=worker, number=number, key=ended.pop("key", None)),
            self.event("attempt_started", *where, worker=worker, boot_id="boot-1", layers={}),
            self.event("attempt_ended", *where, outcome=outcome, worker=worker, **{"seconds": 0.5, **ended}),
        ]


async def rows(store, frame, **filters):
    """The frame's rows as dicts."""
    return [row async for batch in store.query(frame, filters) for row in batch.to_pylist()]


async def events(store, run_id, after=0):
    return [event async for event in store.read(run_id, after)]
