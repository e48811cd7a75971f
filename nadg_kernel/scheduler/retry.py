"""When a shard may be tried again: the policy, as numbers and one function over values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from nadg_kernel.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from nadg_kernel.model import Subtask
    from nadg_kernel.scheduler.tasks import Trouble


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How often and how soon. Times in seconds."""

    tries: int = 5
    """Attempts of a shard that may end lost or rejected before it fails."""
    busy_tries: int = 1000
    """Answers "full, come back later" before a shard fails: a wait, bounded only so that nothing waits for ever."""
    base_s: float = 0.5
    cap_s: float = 30.0
    breaker_failures: int = 3
    """Attempts in a row that a worker loses or rejects before it is left alone for a while."""
    breaker_base_s: float = 2.0
    breaker_cap_s: float = 60.0

    def delay(self, number: int, random: Random) -> float:
        """Seconds before try `number + 1`: doubling, with jitter of plus and minus a half, capped."""
        return min(self.cap_s, self.base_s * 2.0 ** min(number - 1, 16) * random.uniform(0.5, 1.5))

    def rest(self, openings: int) -> float:
        """Seconds that a worker is left alone after its breaker opened for the `openings`-th time in a row."""
        return min(self.breaker_cap_s, self.breaker_base_s * 2.0 ** min(openings - 1, 16))


class Verdict(NamedTuple):
    """What follows from an attempt's end: `again` after `delay` seconds, or not, and why in words."""

    again: bool
    delay: float
    reason: str


def judge(
    policy: RetryPolicy, subtask: Subtask, trouble: Trouble, payload: Mapping[str, Any], random: Random
) -> Verdict:
    """Whether an attempt that did not succeed is followed by another.

    `payload` is that of the journal's `attempt_ended`, and `trouble` counts it already. Only what the worker or the
    network lost is tried again by itself; what the code did wrong only if the subtask asks for it.
    """
    outcome = Outcome(payload["outcome"])
    why = describe(payload)
    if outcome is Outcome.CANCELLED:
        return Verdict(again=False, delay=0.0, reason=why)
    if outcome in {Outcome.FAILED, Outcome.TIMED_OUT}:
        return Verdict(trouble.failed <= subtask.retries, policy.delay(max(trouble.failed, 1), random), why)
    if outcome is Outcome.LOST and subtask.permissions.network and not subtask.repeatable:
        rule = "it may have reached the network, so it is not sent again unless the subtask is marked repeatable"
        return Verdict(again=False, delay=0.0, reason=f"{why}; {rule}")
    if payload.get("resumed"):  # it went with our own process: nobody's fault, and no reason to wait
        return Verdict(again=True, delay=0.0, reason=why)
    if outcome is Outcome.REJECTED and payload.get("retry_after") is not None:
        if trouble.busy < policy.busy_tries:
            return Verdict(again=True, delay=0.0, reason=why)
        return Verdict(again=False, delay=0.0, reason=f"every worker stayed full for {trouble.busy} tries; last: {why}")
    if trouble.unlucky < policy.tries:
        return Verdict(again=True, delay=policy.delay(max(trouble.unlucky, 1), random), reason=why)
    return Verdict(again=False, delay=0.0, reason=f"given up after {trouble.unlucky} tries; last: {why}")


def describe(payload: Mapping[str, Any]) -> str:
    """An attempt's end in one line, for a person."""
    outcome = str(payload["outcome"]).replace("_", " ")
    error = payload.get("error") or {}
    if payload["outcome"] in {Outcome.LOST, Outcome.REJECTED}:
        reason = payload.get("reason") or error.get("message") or ""
        where = f" by {payload['worker']}" if payload["outcome"] == Outcome.REJECTED else f" on {payload['worker']}"
        return outcome + (where if payload.get("worker") else "") + (f": {reason}" if reason else "")
    text = ": ".join(part for part in (error.get("type"), error.get("message")) if part) or payload.get("reason") or ""
    line = f" (line {error['line']})" if error.get("line") else ""
    return f"{text}{line}" if text else outcome
