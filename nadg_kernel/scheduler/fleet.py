"""The workers as the scheduler sees them: who is free, who is resting, who holds which data."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

from nadg_kernel.model import Outcome
from nadg_kernel.scheduler.needs import labels_offered, plain, spoken

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from nadg_kernel.scheduler.retry import RetryPolicy

LOCAL_BYTES = 64 * 1024
"""Data from this size on makes its holder the better worker; what is smaller travels inside the request."""
HOLDERS = 8
"""Workers remembered as holding a piece of data."""
_NEWS = 0.3
"""Weight of the newest duration in a worker's running average."""


@dataclass(slots=True, eq=False)
class Worker:
    """One worker: what it offers, what it carries, how it has been doing."""

    id: str
    known: bool = False
    health: str = "offline"
    reason: str = "not seen yet"
    capacity: int = 1
    labels: frozenset[str] = frozenset()
    boot_id: str = ""
    latency_s: float = 0.0
    slowness: float = 1.0
    """Its durations relative to the average of the same subtasks."""
    running: int = 0
    elsewhere: int = 0
    """Places that other runs use."""
    full_until: float = 0.0
    failures: int = 0
    openings: int = 0
    open_until: float = 0.0
    probing: bool = False
    """Its breaker is half open and has let one attempt through."""
    stamp: int = 0
    groups: list[Group] = field(default_factory=list)

    def describe(self) -> str:
        """Its id and why it takes nothing, for a person."""
        return f"{self.id} is {self.health}" + (f" ({self.reason})" if self.reason else "")


@dataclass(slots=True, eq=False)
class Group:
    """All workers that offer one set of labels. `free` is a heap of (score, stamp, id, worker), emptied lazily."""

    needs: frozenset[str]
    members: dict[str, Worker] = field(default_factory=dict)
    free: list[tuple[float, int, str, Worker]] = field(default_factory=list)


class Fleet:
    """All workers. Every operation costs the logarithm of their number, times the groups that a worker is in."""

    def __init__(self, policy: RetryPolicy) -> None:
        """Start without workers."""
        self.policy = policy
        self.workers: dict[str, Worker] = {}
        self.groups: dict[frozenset[str], Group] = {}
        self.mean_s = 1.0
        self._holders: dict[str, dict[str, int]] = {}

    def group(self, needs: frozenset[str]) -> Group:
        """The group of workers that offer `needs`, made when first asked for."""
        found = self.groups.get(needs)
        if found is None:
            found = self.groups[needs] = Group(needs)
            for worker in self.workers.values():
                if worker.known and needs <= worker.labels:
                    found.members[worker.id] = worker
                    worker.groups.append(found)
        return found

    def worker(self, worker_id: str) -> Worker:
        """The worker with this id; one that is not registered is remembered as not seen."""
        found = self.workers.get(worker_id)
        if found is None:
            found = self.workers[worker_id] = Worker(worker_id)
        return found

    def update(self, payload: Mapping[str, Any]) -> Worker:
        """Take over a worker's state (the payload of `worker_state`)."""
        worker = self.worker(payload["worker"])
        labels = labels_offered(payload.get("labels") or ())
        fresh = not worker.known
        if fresh or labels != worker.labels:
            for group in worker.groups:
                del group.members[worker.id]
            worker.labels, worker.known = labels, True
            worker.groups = [group for group in self.groups.values() if group.needs <= labels]
            for group in worker.groups:
                group.members[worker.id] = worker
        boot_id = payload.get("boot_id") or worker.boot_id
        if fresh or boot_id != worker.boot_id:
            worker.boot_id = boot_id
            worker.failures = worker.openings = 0
            worker.open_until = worker.full_until = 0.0
            worker.probing = False
            self.forget_data(worker.id)
        worker.health = str(payload.get("state") or "ready")
        worker.reason = str(payload.get("reason") or "")
        worker.capacity = int(payload.get("capacity") or 0)
        worker.elsewhere = int(payload.get("elsewhere") or 0)
        if payload.get("latency_ms") is not None:
            worker.latency_s = float(payload["latency_ms"]) / 1000
        worker.stamp += 1
        return worker

    def remove(self, worker: Worker) -> None:
        """Forget a worker that left for good; what it still carries ends by itself."""
        worker.known, worker.health, worker.reason = False, "offline", "removed"
        worker.stamp += 1
        for group in worker.groups:
            del group.members[worker.id]
        worker.groups = []

    def free(self, worker: Worker, now: float) -> bool:
        """Whether it can take an attempt now."""
        return worker.running + worker.elsewhere < worker.capacity and self.willing(worker, now)

    def willing(self, worker: Worker, now: float) -> bool:
        """Whether it could take an attempt now if it had room."""
        if worker.health != "ready" or not worker.known or worker.full_until > now:
            return False
        if worker.failures < self.policy.breaker_failures:
            return True
        return worker.open_until <= now and not worker.probing

    def offer(self, worker: Worker, now: float) -> bool:
        """Put it among the free ones of its groups, if it is free."""
        worker.stamp += 1
        if not self.free(worker, now):
            return False
        entry = (self.score(worker), worker.stamp, worker.id, worker)
        for group in worker.groups:
            heappush(group.free, entry)
            if len(group.free) > 64 + 4 * len(group.members):
                group.free[:] = [item for item in group.free if item[1] == item[3].stamp]
                heapify(group.free)
        return True

    def score(self, worker: Worker) -> float:
        """Expected seconds until it would finish an attempt; the less it carries, the better."""
        load = 1.0 + worker.running / max(worker.capacity, 1)
        return worker.slowness * self.mean_s * load + worker.latency_s

    def choose(self, group: Group, avoid: Collection[str], inputs: Collection[str], now: float) -> Worker | None:
        """The best free worker of a group: data already there, then expected finish; `avoid` only if it must be."""
        holder = self._holder(group, avoid, inputs, now) if inputs else None
        if holder is not None:
            return holder
        aside: list[tuple[float, int, str, Worker]] = []
        chosen: Worker | None = None
        while group.free:
            _, stamp, _, worker = group.free[0]
            if stamp != worker.stamp or worker.id not in group.members or not self.free(worker, now):
                heappop(group.free)
                continue
            if worker.id in avoid:
                aside.append(heappop(group.free))
                continue
            chosen = worker
            break
        for entry in aside:
            heappush(group.free, entry)
        return chosen if chosen is not None or not aside else aside[0][3]

    def start(self, worker: Worker, now: float) -> None:
        """Count one more attempt on it."""
        worker.running += 1
        if worker.failures >= self.policy.breaker_failures:
            worker.probing = True
        self.offer(worker, now)

    def release(self, worker: Worker, now: float) -> None:
        """Count one less that never left."""
        worker.running -= 1
        worker.probing = False
        self.offer(worker, now)

    def end(self, worker: Worker, payload: Mapping[str, Any], expected_s: float | None, now: float) -> float | None:
        """Count one less, and learn from how it ended. Gives the time at which to look at the worker again, or None.

        What was lost with our own process (`resumed`) is not the worker's fault.
        """
        worker.running -= 1
        outcome = payload["outcome"]
        again: float | None = None
        retry_after = payload.get("retry_after")
        worker.probing = False
        if outcome == Outcome.REJECTED and retry_after is not None:
            again = worker.full_until = now + max(float(retry_after), 0.05)
        elif outcome in {Outcome.LOST, Outcome.REJECTED}:
            if payload.get("resumed"):
                self.offer(worker, now)
                return None
            worker.failures += 1
            if worker.failures >= self.policy.breaker_failures and worker.open_until <= now:
                worker.openings += 1
                again = worker.open_until = now + self.policy.rest(worker.openings)
        else:
            worker.failures = worker.openings = 0
            worker.open_until = worker.full_until = 0.0
            self._learn(worker, payload.get("seconds"), expected_s)
        self.offer(worker, now)
        return again

    def _learn(self, worker: Worker, seconds: float | None, expected_s: float | None) -> None:
        if not seconds or seconds <= 0:
            return
        self.mean_s += _NEWS * 0.1 * (seconds - self.mean_s)
        if expected_s:
            ratio = min(max(seconds / expected_s, 0.1), 10.0)
            worker.slowness += _NEWS * (ratio - worker.slowness)

    def made(self, name: str, worker_id: str, size: int) -> None:
        """Remember that a worker made `size` bytes of a result, one shard of perhaps many."""
        if size >= LOCAL_BYTES:
            self._hold(name, worker_id, self._holders.get(name, {}).get(worker_id, 0) + size)

    def received(self, name: str, worker_id: str, size: int) -> None:
        """Remember that a worker was sent all of an input of `size` bytes."""
        if size >= LOCAL_BYTES:
            self._hold(name, worker_id, size)

    def _hold(self, name: str, worker_id: str, size: int) -> None:
        holders = self._holders.setdefault(name, {})
        holders[worker_id] = size
        while len(holders) > HOLDERS:
            del holders[next(iter(holders))]

    def forget_data(self, worker_id: str) -> None:
        """Its blobs may be gone: it started anew."""
        for holders in self._holders.values():
            holders.pop(worker_id, None)

    def forget_name(self, name: str) -> None:
        """A result that is going to be made again is nowhere."""
        self._holders.pop(name, None)

    def _holder(self, group: Group, avoid: Collection[str], inputs: Collection[str], now: float) -> Worker | None:
        sizes: dict[str, int] = {}
        for name in inputs:
            for worker_id, size in self._holders.get(name, {}).items():
                sizes[worker_id] = sizes.get(worker_id, 0) + size
        best: Worker | None = None
        most = 0
        for worker_id, size in sizes.items():
            worker = group.members.get(worker_id)
            if worker is None or worker_id in avoid or not self.free(worker, now):
                continue
            if best is None or size > most or (size == most and self.score(worker) < self.score(best)):
                best, most = worker, size
        return best

    def obstacle(self, group: Group) -> str:
        """Why no worker can take what needs this group, for a person; empty if one could when it is free."""
        known = [worker for worker in self.workers.values() if worker.known]
        if not known:
            return "no worker is registered"
        if not group.members:
            offers = "; ".join(f"{worker.id}: {', '.join(plain(worker.labels)) or 'none'}" for worker in known[:5])
            return f"no registered worker offers {spoken(group.needs)} (labels of {offers})"
        if not any(worker.health == "ready" and worker.capacity for worker in group.members.values()):
            return "no worker is ready: " + "; ".join(w.describe() for w in list(group.members.values())[:5])
        return ""
