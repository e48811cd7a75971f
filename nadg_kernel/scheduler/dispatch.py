"""Who is next and where it goes: queues of ready shards, timers, and the choice between them."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

from nadg_kernel.scheduler.tasks import Queue, Rank, ShardRecord, Status, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nadg_kernel.model import Subtask
    from nadg_kernel.scheduler.fleet import Fleet, Worker

INPUTS_WEIGHED = 16
"""Inputs of a subtask that count when a worker is chosen for the data it holds."""
NOTED = 200
"""Ready shards whose subtasks are told at once that the obstacle changed; for the rest `waiting_for` is asked."""


class Dispatch:
    """Ready shards by what they need, and the timers of those that wait.

    Choice: priority, then longest remaining path, then age, then number, over all queues that a free worker could
    serve. A queue that found no worker is looked at again when one of its workers gets free.
    """

    def __init__(self, fleet: Fleet, requires: Callable[[Subtask], frozenset[str]]) -> None:
        """Start empty. `requires` says what labels a worker must offer for a subtask."""
        self.fleet = fleet
        self.numbers = count(1)
        self._requires = requires
        self._queues: dict[frozenset[str], Queue] = {}
        self._active: list[tuple[tuple[Rank, int], int, Queue]] = []
        self._timers: list[tuple[float, int, ShardRecord | Worker]] = []

    def queue(self, subtask: Subtask) -> Queue:
        """The queue that a subtask's shards join."""
        needs = self._requires(subtask)
        found = self._queues.get(needs)
        if found is None:
            found = self._queues[needs] = Queue(needs, len(self._queues))
            found.obstacle = self.fleet.obstacle(self.fleet.group(needs))
        return found

    def enqueue(self, task: Task) -> None:
        """Make the shards of a task that were never started ready, unless a person holds or ended it."""
        task.queue.push_task(task)
        self._consider(task)

    def enqueue_again(self, record: ShardRecord) -> None:
        """Make a shard that was started before ready, unless a person holds or ended its subtask."""
        task = record.task
        if task.hold or task.stop is not None:
            record.status = Status.IDLE
            return
        record.status = Status.QUEUED
        task.queue.push_shard(record)
        self._consider(task)

    def later(self, record: ShardRecord, at: float) -> None:
        """Make a shard ready at a time."""
        record.status = Status.IDLE
        record.token = next(self.numbers)
        heappush(self._timers, (at, record.token, record))

    def look_again(self, worker: Worker, at: float) -> None:
        """Consider a worker free again at a time, if it is."""
        heappush(self._timers, (at, next(self.numbers), worker))

    def offer(self, worker: Worker, now: float) -> None:
        """A worker may have become free."""
        self.fleet.offer(worker, now)
        self.relist(worker)

    def relist(self, worker: Worker) -> None:
        """Let the queues that a worker could serve take part in the choice again."""
        for group in worker.groups:
            queue = self._queues.get(group.needs)
            if queue is not None and queue.listed is None and queue.ranks:
                self._list(queue)

    def pairs(self, now: float) -> Iterator[tuple[ShardRecord, Worker]]:
        """The next shard and its worker, until nothing more can start. The caller marks each as running at once."""
        self._fire(now)
        while self._active:
            key, _, queue = heappop(self._active)
            if queue.listed != key:
                continue
            queue.listed = None
            first = queue.top()
            if first is None:
                continue
            task = first if isinstance(first, Task) else first.task
            if (task.rank, task.since) != key:
                self._list(queue)
                continue
            avoid = () if isinstance(first, Task) or first.trouble is None else first.trouble.avoid
            inputs = task.subtask.inputs[:INPUTS_WEIGHED]
            worker = self.fleet.choose(self.fleet.group(queue.needs), avoid, inputs, now)
            if worker is not None:
                record = queue.take()
                yield record, worker
                self._list(queue)

    def wake_at(self) -> float | None:
        """When the next timer is due."""
        while self._timers and not self._pending(self._timers[0]):
            heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def wanted(self, now: float) -> frozenset[str]:
        """Workers that would take something ready if they had room."""
        waiting = [self.fleet.group(queue.needs) for queue in self._queues.values() if queue.top() is not None]
        return frozenset(
            worker.id for group in waiting for worker in group.members.values() if self.fleet.willing(worker, now)
        )

    def worker_state(self, payload: Mapping[str, Any], now: float) -> list[Task]:
        """Take over a worker's state; gives the subtasks whose obstacle changed by it."""
        worker = self.fleet.update(payload)
        if payload.get("state") == "removed":
            self.fleet.remove(worker)
        else:
            self.offer(worker, now)
        noted: list[Task] = []
        for queue in self._queues.values():
            obstacle = self.fleet.obstacle(self.fleet.group(queue.needs))
            if obstacle != queue.obstacle:
                queue.obstacle = obstacle
                noted += queue.tasks(NOTED)
        return noted

    def _fire(self, now: float) -> None:
        while self._timers and (self._timers[0][0] <= now or not self._pending(self._timers[0])):
            timer = heappop(self._timers)
            what = timer[2]
            if not self._pending(timer):
                continue
            if isinstance(what, ShardRecord):
                self.enqueue_again(what)
            else:
                self.offer(what, now)

    @staticmethod
    def _pending(timer: tuple[float, int, ShardRecord | Worker]) -> bool:
        _, number, what = timer
        return not isinstance(what, ShardRecord) or what.token == number

    def _consider(self, task: Task) -> None:
        queue = task.queue
        if queue.listed is None or (task.rank, task.since) < queue.listed:
            self._list(queue)

    def _list(self, queue: Queue) -> None:
        """Let a queue take part in the choice with its first shard."""
        first = queue.top()
        if first is None:
            queue.listed = None
            return
        task = first if isinstance(first, Task) else first.task
        key = (task.rank, task.since)
        if queue.listed is None or key < queue.listed:
            queue.listed = key
            heappush(self._active, (key, queue.number, queue))
