"""What becomes of subtasks: waiting, ready, over; and what that means for those that depend on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nadg_kernel.model import Shard, SubtaskState
from nadg_kernel.scheduler.tasks import ShardRecord, Status, Task, link, with_descendants

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nadg_kernel.model import Subtask
    from nadg_kernel.scheduler.dispatch import Dispatch


class Cancel(NamedTuple):
    """Kill this attempt."""

    attempt_id: str
    worker: str
    shard: Shard


class Lifecycle:
    """The states of all subtasks, kept consistent through every transition.

    `dirty` are subtasks to report, `opened` those whose shards became startable, `unfixed` those whose shards must be
    counted, `cancels` the attempts to kill: each is drained by the scheduler.
    """

    def __init__(self, dispatch: Dispatch, estimates: Mapping[str, float]) -> None:
        """Start without subtasks."""
        self.tasks: dict[str, Task] = {}
        self.dirty: dict[Task, None] = {}
        self.opened: dict[str, None] = {}
        self.unfixed: dict[str, None] = {}
        self.cancels: list[Cancel] = []
        self.unfinished = 0
        self.movable = 0
        self._dispatch = dispatch
        self._estimates = dict(estimates)

    def named(self, subtask: str | None) -> list[Task]:
        """The subtask; with None all that are not over, each after what it depends on."""
        if subtask is None:
            return [task for task in self.tasks.values() if task.final is None]
        return [self.tasks[subtask]] if subtask in self.tasks else []

    def settle(self, record: ShardRecord, status: Status) -> None:
        """A shard is over."""
        record.status = status
        record.token = 0
        task = record.task
        task.unsettled -= 1
        self.dirty[task] = None
        if task.unsettled == 0:
            self._finish(task)

    def fix(self, subtask: str, number: int) -> None:
        """The shards of a mapped subtask are counted, once."""
        task = self.tasks.get(subtask)
        if task is None or task.count is not None:
            return
        task.count = number
        self.unfixed.pop(subtask, None)
        if task.final is None and task.blockers == 0:
            self._open(task)

    def hold(self, task: Task, *, on: bool, now: float) -> None:
        """Keep a subtask from starting, or let it; what runs goes on."""
        if task.final is not None or task.hold == on:
            return
        task.hold = on
        self.touch(task)
        if not on:
            self._dispatch.enqueue(task)
        for record in task.shards.values():
            if on and record.status is Status.QUEUED:
                record.status = Status.IDLE
            elif not on and record.status is Status.IDLE:
                if record.trouble is not None and record.trouble.not_before > now:
                    self._dispatch.later(record, record.trouble.not_before)
                else:
                    self._dispatch.enqueue_again(record)

    def stop(self, task: Task, state: SubtaskState, reason: str) -> None:
        """End a subtask because a person said so: what has not started never will, what runs is cancelled."""
        if task.final is not None:
            return
        first = task.stop is None
        task.stop, task.reason = state, reason
        self.touch(task)
        if not first:
            return
        task.unsettled -= (task.count or 0) - len(task.shards) if task.since else 0
        for record in task.shards.values():
            if record.status in {Status.IDLE, Status.QUEUED}:
                record.status = Status.CANCELLED
                record.token = 0
                task.unsettled -= 1
            elif record.status is Status.RUNNING and record.attempt_id is not None:
                self.cancels.append(cancel_of(record))
        if not task.running:
            self._end(task, state, reason)

    def touch(self, task: Task) -> None:
        """Report a subtask, and keep the count of those that can go on without a person."""
        movable = task.final is None and task.blockers == 0 and not task.hold
        if movable != task.movable:
            task.movable = movable
            self.movable += 1 if movable else -1
        self.dirty[task] = None

    def load(self, subtasks: Iterable[Subtask], reset: Iterable[str], changed: frozenset[str]) -> set[str]:
        """Take subtasks over; those in `reset`, all that depends on them, and new ones start from the beginning.

        The others keep what is known of them. Gives the ids that start anew. Raises ValueError as `link` does.
        """
        old = self.tasks
        self.tasks = link(subtasks, old, self._dispatch.queue, self._estimates)
        for name, task in old.items():
            if name not in self.tasks:
                self._drop(task)
        anew = with_descendants(self.tasks, reset)
        for name in anew:
            self._renew(self.tasks[name], anew, changed)
        anew.update(name for name in self.tasks if name not in old)
        self.unfinished = sum(task.final is None for task in self.tasks.values())
        if old:
            for task in self.tasks.values():
                task.blockers = sum(not parent.done for parent in self.parents(task))
        for name, task in self.tasks.items():
            if task.final is None:
                self._take_up(task, anew=name in anew)
        return anew

    def parents(self, task: Task) -> list[Task]:
        """What it depends on."""
        return [self.tasks[name] for name in task.subtask.depends_on]

    def _renew(self, task: Task, anew: set[str], changed: frozenset[str]) -> None:
        self._abandon(task)
        over = task.subtask.map
        if over is None:
            task.count = 1
        elif over.over in anew or task.subtask.id in changed:
            task.count = None
        task.clear()
        self.unfixed.pop(task.subtask.id, None)

    def _take_up(self, task: Task, *, anew: bool) -> None:
        """Put a subtask of a plan just loaded where it belongs; its dependencies already are."""
        bad = next((parent for parent in self.parents(task) if parent.bad), None) if task.blockers else None
        if bad is not None:
            self._end(task, SubtaskState.SKIPPED, _skipped_by(bad))
        elif not anew:  # priority or path may have changed
            self._dispatch.enqueue(task)
            for record in task.shards.values():
                if record.status is Status.QUEUED:
                    self._dispatch.enqueue_again(record)
        elif not task.blockers and not task.since:
            self._unblock(task)
        self.touch(task)

    def _finish(self, task: Task) -> None:
        """All shards are settled: what they add up to."""
        statuses = {record.status for record in task.shards.values()}
        if task.stop is not None:
            self._end(task, task.stop, task.reason)
        elif Status.FAILED in statuses:
            self._end(task, SubtaskState.FAILED, _blame(task, Status.FAILED))
        elif Status.CANCELLED in statuses:
            self._end(task, SubtaskState.CANCELLED, _blame(task, Status.CANCELLED))
        else:
            self._end(task, SubtaskState.CACHED if statuses == {Status.CACHED} else SubtaskState.SUCCEEDED, "")

    def _end(self, task: Task, final: SubtaskState, reason: str) -> None:
        """A subtask is over; tell what depends on it."""
        task.final, task.reason = final, reason
        task.let_go()
        self.unfinished -= 1
        self.unfixed.pop(task.subtask.id, None)
        self.touch(task)
        if final.good:
            for name in task.children:
                child = self.tasks[name]
                if child.final is None:
                    child.blockers -= 1
                    if not child.blockers:
                        self._unblock(child)
            return
        todo = [task]
        while todo:
            parent = todo.pop()
            for name in parent.children:
                child = self.tasks[name]
                if child.final is None:
                    child.final, child.reason = SubtaskState.SKIPPED, _skipped_by(parent)
                    self.unfinished -= 1
                    self.touch(child)
                    todo.append(child)

    def _unblock(self, task: Task) -> None:
        task.since = next(self._dispatch.numbers)
        self.touch(task)
        if task.count is None:
            self.unfixed[task.subtask.id] = None
        else:
            self._open(task)

    def _open(self, task: Task) -> None:
        task.unsettled = task.count or 0
        self.opened[task.subtask.id] = None
        self.dirty[task] = None
        if task.unsettled:
            self._dispatch.enqueue(task)
        else:
            self._finish(task)

    def _drop(self, task: Task) -> None:
        self._abandon(task)
        task.final = SubtaskState.SKIPPED
        self.touch(task)
        self.dirty.pop(task, None)
        self.unfixed.pop(task.subtask.id, None)

    def _abandon(self, task: Task) -> None:
        """Whatever still runs for it no longer counts, and is cancelled."""
        for record in task.shards.values():
            if record.attempt_id is not None:
                self.cancels.append(cancel_of(record))
                record.attempt_id = None
            record.token = 0
            record.status = Status.CANCELLED


def cancel_of(record: ShardRecord) -> Cancel:
    """The order to kill what runs for a shard."""
    worker = "" if record.worker is None else record.worker.id
    return Cancel(record.attempt_id or "", worker, Shard(record.task.subtask.id, record.number))


def _skipped_by(parent: Task) -> str:
    return f"{parent.subtask.id} was {parent.final}"


def _blame(task: Task, status: Status) -> str:
    bad = [record for record in task.shards.values() if record.status is status]
    first = min(bad, key=lambda record: record.number)
    why = "" if first.trouble is None else first.trouble.why
    if task.count == 1:
        return why
    more = f" ({len(bad)} of {task.count} shards)" if len(bad) > 1 else ""
    return f"shard {first.number}: {why}{more}"
