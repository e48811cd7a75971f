"""The ways in which a request to a worker can fail, told apart by what they say about whether it ran."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx2

from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.errors import WorkerRefused, WorkerUnreachable

if TYPE_CHECKING:
    from nadg_kernel.wire import Refusal


class Unreached(WorkerUnreachable):
    """Nothing was sent: refused, unresolvable, TLS error, an address that is not allowed. It has not run."""


class Broken(WorkerUnreachable):
    """The request was on its way when the connection broke, or what came back makes no sense. It may have run."""


class TooLarge(Broken):
    """An answer is larger than it may be."""


class WrongBytes(WorkerUnreachable):
    """The bytes of a blob are not those of its name."""


class NotOurs(WorkerUnreachable):
    """Something answered that is no worker: a web page, a redirect. `health` is what that says of the worker."""

    def __init__(self, reason: str, health: WorkerHealth = WorkerHealth.OFFLINE) -> None:
        """Keep what the page says about the worker behind it."""
        self.health = health
        super().__init__(reason)


class Refused(WorkerRefused):
    """The worker said no. `retry_after` in seconds where it says when to ask again, `missing` the blobs it lacks."""

    def __init__(self, worker: str, status: int, refusal: Refusal, retry_after: float | None) -> None:
        """Take the worker's own words."""
        hint = f" ({refusal.hint[:500]})" if refusal.hint else ""
        super().__init__(worker, status, f"{refusal.error[:1000]}{hint}")
        self.missing = tuple(refusal.missing[:10_000])
        self.retry_after = retry_after


def in_words(error: Exception, what: str) -> str:
    """What happened in words: the library's own text is often empty."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{what}: its TLS certificate is not trusted ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return f"{what}: TLS error ({cause.reason or cause})"
        if isinstance(cause, OSError) and cause.strerror:
            return f"{what}: {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    name = "no answer in time" if isinstance(error, httpx2.TimeoutException) else str(error) or type(error).__name__
    return f"{what}: {name}"
