"""Engine: where attempts run. The contract that the HTTP workers and an existing cluster both keep."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from nadg_kernel.model import Limits, Permissions


class WorkerHealth(StrEnum):
    """What a worker can take now. Only `ready` ones get attempts."""

    READY = "ready"
    WAKING = "waking"
    ASLEEP = "asleep"
    REFUSING = "refusing"
    """It answers and takes nothing: weak sandbox, missing token, draining, another protocol."""
    OFFLINE = "offline"


@dataclass(frozen=True, kw_only=True)
class WorkerState:
    """A worker as last seen. `modules` None is unknown. Never holds a token."""

    worker_id: str
    url: str = ""
    health: WorkerHealth
    capacity: int = 1
    running: int = 0
    labels: frozenset[str] = frozenset()
    modules: frozenset[str] | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    sandbox: Mapping[str, str] = field(default_factory=dict)
    weak: bool = False
    boot_id: str = ""
    latency_ms: float | None = None
    reason: str = ""
    local: bool = False


@dataclass(frozen=True, kw_only=True)
class AttemptSpec:
    """One attempt, addressed to one worker.

    `inputs` are ValueRefs as dicts; their blobs are in the `Blobs` given to the engine. `files` maps a relative path
    to (sha256, size).
    """

    attempt_id: str
    run_id: str
    subtask: str
    shard: int
    shards: int
    worker_id: str
    kind: str
    code: str
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    files: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    permissions: Permissions = field(default_factory=Permissions)


@dataclass(frozen=True, kw_only=True)
class AttemptEvent:
    """What an engine reports of an attempt.

    `type`: started {boot_id, layers}, stdout {text}, stderr {text}, progress {fraction, text}, display (a ValueRef),
    gap {lost}, ended. `ended` comes exactly once, last, with the payload of the journal's `attempt_ended`
    (see model/events.py), every blob of its result already in the `Blobs`. `id` rises; 0 for events of our own side.
    """

    type: str
    id: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)


class Blobs(Protocol):
    """Bytes by SHA-256 on the control side. Durable when `put` returns."""

    def put(self, data: bytes) -> str:
        """Keep bytes; gives their digest (hex). Keeping the same bytes twice is free."""

    def get(self, sha256: str) -> bytes:
        """The bytes. Raises KeyError with the digest."""

    def has(self, sha256: str) -> bool:
        """Whether the bytes are here."""


class Engine(Protocol):
    """Where attempts run.

    Errors of the network and of workers never raise out of `submit` or `reattach`: they end the attempt as `lost`
    (it may have run) or `rejected` (it has not), with the reason. Only a programming error raises.
    """

    def submit(self, spec: AttemptSpec) -> AsyncIterator[AttemptEvent]:
        """Start an attempt and follow it to its end. The same attempt id again is the same attempt."""

    def reattach(self, spec: AttemptSpec, after_id: int = 0) -> AsyncIterator[AttemptEvent]:
        """Follow an attempt that was submitted earlier, from event `after_id` on; ends `lost` if nobody knows it."""

    async def cancel(self, attempt_id: str, worker_id: str) -> None:
        """Kill an attempt and all that it started; also before it arrives. No error if it is over."""

    def workers(self) -> AsyncIterator[WorkerState]:
        """Every worker's state now, then each change, until closed."""

    def snapshot(self) -> tuple[WorkerState, ...]:
        """The last known state of every worker, without I/O."""

    async def close(self) -> None:
        """Release connections and end the workers that this engine started."""
