"""How runs of one kernel share the workers' places, so that none is refused what another has taken."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    from nadg_kernel.engines.base import Engine


class Places:
    """One run's share of the places on an engine's workers.

    A run leaves a place on each worker to every other run that wants one there and is worse off: fewer attempts under
    way or, with as many, a last one longer ago. So runs come to have equally many. They all live on one loop.
    """

    def __init__(self, engine: Engine, wake: Callable[[], None]) -> None:
        """`wake` is called when what others take or want has changed."""
        self.taken: dict[str, str] = {}
        """Attempt id -> worker of what this run has under way."""
        self.wanted: frozenset[str] = frozenset()
        self.wake = wake
        self._last = next(_COUNT)
        self._sharing = _SHARING.setdefault(engine, [])
        self._alone = True

    def join(self) -> None:
        """The run is under way."""
        self._sharing.append(self)
        self._tell_others()

    def leave(self) -> None:
        """The run is at rest."""
        self._sharing.remove(self)
        self.wanted = frozenset()
        self._tell_others()

    def crowded(self) -> bool:
        """Whether `elsewhere` may have changed since this was last asked."""
        before, self._alone = self._alone, len(self._sharing) == 1
        return not (before and self._alone)

    def take(self, attempt_id: str, worker_id: str) -> None:
        """An attempt is going to be sent."""
        self.taken[attempt_id] = worker_id
        self._last = next(_COUNT)

    @property
    def wealth(self) -> tuple[int, int]:
        """How well off the run is; no two runs are equally so."""
        return len(self.taken), self._last

    def give_back(self, attempt_id: str) -> None:
        """An attempt is over."""
        if self.taken.pop(attempt_id, None) is not None:
            self._tell_others()

    def want(self, workers: frozenset[str]) -> None:
        """The workers that could take what is ready here, and have no room for it."""
        if workers != self.wanted:
            self.wanted = workers
            self._tell_others()

    def elsewhere(self, worker_id: str) -> int:
        """How many of a worker's places others use, or are left to them."""
        places = 0
        for other in self._others():
            places += sum(taken == worker_id for taken in other.taken.values())
            places += worker_id in other.wanted and other.wealth < self.wealth
        return places

    def _others(self) -> list[Places]:
        return [other for other in self._sharing if other is not self]

    def _tell_others(self) -> None:
        for other in self._others():
            other.wake()


_COUNT = count()
_SHARING: WeakKeyDictionary[Engine, list[Places]] = WeakKeyDictionary()
