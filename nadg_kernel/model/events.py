"""The journal's events: everything that a run adds up to, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventType(StrEnum):
    """What can happen in a run. The payload's keys stand beside each.

    A subtask's states are journalled as `subtask_state` so that history can be queried without replaying.
    """

    RUN_STARTED = "run_started"
    """plan (digest), command, planner, owner, rehearsal (bool), resumed (bool), data (name -> ValueRef)"""
    PLAN_REVISED = "plan_revised"
    """digest, by, changed (ids), reset (ids that go back to waiting)"""
    SHARDS_FIXED = "shards_fixed"
    """count"""
    ATTEMPT_INTENDED = "attempt_intended"
    """worker, number (1-based try of this shard)"""
    ATTEMPT_STARTED = "attempt_started"
    """worker, boot_id, layers"""
    ATTEMPT_PROGRESS = "attempt_progress"
    """fraction, text, stdout, stderr (new text since the last one), displays; coalesced"""
    ATTEMPT_ENDED = "attempt_ended"
    """outcome, worker, seconds, result (Result.to_json), error {type, message, line, traceback, hint}, usage,
    retry_after (seconds, rejected only), layers, reason (lost and rejected)"""
    SHARD_CACHED = "shard_cached"
    """key, run_id and attempt_id it came from, result"""
    SUBTASK_STATE = "subtask_state"
    """state, reason"""
    HOLD_SET = "hold_set"
    """on; subtask None holds or releases all that is not finished"""
    CANCEL_REQUESTED = "cancel_requested"
    """by; subtask None cancels the run"""
    WORKER_STATE = "worker_state"
    """worker, state, capacity, labels, reason, latency_ms, boot_id"""
    STORE_DEGRADED = "store_degraded"
    """store, reason"""
    STORE_RECOVERED = "store_recovered"
    """store, caught_up (events)"""
    RUN_ENDED = "run_ended"
    """state, reason"""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event. `seq` rises by one within a run, over all epochs; `at` is aware, UTC."""

    run_id: str
    epoch: int
    seq: int
    at: datetime
    type: EventType
    subtask: str | None = None
    shard: int | None = None
    attempt_id: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON form, also the outbox's."""
        return {
            "run_id": self.run_id,
            "epoch": self.epoch,
            "seq": self.seq,
            "at": self.at.isoformat(),
            "type": str(self.type),
            "subtask": self.subtask,
            "shard": self.shard,
            "attempt_id": self.attempt_id,
            "payload": dict(self.payload),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Event:
        """Read the JSON form. Raises KeyError or ValueError on anything else."""
        return cls(
            run_id=raw["run_id"],
            epoch=raw["epoch"],
            seq=raw["seq"],
            at=datetime.fromisoformat(raw["at"]),
            type=EventType(raw["type"]),
            subtask=raw.get("subtask"),
            shard=raw.get("shard"),
            attempt_id=raw.get("attempt_id"),
            payload=raw.get("payload") or {},
        )
