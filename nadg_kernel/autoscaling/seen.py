"""What the policy decides on, made of what a grid knows: workers as members, plans and runs as demand."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from nadg_kernel.autoscaling.policy import Demand, Kind, Member
from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.scheduler import MODULE, labels_offered

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from nadg_kernel.engines.base import WorkerState
    from nadg_kernel.model import Plan, Subtask

MANY = 1_000
"""Shards of a map whose count is not known yet."""
_ON = frozenset({WorkerHealth.READY, WorkerHealth.WAKING})


def plan_demand(
    plan: Plan, shards: Mapping[str, int | None], requires: Callable[[Subtask], frozenset[str]]
) -> tuple[Demand, ...]:
    """All shards of a plan, by what they need; a map whose count is not known yet counts as many."""
    counts: Counter[frozenset[str]] = Counter()
    for item in plan.subtasks:
        known = shards.get(item.id)
        counts[requires(item)] += MANY if known is None else known
    return demands_of(counts)


def demands_of(backlog: Mapping[frozenset[str], int]) -> tuple[Demand, ...]:
    """Waiting shards by what they need, as demand."""
    return tuple(Demand(needs=needs, waiting=waiting) for needs, waiting in backlog.items() if waiting > 0)


def modules_in(demands: Iterable[Demand]) -> frozenset[str]:
    """The labels of modules that are asked for: only these have to be compared."""
    return frozenset(label for demand in demands for label in demand.needs if label.startswith(MODULE))


def offers(state: WorkerState, labels: Collection[str], asked: frozenset[str]) -> frozenset[str]:
    """What a worker offers of labels and of the modules asked for; all of these where it has not said."""
    modules = asked if state.modules is None else asked & {MODULE + name for name in state.modules}
    return labels_offered(labels) | modules


def member(
    state: WorkerState,
    *,
    labels: Collection[str],
    asked: frozenset[str],
    busy: int = 0,
    coming: bool = False,
    ours: bool = False,
    idle_since: float | None = None,
) -> Member:
    """A worker as the policy sees it. A remote one that sleeps can be started; one that is offline or refuses cannot.

    `labels` are those that it, or its row in the registry, is known to offer; `busy` what our own runs have on it.
    """
    on = state.health in _ON or coming or state.local
    busy = max(busy, state.running)
    kind = Kind.LOCAL if state.local else Kind.SPACE if state.health is WorkerHealth.ASLEEP or ours else Kind.FIXED
    refused = state.health in {WorkerHealth.REFUSING, WorkerHealth.OFFLINE} and not coming
    return Member(
        name=state.worker_id,
        kind=kind,
        offers=offers(state, labels, asked),
        places=0 if refused else max(1, state.capacity),
        busy=busy,
        on=on,
        coming=coming or state.health is WorkerHealth.WAKING,
        ours=ours,
        idle_since=None if busy or not on else idle_since,
    )
