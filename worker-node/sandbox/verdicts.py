"""The words for how an attempt ended, equal in every back end."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from wire import ErrorDetail, Outcome, Usage

if TYPE_CHECKING:
    from sandbox.base import Job

Verdict = tuple[Outcome, ErrorDetail | None]
Judgement = tuple[Outcome, ErrorDetail | None, Usage | None]

CANCELLED: Verdict = (Outcome.CANCELLED, ErrorDetail(type="Cancelled", message="it was cancelled"))
STOPPING: Verdict = (Outcome.CANCELLED, ErrorDetail(type="Cancelled", message="the worker is stopping"))


def timed_out(job: Job) -> Verdict:
    """The clock ended it."""
    return Outcome.TIMED_OUT, ErrorDetail(
        type="TimeoutError",
        message=f"it ran longer than {job.limits.timeout_s:g} s",
        hint="Raise timeout_s, or split the work into shards with `map`.",
    )


def broke_a_rule(error: Exception) -> Verdict:
    """It sent what a task may not send."""
    return Outcome.FAILED, ErrorDetail(type="ChannelError", message=f"the task was ended: {error}")


def over_limit(what: str, limit: str, setting: str) -> Verdict:
    """A watched limit was reached."""
    return Outcome.FAILED, ErrorDetail(
        type="LimitExceeded", message=f"it used more than {limit} of {what}", hint=f"Raise {setting}, or use less."
    )


def lost(why: str) -> Verdict:
    """The worker failed, not the code."""
    return Outcome.LOST, ErrorDetail(type="WorkerLost", message=why)


def rejected(why: str) -> Verdict:
    """The worker does not take it."""
    return Outcome.REJECTED, ErrorDetail(type="Rejected", message=why)


def judge_end(end: dict[str, Any] | None) -> Judgement | None:
    """What the task's own END frame says; None without one."""
    if end is None:
        return None
    outcome = Outcome.SUCCEEDED if end.get("ok") is True else Outcome.FAILED
    return outcome, end["error"], end["usage"]


def ended_itself(code: int | None, usage: Usage | None = None) -> Judgement:
    """Its process ended without an END frame. `code` as in subprocess: negative for a signal."""
    return Outcome.FAILED, ErrorDetail(type="ProcessEnded", message=_how(code)), usage


def _how(code: int | None) -> str:
    if code is None:
        return "its process ended before it handed back a result"
    if code >= 0:
        return f"its process ended itself with exit code {code} before it handed back a result"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"its process was ended by {name}"
