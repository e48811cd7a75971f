"""What a worker's answers, or their absence, say about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nadg_kernel.engines.base import WorkerHealth, WorkerState
from nadg_kernel.engines.faults import NotOurs, Refused
from nadg_kernel.errors import ProtocolMismatch
from nadg_kernel.wire import PROTOCOL

if TYPE_CHECKING:
    from nadg_kernel.engines.client import WorkerEndpoint
    from nadg_kernel.wire import Health, StatusReport

NOT_ASKED = "not asked yet"
_SMOOTHING = 0.3
INTERVALS = {
    WorkerHealth.READY: 3.0,
    WorkerHealth.WAKING: 2.0,
    WorkerHealth.ASLEEP: 60.0,
    WorkerHealth.REFUSING: 10.0,
    WorkerHealth.OFFLINE: 2.0,
}
"""Seconds between two looks. A look is a visit, and visits keep a Space awake."""
MOST_INTERVAL_S = 30.0


def unknown(endpoint: WorkerEndpoint, reason: str = NOT_ASKED) -> WorkerState:
    """A worker before its first answer, or one that is gone."""
    return WorkerState(
        worker_id=endpoint.worker_id,
        url=endpoint.url,
        health=WorkerHealth.OFFLINE,
        reason=reason,
        local=endpoint.local,
    )


def from_health(before: WorkerState, health: Health, latency_ms: float) -> WorkerState:
    """The state after an answer of /health that took `latency_ms`."""
    status, reason = WorkerHealth.READY, health.reason[:500]
    if health.protocol != PROTOCOL:
        status = WorkerHealth.REFUSING
        reason = str(ProtocolMismatch(before.worker_id, health.protocol, PROTOCOL))
    elif health.status != "ok":
        status = WorkerHealth.REFUSING
        reason = reason or f"it is {health.status}"
    same_boot = before.boot_id == health.boot_id
    smooth = latency_ms if before.latency_ms is None else before.latency_ms
    smooth += _SMOOTHING * (latency_ms - smooth)
    return replace(
        before,
        health=status,
        reason=reason,
        capacity=max(0, min(health.capacity, 10_000)),
        running=max(0, min(health.running, 10_000)),
        labels=frozenset(label[:200] for label in health.labels[:200]),
        sandbox={name[:100]: text[:500] for name, text in list(health.sandbox.items())[:50]},
        weak=health.weak,
        boot_id=health.boot_id[:200],
        latency_ms=float(f"{smooth:.2g}"),
        modules=before.modules if same_boot else None,
        packages=before.packages if same_boot else {},
    )


def from_status(before: WorkerState, report: StatusReport) -> WorkerState:
    """The state with what only an authorised caller learns."""
    return replace(
        before,
        modules=frozenset(report.modules[:20_000]),
        packages=dict(list(report.packages.items())[:20_000]),
    )


def from_error(before: WorkerState, error: Exception) -> WorkerState:
    """The state after a look that failed."""
    health = error.health if isinstance(error, NotOurs) else WorkerHealth.OFFLINE
    if isinstance(error, Refused):
        health = WorkerHealth.REFUSING
    return replace(before, health=health, reason=str(error)[:1000], running=0)


def waking(before: WorkerState) -> WorkerState:
    """The state of a sleeper that is being visited, until it is looked at again."""
    return replace(before, health=WorkerHealth.WAKING, reason="it was asleep and is being woken")


def interval_s(state: WorkerState, failures: int, *, closely: bool = False) -> float:
    """Seconds until the next look: longer after each failure in a row, short for one that was just woken."""
    base = INTERVALS[state.health]
    if closely:
        return min(base, INTERVALS[WorkerHealth.WAKING])
    return base if failures <= 1 else max(base, min(base * 1.5 ** (failures - 1), MOST_INTERVAL_S))
