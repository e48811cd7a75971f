"""The plan as the scheduler keeps it: one record per subtask and shard, linked both ways."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from heapq import heappop, heappush
from itertools import chain, islice
from typing import TYPE_CHECKING

from nadg_kernel.model import Subtask, SubtaskState
from nadg_kernel.scheduler.fleet import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


Rank = tuple[int, float]


class Status(Enum):
    """Where a shard is."""

    IDLE = auto()
    """Not started: held back, or waiting out a delay."""
    QUEUED = auto()
    RUNNING = auto()
    GOOD = auto()
    CACHED = auto()
    FAILED = auto()
    CANCELLED = auto()


_NONE: dict[int, ShardRecord] = {}
"""Shared by all tasks without shards, never written: a dict of their own would double what 100,000 tasks cost."""
SETTLED = frozenset({Status.GOOD, Status.CACHED, Status.FAILED, Status.CANCELLED})


@dataclass(slots=True, eq=False)
class Queue:
    """Ready shards with the same needs: first come first served among equals, equals in a heap by their rank.

    A rank is (-priority, -longest remaining path). A task stands in line once for all its shards that were never
    started; a shard that is tried again stands in line itself, before its equals. What can no longer start, or changed
    its rank since, is dropped when met.
    """

    needs: frozenset[str]
    number: int
    ranks: list[Rank] = field(default_factory=list)
    equals: dict[Rank, deque[Task | ShardRecord]] = field(default_factory=dict)
    listed: tuple[Rank, int] | None = None
    """Its first shard's (rank, age) as it takes part in the choice between queues; None while it does not."""
    obstacle: str = ""

    def push_task(self, task: Task) -> None:
        """Add the shards of a task that were never started."""
        if task.lined != task.rank:
            task.lined = task.rank
            self._line(task.rank).append(task)

    def push_shard(self, record: ShardRecord) -> None:
        """Add a shard that is tried again."""
        self._line(record.task.rank).appendleft(record)

    def top(self) -> Task | ShardRecord | None:
        """What is first, left where it is."""
        while self.ranks:
            rank = self.ranks[0]
            line = self.equals[rank]
            while line:
                first = line[0]
                if isinstance(first, Task):
                    if first.lined == rank and first.has_fresh():
                        return first
                    if first.lined == rank:
                        first.lined = None
                elif first.status is Status.QUEUED and first.task.rank == rank:
                    return first
                line.popleft()
            del self.equals[heappop(self.ranks)]
        return None

    def take(self) -> ShardRecord:
        """Take out the first shard; `top` was just asked and gave something."""
        line = self.equals[self.ranks[0]]
        first = line[0]
        if isinstance(first, Task):
            return first.shard(first.fresh)
        line.popleft()
        return first

    def tasks(self, limit: int) -> list[Task]:
        """Tasks of up to `limit` of its entries."""
        entries = islice(chain.from_iterable(self.equals.values()), limit)
        return [entry if isinstance(entry, Task) else entry.task for entry in entries]

    def _line(self, rank: Rank) -> deque[Task | ShardRecord]:
        line = self.equals.get(rank)
        if line is None:
            line = self.equals[rank] = deque()
            heappush(self.ranks, rank)
        return line


@dataclass(slots=True, eq=False)
class Trouble:
    """What went wrong with a shard so far. `avoid` are the workers that lost or rejected it."""

    unlucky: int = 0
    busy: int = 0
    failed: int = 0
    not_before: float = 0.0
    avoid: tuple[str, ...] = ()
    why: str = ""


@dataclass(slots=True, eq=False)
class ShardRecord:
    """One shard of a subtask."""

    task: Task
    number: int
    status: Status = Status.IDLE
    attempts: int = 0
    attempt_id: str | None = None
    worker: Worker | None = None
    token: int = 0
    """The number of the timer that counts; all other timers of this shard are void."""
    trouble: Trouble | None = None


@dataclass(slots=True, eq=False)
class Task:
    """One subtask and how far it is. `blockers` counts the dependencies that are not done yet."""

    subtask: Subtask
    queue: Queue
    children: tuple[str, ...] = ()
    """Ids of what depends on it. Names, not records: the garbage collector then has less to look at."""
    rank: Rank = (0, 0.0)
    blockers: int = 0
    count: int | None = None
    shards: dict[int, ShardRecord] = field(default_factory=lambda: _NONE)
    """Those that were started, settled or looked at, while the task is open."""
    fresh: int = 0
    """No shard from here on was started yet, except those in `shards`."""
    lined: Rank | None = None
    """The rank at which it stands in its queue."""
    unsettled: int = 0
    running: int = 0
    hold: bool = False
    stop: SubtaskState | None = None
    reason: str = ""
    why: str = ""
    """What went wrong last with a shard that will be tried again."""
    final: SubtaskState | None = None
    since: int = 0
    """Its age: a number that rises with the time at which its dependencies were done; 0 before."""
    movable: bool = False
    seconds: float = 0.0
    """Sum of durations of `timed` shards that succeeded."""
    timed: int = 0
    reported: SubtaskState | None = None
    reported_reason: str = ""

    @property
    def done(self) -> bool:
        """Whether it is over and its dependents may start."""
        return self.final is not None and self.final.good

    @property
    def bad(self) -> bool:
        """Whether it is over and its dependents are skipped."""
        return self.final is not None and not self.final.good

    @property
    def open(self) -> bool:
        """Whether its shards may start as far as dependencies go."""
        return self.blockers == 0 and self.count is not None

    @property
    def state(self) -> SubtaskState:
        """The state in the words of the design."""
        if self.final is not None:
            return self.final
        if self.running:
            return SubtaskState.RUNNING
        if self.hold:
            return SubtaskState.HELD
        return SubtaskState.READY if self.open else SubtaskState.WAITING

    def has_fresh(self) -> bool:
        """Whether a shard that was never started may start; `fresh` is its number then."""
        if self.hold or self.stop is not None or self.final is not None or self.blockers or self.count is None:
            return False
        while self.fresh in self.shards:
            self.fresh += 1
        return self.fresh < self.count

    def shard(self, number: int) -> ShardRecord:
        """The record of a shard, made when first asked for."""
        found = self.shards.get(number)
        if found is None:
            if self.shards is _NONE:
                self.shards = {}
            found = self.shards[number] = ShardRecord(self, number)
        return found

    def let_go(self) -> None:
        """Its shards are over: forget them one by one."""
        self.shards = _NONE

    def clear(self) -> None:
        """Back to the beginning; what its attempts still bring no longer counts."""
        self.shards, self.fresh, self.unsettled, self.running = _NONE, 0, 0, 0
        self.stop, self.reason, self.why, self.final = None, "", "", None
        self.seconds, self.timed, self.since = 0.0, 0, 0


def link(
    subtasks: Iterable[Subtask],
    old: Mapping[str, Task],
    queue: Callable[[Subtask], Queue],
    estimates: Mapping[str, float],
) -> dict[str, Task]:
    """Tasks in an order in which each comes after its dependencies, with their longest remaining paths.

    Records of `old` are kept. Raises ValueError for a cycle or a dependency that does not exist: an approved plan has
    neither.
    """
    tasks: dict[str, Task] = {}
    for subtask in subtasks:
        task = old.get(subtask.id)
        if task is None:
            task = Task(subtask, queue(subtask), hold=subtask.hold, blockers=len(subtask.depends_on))
            task.count = 1 if subtask.map is None else None
        else:
            if subtask.hold != task.subtask.hold:
                task.hold = subtask.hold
            task.subtask, task.queue = subtask, queue(subtask)
        tasks[subtask.id] = task
    _link_children(tasks)
    ordered = _in_order(tasks)
    ranks: dict[Rank, Rank] = {}
    unknown = sum(estimates.values()) / len(estimates) if estimates else 1.0  # neither short nor long beside them
    for task in reversed(ordered):
        after = -min([tasks[name].rank[1] for name in task.children], default=0.0)
        rank = (-task.subtask.priority, -(estimates.get(task.subtask.id, unknown) + after))
        task.rank = ranks.setdefault(rank, rank)
    return {task.subtask.id: task for task in ordered}


def _link_children(tasks: Mapping[str, Task]) -> None:
    """Tell each task what depends on it, without a list per task: those cost more than the rest at 100,000 tasks."""
    ends = dict.fromkeys(tasks, 0)
    for name, task in tasks.items():
        for need in task.subtask.depends_on:
            if need not in ends:
                raise ValueError(f"{name} depends on {need}, which is not in the plan")
            ends[need] += 1
    total = 0
    for name, number in ends.items():
        ends[name] = total  # where its children begin; moved to their end as they are filled in
        total += number
    flat = [""] * total
    for name, task in tasks.items():
        for need in task.subtask.depends_on:
            flat[ends[need]] = name
            ends[need] += 1
    begin = 0
    for name, task in tasks.items():
        task.children = tuple(flat[begin : ends[name]])
        begin = ends[name]


def _in_order(tasks: Mapping[str, Task]) -> list[Task]:
    left = {name: len(task.subtask.depends_on) for name, task in tasks.items()}
    ordered = [task for task in tasks.values() if not task.subtask.depends_on]
    for task in ordered:  # grows while it is walked
        for child in task.children:
            left[child] -= 1
            if not left[child]:
                ordered.append(tasks[child])
    if len(ordered) < len(tasks):
        stuck = sorted(name for name, count in left.items() if count)
        raise ValueError(f"the plan has a cycle through {', '.join(stuck[:5])}")
    return ordered


def with_descendants(tasks: Mapping[str, Task], names: Iterable[str]) -> set[str]:
    """Those of `names` that are in the plan, and all that depends on them."""
    found = {name for name in names if name in tasks}
    todo = list(found)
    while todo:
        for child in tasks[todo.pop()].children:
            if child not in found:
                found.add(child)
                todo.append(child)
    return found
