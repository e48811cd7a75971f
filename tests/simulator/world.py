"""A simulated grid around the real scheduler: discrete events, seeded, with workers that are slow, cold, full or gone.

The world knows the truth and checks the scheduler against it after every decision; it shares no code with it.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import count
from random import Random

from nadg_kernel.model import EventType, RunState
from nadg_kernel.scheduler import RetryPolicy, Scheduler, Start
from tests.support.scheduling import event, plan_of, result_of

DONE = {"succeeded", "cached"}
FINAL = DONE | {"failed", "skipped", "cancelled"}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A worker. Rates are chances per attempt; `crashes` are times at which it restarts, down for `down_s`."""

    name: str
    capacity: int = 1
    labels: tuple[str, ...] = ()
    speed: float = 1.0
    latency_s: float = 0.0
    lost: float = 0.0
    rejected: float = 0.0
    full: float = 0.0
    asleep_until: float = 0.0
    crashes: tuple[float, ...] = ()
    down_s: float = 1.0


@dataclass
class _Shard:
    """The truth about a shard."""

    attempt: str | None = None
    good: int = 0
    attempts: int = 0
    busy: int = 0
    fails: int = 0
    unlucky: int = 0
    not_before: float = -1.0


@dataclass
class _Worker:
    machine: Machine
    up: bool = True
    boot: int = 1
    running: set = field(default_factory=set)
    full_until: float = 0.0
    failures: int = 0


class World:
    """Runs a plan to its end. `durations` gives seconds on a machine of speed 1, `fails` the chance that code fails."""

    def __init__(self, subtasks, machines, *, seed=0, shards=None, durations=lambda name, number: 1.0, fails=0.0,
                 policy=None, check=True):  # fmt: skip
        self.random = Random(seed)
        self.policy = policy or RetryPolicy()
        self.plan = plan_of(*subtasks)
        self.by_id = {item.id: item for item in subtasks}
        self.seed, self.durations, self.fails, self.check = seed, durations, fails, check
        self.shards = shards or {}
        self.now = 0.0
        self.scheduler = self._scheduler()
        self.journal = []
        self.workers = {machine.name: _Worker(machine) for machine in machines}
        self.truth = defaultdict(_Shard)
        self.flying = {}
        self.states = dict.fromkeys(self.by_id, "waiting")
        self.executed = Counter()
        self.recorded = Counter()
        self.held = {item.id for item in subtasks if item.hold}
        self.resumed = 0
        self.fixed = {}
        self._heap, self._numbers = [], count()
        self._wake_at = None
        for machine in machines:
            self._meet(machine)

    def at(self, moment, action):
        """Do something at a time."""
        heapq.heappush(self._heap, (moment, next(self._numbers), action))

    def run(self, until=1e9):
        """Until nothing can happen any more; gives the run's state."""
        self._decide()
        while self._heap or self._wake_at is not None:
            due = self._heap[0][0] if self._heap else float("inf")
            if self._wake_at is not None and self._wake_at <= due:
                self.now = max(self.now, self._wake_at)
            else:
                if due > until:
                    break
                self.now = max(self.now, due)
                while self._heap and self._heap[0][0] <= self.now:
                    heapq.heappop(self._heap)[2]()
            self._decide()
        return self.scheduler.run_state

    # what may happen from outside

    def hold(self, name, *, on):
        names = [n for n in ([name] if name else self.by_id) if str(self.scheduler.state(n)) not in FINAL]
        self._intend(EventType.HOLD_SET, name, on=on, by="ada")
        (self.held.update if on else self.held.difference_update)(names)

    def cancel(self, name=None):
        self._intend(EventType.CANCEL_REQUESTED, name, by="ada")

    def skip(self, name):
        self._intend(EventType.SUBTASK_STATE, name, state="skipped", by="ada")

    def rerun(self, name):
        """As the runner does it: what runs ends first, then the revision."""
        again = {name, *self.plan.descendants(name)}
        for key, (start, _) in list(self.flying.items()):
            if start.shard.subtask in again:
                self._end(key, {"outcome": "cancelled"})
        self._intend(EventType.PLAN_REVISED, None, reset=sorted(again), changed=[], by="ada", digest="")
        for key in [key for key in self.truth if key[0] in again]:
            del self.truth[key]
        for key in again:
            over = self.by_id[key].map
            if over is not None and over.over in again:
                self.fixed.pop(key, None)
        self.recorded = Counter({k: v for k, v in self.recorded.items() if k[0] not in again})

    def kernel_dies(self, *, survive):
        """A new scheduler from the journal; what ran is reattached, or was lost with the kernel."""
        before = {name: self.scheduler.state(name) for name in self.by_id}
        self.scheduler = self._scheduler()
        for happened in self.journal:
            if happened.type is not EventType.WORKER_STATE:
                self.scheduler.apply(happened, self.now)
        assert {name: self.scheduler.state(name) for name in self.by_id} == before
        assert set(self.scheduler.attempts()) == set(self.flying)
        for machine in [worker.machine for worker in self.workers.values()]:
            self._tell(machine.name)
        for shard in self.truth.values():  # delays begin anew
            shard.not_before = max(shard.not_before, self.now + self._longest(shard))
        if not survive:
            for key in list(self.flying):
                self._end(key, {"outcome": "lost", "resumed": True})

    # the world

    def _scheduler(self):
        return Scheduler(self.plan, seed=self.seed, policy=self.policy)

    def _meet(self, machine):
        if machine.asleep_until > 0:
            self.workers[machine.name].up = False
            self.at(machine.asleep_until, lambda: self._up(machine.name, first=True))
        for moment in machine.crashes:
            self.at(moment, lambda: self._crash(machine.name))
        self._tell(machine.name)

    def _tell(self, name):
        worker = self.workers[name]
        self._apply(
            EventType.WORKER_STATE, worker=name, state="ready" if worker.up else "offline",
            capacity=worker.machine.capacity, labels=list(worker.machine.labels), boot_id=str(worker.boot),
            latency_ms=worker.machine.latency_s * 1000,
        )  # fmt: skip

    def _up(self, name, *, first=False):
        worker = self.workers[name]
        worker.up = True
        worker.boot += not first
        worker.failures, worker.full_until = 0, 0.0
        self._tell(name)

    def _crash(self, name):
        worker = self.workers[name]
        if not worker.up:
            return
        worker.up = False
        for key in list(worker.running):
            self._end(key, {"outcome": "lost", "reason": "killed"})
        self._tell(name)
        self.at(self.now + worker.machine.down_s, lambda: self._up(name))

    def _apply(self, kind, subtask=None, shard=None, attempt_id=None, **payload):
        happened = event(kind, subtask, shard, attempt_id, **payload)
        self.journal.append(happened)
        self.scheduler.apply(happened, self.now)

    def _intend(self, kind, name, **payload):
        self._apply(kind, name, **payload)

    def _decide(self):
        for name in self.scheduler.unfixed():
            self.fixed[name] = self.shards.get(name, 2)
            self._apply(EventType.SHARDS_FIXED, name, count=self.fixed[name])
        decisions, self._wake_at = self.scheduler.decide(self.now)
        for item in decisions:
            if isinstance(item, Start):
                self._start(item)
            elif item.attempt_id in self.flying:
                self.at(self.now + 0.05, lambda key=item.attempt_id: self._end(key, {"outcome": "cancelled"}))
        for change in self.scheduler.changes():
            self.states[change.subtask] = str(change.state)
        if self.check:
            self._work_conserving()

    def _start(self, start):
        name, number = start.shard
        key = f"a{next(self._numbers)}"
        worker, shard = self.workers[start.worker], self.truth[start.shard]
        self._apply(EventType.ATTEMPT_INTENDED, name, number, key, worker=start.worker, number=start.number)
        subtask = self.by_id[name]
        assert shard.attempt is None, "one attempt of a shard at a time"
        assert shard.good == 0, "what is recorded is not run again"
        assert worker.up
        assert set(subtask.labels) <= set(worker.machine.labels)
        assert len(worker.running) < worker.machine.capacity
        assert name not in self.held
        assert all(str(self.scheduler.state(need)) in DONE for need in subtask.depends_on)
        assert shard.not_before - self._longest(shard) <= self.now
        shard.attempt = key
        shard.attempts += 1
        bound = self.policy.tries + subtask.retries
        assert shard.attempts - shard.busy <= bound + self.resumed, "retries are bounded"
        worker.running.add(key)
        self.flying[key] = (start, worker.boot)
        self._fly(key, start, worker, subtask)

    def _fly(self, key, start, worker, subtask):
        machine, chance = worker.machine, self.random.random()
        seconds = machine.latency_s + self.durations(start.shard.subtask, start.shard.number) / machine.speed
        payload = {"outcome": "succeeded", "seconds": seconds, "result": result_of(self.random.choice([10, 200_000]))}
        if chance < machine.full:
            seconds, payload = machine.latency_s, {"outcome": "rejected", "retry_after": 0.5}
        elif (chance := chance - machine.full) < machine.rejected:
            seconds, payload = machine.latency_s, {"outcome": "rejected", "reason": "refused"}
        elif chance - machine.rejected < machine.lost:
            seconds, payload = seconds * self.random.random(), {"outcome": "lost", "reason": "reset"}
        elif self.random.random() < self.fails:
            payload = {"outcome": "failed", "seconds": seconds}
        self.at(self.now + seconds, lambda: self._end(key, payload))

    def _end(self, key, payload):
        if key not in self.flying:
            return
        start, _ = self.flying.pop(key)
        worker, shard = self.workers[start.worker], self.truth[start.shard]
        worker.running.discard(key)
        shard.attempt = None
        outcome = payload["outcome"]
        self.resumed += bool(payload.get("resumed"))
        if outcome in {"succeeded", "failed"}:
            self.executed[start.shard] += 1
            worker.failures, worker.full_until = 0, 0.0
        if outcome == "succeeded":
            shard.good += 1
            self.recorded[start.shard] += 1
            assert self.recorded[start.shard] == 1, "nothing is recorded twice"
        elif outcome == "rejected" and "retry_after" in payload:
            shard.busy += 1
            worker.full_until = self.now + payload["retry_after"]
        elif outcome in {"lost", "rejected"} and not payload.get("resumed"):
            shard.unlucky += 1
            worker.failures += 1
            shard.not_before = self.now + self._longest(shard)
        elif outcome == "failed":
            shard.fails += 1
            shard.not_before = self.now + self._longest(shard)
        self._apply(
            EventType.ATTEMPT_ENDED, start.shard.subtask, start.shard.number, key,
            **{"worker": start.worker, "seconds": 0.0, **payload},
        )  # fmt: skip

    def _longest(self, shard):
        """The longest delay that the policy may draw after this many failures."""
        number = max(shard.unlucky, shard.fails)
        return 0.0 if not number else min(self.policy.cap_s, self.policy.base_s * 2 ** (number - 1) * 1.5)

    def _work_conserving(self):
        """No eligible free worker while something is ready. Conservative: what may be in a delay is left out."""
        free = [
            worker for worker in self.workers.values()
            if worker.up and len(worker.running) < worker.machine.capacity and worker.full_until <= self.now
            and worker.failures < self.policy.breaker_failures
        ]  # fmt: skip
        if not free:
            return
        offered = [set(worker.machine.labels) for worker in free]
        for name, state in self.states.items():
            if state not in {"ready", "running"} or name in self.held:
                continue
            subtask = self.by_id[name]
            if not any(set(subtask.labels) <= labels for labels in offered):
                continue
            for number in range(1 if subtask.map is None else self.fixed.get(name, 0)):
                shard = self.truth[name, number]
                if shard.attempt is None and not shard.good and shard.not_before < self.now and not shard.fails:
                    settled = shard.unlucky >= self.policy.tries or self._stopped(name)
                    assert settled, f"{name}.{number} is ready and {free[0].machine.name} is free at {self.now}"

    def _stopped(self, name):
        return any(
            e.subtask in {None, name} and e.type in {EventType.CANCEL_REQUESTED, EventType.SUBTASK_STATE}
            for e in self.journal
        )

    # what is true at the end

    def check_end(self):
        """Nothing is lost: every subtask is over, or held, or waits for a worker that is not there."""
        state = self.scheduler.run_state
        assert not self.flying
        if state is RunState.PAUSED:
            assert self.held
            return
        assert set(self.states.values()) <= FINAL, self.states
        for name, final in self.states.items():
            subtask = self.by_id[name]
            number = 1 if subtask.map is None else self.fixed.get(name, 0)
            if final == "succeeded":
                assert [self.recorded[name, n] for n in range(number)] == [1] * number
            if final == "skipped" and not self._stopped(name):
                assert any(self.states[need] not in DONE for need in subtask.depends_on)
            if final == "failed":
                assert any(not self.recorded[name, n] for n in range(number))
