"""The workers as a runner knows them: what is news of them, and who could take a subtask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.runner.caching import environment, imported_modules
from nadg_kernel.scheduler import MODULE, labels_needed, labels_offered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nadg_kernel.engines.base import WorkerState
    from nadg_kernel.model import Subtask


class News(NamedTuple):
    """A worker's state: as it is journalled, as the scheduler is told, and whether the journal needs it."""

    payload: dict[str, Any]
    told: dict[str, Any]
    new: bool


class Roster:
    """Last known states by worker id."""

    def __init__(self, brought: Callable[[Subtask], frozenset[str]] = lambda _subtask: frozenset()) -> None:
        """Nobody is known. `brought` are the modules that come along with a subtask, which no worker needs."""
        self._brought = brought
        self.states: dict[str, WorkerState] = {}
        self._seen: dict[str, tuple[Any, ...]] = {}
        self._surroundings: dict[str, dict[str, str | None]] = {}

    def update(self, state: WorkerState, subtasks: Iterable[Subtask]) -> News:
        """Take a worker's state over. It offers those of the modules that the subtasks import; all if unknown."""
        before = self.states.get(state.worker_id)
        if before is None or before.packages != state.packages:
            self._surroundings[state.worker_id] = {}
        self.states[state.worker_id] = state
        payload: dict[str, Any] = {
            "worker": state.worker_id,
            "state": str(WorkerHealth(state.health)),
            "capacity": state.capacity,
            "labels": sorted(state.labels),
            "reason": state.reason,
            "latency_ms": state.latency_ms,
            "boot_id": state.boot_id,
        }
        seen = (payload["state"], state.capacity, state.labels, state.reason, state.boot_id)
        new = self._seen.get(state.worker_id) != seen
        self._seen[state.worker_id] = seen
        needed = frozenset(label for item in subtasks for label in modules_needed(item, self._brought(item)))
        offered = needed if state.modules is None else needed & _modules(state)
        return News(payload, {**payload, "labels": [*payload["labels"], *sorted(offered)]}, new)

    def remove(self, worker_id: str) -> News:
        """Forget a worker that is no longer there."""
        del self.states[worker_id]
        self._seen.pop(worker_id, None)
        self._surroundings.pop(worker_id, None)
        payload: dict[str, Any] = {"worker": worker_id, "state": "removed", "capacity": 0, "labels": []}
        return News(payload, payload, new=True)

    def environments(self, subtask: Subtask) -> frozenset[str]:
        """The different surroundings that workers who could take it would give its code."""
        needed = needs(subtask, self._brought(subtask))
        able = [name for name, state in self.states.items() if needed <= labels_offered(state.labels) | _modules(state)]
        return frozenset(found for name in able if (found := self.surroundings(subtask, name)) is not None)

    def surroundings(self, subtask: Subtask, worker_id: str) -> str | None:
        """What of a worker could change what the subtask's code gives; None if that, or the worker, is not known."""
        state = self.states.get(worker_id)
        if state is None:
            return None
        known = self._surroundings[worker_id]
        if subtask.code not in known:
            known[subtask.code] = environment(subtask.code, state)
        return known[subtask.code]


def needs(subtask: Subtask, brought: frozenset[str] = frozenset()) -> frozenset[str]:
    """Labels that a worker must offer, the modules that the code imports among them."""
    return labels_needed(subtask) | modules_needed(subtask, brought)


def modules_needed(subtask: Subtask, brought: frozenset[str] = frozenset()) -> frozenset[str]:
    """The labels of the modules that the code imports and that do not come along with it."""
    if subtask.kind != "python":
        return frozenset()
    return frozenset(MODULE + name for name in imported_modules(subtask.code) - brought)


def _modules(state: WorkerState) -> frozenset[str]:
    return frozenset(MODULE + name for name in state.modules or ())
