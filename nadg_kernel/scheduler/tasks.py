"""The plan as the scheduler keeps it: one record per subtask and shard, linked both ways."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
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


SETTLED = frozenset({Status.GOOD, Status.CACHED, Status.FAILED, Status.CANCELLED})


@dataclass(slots=True, eq=False)
class Queue:
    """Ready shards with the same needs: first come first served among equals, equals in a heap by their rank.

    A rank is (-priority, -longest remaining path). A shard whose status or rank changed since is dropped when met.
    """

    needs: frozenset[str]
    number: int
    ranks: list[Rank] = field(default_factory=list)
    equals: dict[Rank, deque[ShardRecord]] = field(default_factory=dict)
    listed: tuple[Rank, int] | None = None
    """Its first shard's (rank, age) as it takes part in the choice between queues; None while it does not."""
    obstacle: str = ""

    def push(self, record: ShardRecord, *, first: bool) -> Rank:
        """Add a shard, before its equals if it has waited once already; gives its rank."""
        rank = record.task.rank
        line = self.equals.get(rank)
        if line is None:
            line = self.equals[rank] = deque()
            heappush(self.ranks, rank)
        if first:
            line.appendleft(record)
        else:
            line.append(record)
        return rank

    def top(self) -> ShardRecord | None:
        """The first shard, left where it is."""
        while self.ranks:
            rank = self.ranks[0]
            line = self.equals[rank]
            while line:
                record = line[0]
                if record.status is Status.QUEUED and record.task.rank == rank:
                    return record
                line.popleft()
            del self.equals[heappop(self.ranks)]
        return None

    def drop(self) -> None:
        """Take the first shard (what `top` gave) out."""
        self.equals[self.ranks[0]].popleft()

    def some(self, limit: int) -> list[ShardRecord]:
        """Up to `limit` of its shards."""
        return [r for r in islice(chain.from_iterable(self.equals.values()), limit) if r.status is Status.QUEUED]


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
    shards: Sequence[ShardRecord] = ()
    """Made when it opens, let go when it is over."""
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

    def clear(self) -> None:
        """Back to the beginning; what its attempts still bring no longer counts."""
        self.shards, self.unsettled, self.running = (), 0, 0
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
    children: dict[str, list[str]] = {}
    for name, task in tasks.items():
        for need in task.subtask.depends_on:
            if need not in tasks:
                raise ValueError(f"{name} depends on {need}, which is not in the plan")
            children.setdefault(need, []).append(name)
    for name, task in tasks.items():
        task.children = tuple(children.get(name, ()))
    ordered = _in_order(tasks)
    ranks: dict[Rank, Rank] = {}
    for task in reversed(ordered):
        after = -min([tasks[name].rank[1] for name in task.children], default=0.0)
        rank = (-task.subtask.priority, -(estimates.get(task.subtask.id, 1.0) + after))
        task.rank = ranks.setdefault(rank, rank)
    return {task.subtask.id: task for task in ordered}


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
