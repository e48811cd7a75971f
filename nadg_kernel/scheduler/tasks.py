"""The plan as the scheduler keeps it: one record per subtask and shard, linked both ways."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from nadg_kernel.model import Subtask, SubtaskState
from nadg_kernel.scheduler.fleet import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


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
    """Ready shards with the same needs: a heap of (key, token, shard), emptied lazily."""

    needs: frozenset[str]
    number: int
    heap: list[tuple[tuple[int, float, int, int], int, ShardRecord]] = field(default_factory=list)
    listed: tuple[int, float, int, int] | None = None
    """Its key in the scheduler's heap of queues; None while no free worker could serve it."""
    obstacle: str = ""


@dataclass(slots=True, eq=False)
class ShardRecord:
    """One shard of a subtask. `avoid` are the workers that lost or rejected it."""

    task: Task
    number: int
    status: Status = Status.IDLE
    attempts: int = 0
    unlucky: int = 0
    busy: int = 0
    failed: int = 0
    not_before: float = 0.0
    avoid: tuple[str, ...] = ()
    attempt_id: str | None = None
    worker: Worker | None = None
    token: int = 0
    """Rises whenever queue or timer entries made earlier must no longer count."""
    why: str = ""


@dataclass(slots=True, eq=False)
class Task:
    """One subtask and how far it is. `blockers` counts the dependencies that are not done yet."""

    subtask: Subtask
    queue: Queue
    parents: list[Task] = field(default_factory=list)
    children: list[Task] = field(default_factory=list)
    path: float = 1.0
    blockers: int = 0
    count: int | None = None
    shards: list[ShardRecord] = field(default_factory=list)
    unsettled: int = 0
    running: int = 0
    hold: bool = False
    stop: SubtaskState | None = None
    reason: str = ""
    why: str = ""
    """What went wrong last with a shard that will be tried again."""
    final: SubtaskState | None = None
    since: int = 0
    movable: bool = False
    seconds: float = 0.0
    """Sum of durations of `timed` shards that succeeded."""
    timed: int = 0
    reported: tuple[SubtaskState, str] | None = None

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
        self.shards, self.unsettled, self.running = [], 0, 0
        self.stop, self.reason, self.why, self.final = None, "", "", None
        self.seconds, self.timed = 0.0, 0


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
            task = Task(subtask, queue(subtask), hold=subtask.hold)
        else:
            if subtask.hold != task.subtask.hold:
                task.hold = subtask.hold
            task.subtask, task.queue = subtask, queue(subtask)
        task.parents, task.children = [], []
        tasks[subtask.id] = task
    for task in tasks.values():
        for name in task.subtask.depends_on:
            if name not in tasks:
                raise ValueError(f"{task.subtask.id} depends on {name}, which is not in the plan")
            task.parents.append(tasks[name])
            tasks[name].children.append(task)
    ordered = _in_order(tasks)
    for task in reversed(ordered):
        task.path = estimates.get(task.subtask.id, 1.0) + max((child.path for child in task.children), default=0.0)
    return {task.subtask.id: task for task in ordered}


def _in_order(tasks: Mapping[str, Task]) -> list[Task]:
    left = {name: len(task.parents) for name, task in tasks.items()}
    ordered = [task for task in tasks.values() if not task.parents]
    for task in ordered:  # grows while it is walked
        for child in task.children:
            left[child.subtask.id] -= 1
            if not left[child.subtask.id]:
                ordered.append(child)
    if len(ordered) < len(tasks):
        stuck = sorted(name for name, count in left.items() if count)
        raise ValueError(f"the plan has a cycle through {', '.join(stuck[:5])}")
    return ordered


def descendants(roots: Iterable[Task]) -> set[Task]:
    """The roots and all that depends on them."""
    found = set(roots)
    todo = list(found)
    while todo:
        for child in todo.pop().children:
            if child not in found:
                found.add(child)
                todo.append(child)
    return found
