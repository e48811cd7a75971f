"""The state machine: events and worker states go in, starts and cancels come out."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from nadg_kernel.model import EventType, Outcome, RunState, Shard, SubtaskState
from nadg_kernel.scheduler.dispatch import INPUTS_WEIGHED, Dispatch
from nadg_kernel.scheduler.fleet import Fleet, Worker
from nadg_kernel.scheduler.lifecycle import Cancel, Lifecycle, cancel_of
from nadg_kernel.scheduler.needs import labels_needed
from nadg_kernel.scheduler.retry import RetryPolicy, judge
from nadg_kernel.scheduler.tasks import SETTLED, ShardRecord, Status, Task, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nadg_kernel.model import Event, Plan, Subtask


class Start(NamedTuple):
    """Send this shard to this worker; `number` is the try, from 1."""

    shard: Shard
    worker: str
    number: int


class Change(NamedTuple):
    """A subtask's new state, or a new reason for the old one."""

    subtask: str
    state: SubtaskState
    reason: str


class _Attempt(NamedTuple):
    record: ShardRecord
    worker: Worker


class Scheduler:
    """Decides what to start, retry and cancel next.

    It does no I/O and has no clock: `now` is seconds on any clock that only rises, the same one for all calls. A
    decision costs the logarithm of plan and workers. What it is told (`apply`) is what the journal says, so the same
    journal gives the same state again.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        seed: int | None = None,
        policy: RetryPolicy | None = None,
        estimates: Mapping[str, float] | None = None,
        requires: Callable[[Subtask], frozenset[str]] = labels_needed,
    ) -> None:
        """Read an approved plan. `estimates` are expected seconds by subtask id, for the longest path.

        Those that are not known count as the mean of those that are. Raises ValueError for a plan with a cycle or a
        dependency that does not exist.
        """
        self.policy = policy or RetryPolicy()
        self._random = Random(seed)  # noqa: S311 - jitter, not a secret
        self._fleet = Fleet(self.policy)
        self._dispatch = Dispatch(self._fleet, requires)
        self._life = Lifecycle(self._dispatch, estimates or {})
        self._attempts: dict[str, _Attempt] = {}
        self._reserved = 0
        self._cancelled = False
        self._sizes = _sizes(plan)
        self._next: Plan | None = None
        self._life.load(plan.subtasks, (), frozenset())

    @property
    def run_state(self) -> RunState:
        """What the states of all subtasks add up to."""
        if self._attempts or self._reserved or (self._life.unfinished and self._life.movable):
            return RunState.RUNNING
        if self._life.unfinished:
            return RunState.PAUSED
        if self._cancelled:
            return RunState.CANCELLED
        finals = {task.final for task in self._life.tasks.values()}
        if SubtaskState.FAILED in finals:
            return RunState.FAILED
        return RunState.CANCELLED if SubtaskState.CANCELLED in finals else RunState.SUCCEEDED

    def state(self, subtask: str) -> SubtaskState:
        """A subtask's state. Raises KeyError for an unknown one."""
        return self._life.tasks[subtask].state

    def count(self, subtask: str) -> int | None:
        """How many shards a subtask has; None while that is not fixed. Raises KeyError for an unknown one."""
        return self._life.tasks[subtask].count

    def changes(self) -> list[Change]:
        """States that changed since the last call, each subtask once, in the order in which they were touched."""
        out = []
        for task in self._life.dirty:
            state = task.state
            reason = task.reason
            if not reason and state is SubtaskState.READY:
                reason = _ready_reason(task)
            if state is not task.reported or reason != task.reported_reason:
                task.reported, task.reported_reason = state, reason
                out.append(Change(task.subtask.id, state, reason))
        self._life.dirty.clear()
        return out

    def unfixed(self) -> list[str]:
        """Mapped subtasks whose dependencies are done and whose shards nobody has counted: answer `shards_fixed`."""
        return list(self._life.unfixed)

    def opened(self) -> list[str]:
        """Subtasks whose shards became startable since the last call: the time to look into the cache."""
        tasks = self._life.tasks
        names = [name for name in self._life.opened if name in tasks and tasks[name].final is None]
        self._life.opened.clear()
        return names

    def current(self, attempt_id: str) -> bool:
        """Whether an attempt's end would still count: it is known, and no reset or second end overtook it."""
        attempt = self._attempts.get(attempt_id)
        return attempt is not None and attempt.record.attempt_id == attempt_id

    def wanted(self, now: float) -> frozenset[str]:
        """Workers that would be sent something if they had room: asked after `decide`."""
        return self._dispatch.wanted(now)

    def attempts(self) -> dict[str, tuple[Shard, str]]:
        """Attempts that have not ended: id -> (shard, worker)."""
        return {
            name: (Shard(attempt.record.task.subtask.id, attempt.record.number), attempt.worker.id)
            for name, attempt in self._attempts.items()
        }

    def backlog(self) -> dict[frozenset[str], int]:
        """Shards that only want for a place, by the labels that a worker must offer. Costs a look at every subtask."""
        out: dict[frozenset[str], int] = {}
        for task in self._life.tasks.values():
            if task.final is None and task.open and not task.hold and task.stop is None:
                waiting = task.unsettled - task.running
                if waiting > 0:
                    out[task.queue.needs] = out.get(task.queue.needs, 0) + waiting
        return out

    def waiting_for(self, subtask: str) -> str:
        """Why a subtask does not run now, for a person; empty if it runs or is over. Raises KeyError if unknown."""
        task = self._life.tasks[subtask]
        state = task.state
        if state is SubtaskState.HELD:
            return "held by a person"
        if state is SubtaskState.WAITING:
            names = [parent.subtask.id for parent in self._life.parents(task) if not parent.done]
            return f"waits for {', '.join(names)}" if names else "waits for its data to be split"
        if state is not SubtaskState.READY:
            return ""
        return _ready_reason(task) or "all workers that could take it are busy"

    def revise(self, plan: Plan) -> None:
        """Give the plan that the next `plan_revised` event speaks of (a replay was given the newest at once)."""
        self._next = plan

    def decide(self, now: float) -> tuple[list[Start | Cancel], float | None]:
        """What to do now, and when to ask again if nothing happens before (None: only an event changes anything).

        Each `Start` must be answered by `attempt_intended` (or `shard_cached`) before anything else is applied.
        """
        out: list[Start | Cancel] = list(self._life.cancels)
        self._life.cancels.clear()
        for record, worker in self._dispatch.pairs(now):
            self._reserve(record, worker, now)
            out.append(Start(Shard(record.task.subtask.id, record.number), worker.id, record.attempts))
        return out, self._dispatch.wake_at()

    def apply(self, event: Event, now: float) -> None:
        """Take one event in. What it does not know (dropped subtasks, old attempts) it ignores."""
        handler = _HANDLERS.get(event.type)
        if handler is not None:
            handler(self, event, now)

    # -- attempts

    def _reserve(self, record: ShardRecord, worker: Worker, now: float) -> None:
        record.status, record.worker, record.attempt_id = Status.RUNNING, worker, None
        record.attempts += 1
        record.token = 0
        record.task.why = ""
        record.task.running += 1
        self._reserved += 1
        self._life.dirty[record.task] = None
        self._fleet.start(worker, now)

    def _record(self, event: Event) -> ShardRecord | None:
        """The shard that an event speaks of, if it can still take part."""
        task = self._life.tasks.get(event.subtask or "")
        number = event.shard or 0
        if task is None or task.final is not None or not task.open or not 0 <= number < (task.count or 0):
            return None
        record = task.shard(number)
        return None if record.status in SETTLED else record

    def _intended(self, event: Event, now: float) -> None:
        record = self._record(event)
        if record is None or not event.attempt_id:
            return
        if record.status is not Status.RUNNING:  # a replay: nobody has reserved it
            self._reserve(record, self._fleet.worker(event.payload["worker"]), now)
            record.attempts = int(event.payload.get("number") or record.attempts)
        if record.attempt_id is not None or record.worker is None:
            return
        self._reserved -= 1
        record.attempt_id = event.attempt_id
        self._attempts[event.attempt_id] = _Attempt(record, record.worker)
        if record.task.stop is not None:
            self._life.cancels.append(cancel_of(record))

    def _ended(self, event: Event, now: float) -> None:
        attempt = self._attempts.pop(event.attempt_id or "", None)
        if attempt is None:
            return
        record, worker = attempt
        task, payload = record.task, event.payload
        expected_s = task.seconds / task.timed if task.timed else None
        again = self._fleet.end(worker, payload, expected_s, now)
        if again is not None:
            self._dispatch.look_again(worker, again)
        self._dispatch.relist(worker)
        if record.attempt_id != event.attempt_id:
            return
        record.attempt_id = record.worker = None
        task.running -= 1
        self._life.dirty[task] = None
        if task.stop is not None:
            self._life.settle(record, Status.CANCELLED)
        elif payload["outcome"] == Outcome.SUCCEEDED:
            self._remember(task, worker, payload)
            self._life.settle(record, Status.GOOD)
        else:
            self._unlucky(record, worker, payload, now)

    def _unlucky(self, record: ShardRecord, worker: Worker, payload: Mapping[str, Any], now: float) -> None:
        outcome = Outcome(payload["outcome"])
        trouble = record.trouble = record.trouble or Trouble()
        if outcome in {Outcome.FAILED, Outcome.TIMED_OUT}:
            trouble.failed += 1
        elif outcome is Outcome.REJECTED and payload.get("retry_after") is not None:
            trouble.busy += 1
        elif outcome is not Outcome.CANCELLED and not payload.get("resumed"):
            trouble.unlucky += 1
            if worker.id not in trouble.avoid:
                trouble.avoid = (*trouble.avoid, worker.id)
        verdict = judge(self.policy, record.task.subtask, trouble, payload, self._random)
        trouble.why = record.task.why = verdict.reason
        if not verdict.again:
            self._life.settle(record, Status.CANCELLED if outcome is Outcome.CANCELLED else Status.FAILED)
        elif verdict.delay > 0:
            trouble.not_before = now + verdict.delay
            self._dispatch.later(record, trouble.not_before)
        else:
            self._dispatch.enqueue_again(record)

    def _remember(self, task: Task, worker: Worker, payload: Mapping[str, Any]) -> None:
        """Learn from a success: how long it takes, how large it is, and where the bytes are."""
        if seconds := payload.get("seconds"):
            task.seconds += seconds
            task.timed += 1
        self._fleet.made(task.subtask.id, worker.id, self._grow(task, payload))
        over = None if task.subtask.map is None else task.subtask.map.over
        for name in task.subtask.inputs[:INPUTS_WEIGHED]:
            if name != over and name in self._sizes:
                self._fleet.received(name, worker.id, self._sizes[name])

    def _grow(self, task: Task, payload: Mapping[str, Any]) -> int:
        """Count a shard's result into its subtask's size; gives the bytes."""
        value = (payload.get("result") or {}).get("value") or {}
        size = int(value.get("size") or 0)
        self._sizes[task.subtask.id] = self._sizes.get(task.subtask.id, 0) + size
        return size

    def _cached(self, event: Event, now: float) -> None:
        record = self._record(event)
        if record is None or record.attempt_id is not None:
            return
        if record.worker is not None:  # decided upon, and then found in the cache
            worker, record.worker = record.worker, None
            record.attempts -= 1
            record.task.running -= 1
            self._reserved -= 1
            self._fleet.release(worker, now)
            self._dispatch.relist(worker)
        self._grow(record.task, event.payload)
        self._life.settle(record, Status.CACHED)

    # -- the rest

    def _fixed(self, event: Event, _now: float) -> None:
        self._life.fix(event.subtask or "", int(event.payload["count"]))

    def _held(self, event: Event, now: float) -> None:
        for task in self._life.named(event.subtask):
            self._life.hold(task, on=bool(event.payload["on"]), now=now)

    def _cancel(self, event: Event, _now: float) -> None:
        self._cancelled = self._cancelled or event.subtask is None
        by = event.payload.get("by")
        for task in reversed(self._life.named(event.subtask)):  # or the first would leave the rest skipped
            self._life.stop(task, SubtaskState.CANCELLED, f"cancelled by {by}" if by else "cancelled")

    def _skip(self, event: Event, _now: float) -> None:
        """With `by` it is a person's decision; without, our own report coming back in a replay."""
        by = event.payload.get("by")
        if by and event.payload["state"] == SubtaskState.SKIPPED:
            for task in self._life.named(event.subtask):
                self._life.stop(task, SubtaskState.SKIPPED, f"skipped by {by}")

    def _worker(self, event: Event, now: float) -> None:
        for task in self._dispatch.worker_state(event.payload, now):
            self._life.dirty[task] = None

    def _revised(self, event: Event, now: float) -> None:
        plan, self._next = self._next, None
        self._cancelled = False
        if plan is not None:
            self._sizes |= _sizes(plan)
        tasks = self._life.tasks
        subtasks = [task.subtask for task in tasks.values()] if plan is None else plan.subtasks
        changed = frozenset(map(str, event.payload.get("changed") or ()))
        for name in self._life.load(subtasks, map(str, event.payload.get("reset") or ()), changed):
            self._fleet.forget_name(name)
            self._sizes.pop(name, None)
        for worker in self._fleet.workers.values():  # new queues know none of the free ones
            self._dispatch.offer(worker, now)


_HANDLERS: dict[EventType, Callable[[Scheduler, Event, float], None]] = {
    EventType.ATTEMPT_INTENDED: Scheduler._intended,  # noqa: SLF001
    EventType.ATTEMPT_ENDED: Scheduler._ended,  # noqa: SLF001
    EventType.SHARD_CACHED: Scheduler._cached,  # noqa: SLF001
    EventType.SHARDS_FIXED: Scheduler._fixed,  # noqa: SLF001
    EventType.HOLD_SET: Scheduler._held,  # noqa: SLF001
    EventType.CANCEL_REQUESTED: Scheduler._cancel,  # noqa: SLF001
    EventType.SUBTASK_STATE: Scheduler._skip,  # noqa: SLF001
    EventType.WORKER_STATE: Scheduler._worker,  # noqa: SLF001
    EventType.PLAN_REVISED: Scheduler._revised,  # noqa: SLF001
}


def _ready_reason(task: Task) -> str:
    return task.queue.obstacle or (f"{task.why}; will be tried again" if task.why else "")


def _sizes(plan: Plan) -> dict[str, int]:
    return {name: int(schema.size or 0) for name, schema in plan.data.items()}
