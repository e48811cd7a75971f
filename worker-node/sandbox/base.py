"""What the service asks of a sandbox, and nothing about how a sandbox does it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wire import ErrorDetail, Limits, Outcome, Permissions, Usage


@dataclass(frozen=True, kw_only=True)
class Job:
    """One attempt, ready to run: every blob that it needs lies on disk already."""

    attempt_id: str
    code: str
    inputs: Mapping[str, Mapping[str, Any]]
    """Name -> ValueRef as a dict (see wire.py, values)."""
    files: Mapping[str, Path]
    """Relative path in the working directory -> blob file to lay there (read-only copy)."""
    blobs: Mapping[str, Path]
    """sha256 -> blob file, for each leaf of `inputs` that is not inline."""
    limits: Limits
    permissions: Permissions
    shard: int = 0
    shards: int = 1


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A regular file that the code left in its working directory, already kept as a blob."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a job ended. Code that fails is a value here; only a broken sandbox raises."""

    outcome: Outcome
    detail: ErrorDetail | None = None
    result: dict[str, Any] | None = None
    """A ValueRef as a dict; large leaves were given to the sink."""
    artifacts: tuple[Artifact, ...] = ()
    usage: Usage
    truncated: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """What a person should know besides: artifacts refused and why, descendants killed, ..."""


class Sink(Protocol):
    """Where a running job's output goes. Called on the event loop; must not block for long."""

    def event(self, kind: str, data: dict[str, Any]) -> None:
        """stdout {text}, stderr {text}, progress {fraction, text}, display <ValueRef>."""

    def keep(self, sha256: str, data: bytes) -> None:
        """Keep a large leaf of the result or of a display as a blob."""

    def keep_file(self, fd: int, size: int) -> str:
        """Keep an artifact's bytes, read from `fd`; gives its sha256."""


class Sandbox(Protocol):
    """Runs jobs confined. One per worker process."""

    @property
    def weak(self) -> bool:
        """Whether a layer is missing that a public bind needs."""

    def report(self) -> dict[str, str]:
        """Layer -> "active" or "unavailable: why", from the last canary."""

    async def start(self) -> None:
        """Start the process that tasks are forked from and prove each layer by a canary task."""

    async def run(self, job: Job, sink: Sink) -> Ended:
        """Run one job to its end. When it returns, everything that the job started is dead and its folder is gone."""

    def cancel(self, attempt_id: str) -> bool:
        """Kill a running job; its `run` then returns `cancelled`. False if no such job runs."""

    async def close(self) -> None:
        """Kill what runs and end the helper processes."""
