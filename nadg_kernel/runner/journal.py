"""The run's own journal: numbers events, makes them durable in batches, and only then tells whoever listens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from nadg_kernel.model import Event, EventType
from nadg_kernel.runner.mailbox import now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from nadg_kernel.stores.base import Store


PATIENT = frozenset({EventType.ATTEMPT_STARTED, EventType.ATTEMPT_PROGRESS, EventType.WORKER_STATE})
"""Events on which nothing is decided: they wait a moment for others to share a sync of the disk with."""
PATIENCE_S = 0.05


class About(NamedTuple):
    """What an event is about: the run, one of its subtasks, a shard of that, or an attempt."""

    subtask: str | None = None
    shard: int | None = None
    attempt_id: str | None = None


RUN = About()


class Journal:
    """Events of one run in one epoch. `seq` goes on where the journal ended.

    `due` is when what was added should be flushed, on the loop's clock; infinite when there is nothing.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        clock: Callable[[], datetime],
        listener: Callable[[Event], None] | None,
    ) -> None:
        """Start empty; `epoch` and `seq` are set by the runner once it owns the run."""
        self.epoch = 0
        self.seq = 0
        self.due = math.inf
        self._store, self._run_id, self._clock, self._listener = store, run_id, clock, listener
        self._batch: list[Event] = []

    def add(self, kind: EventType, about: About = RUN, payload: dict[str, Any] | None = None) -> Event:
        """Number an event and keep it for the next `flush`."""
        self.seq += 1
        event = self.unwritten(kind, about, payload, seq=self.seq)
        self._batch.append(event)
        self.due = min(self.due, now() + PATIENCE_S if kind in PATIENT else now())
        return event

    def unwritten(
        self, kind: EventType, about: About = RUN, payload: dict[str, Any] | None = None, *, seq: int = 0
    ) -> Event:
        """An event that is not part of the journal."""
        return Event(
            run_id=self._run_id,
            epoch=self.epoch,
            seq=seq,
            at=self._clock(),
            type=kind,
            subtask=about.subtask,
            shard=about.shard,
            attempt_id=about.attempt_id,
            payload=payload or {},
        )

    async def flush(self) -> None:
        """Make everything durable, then tell the listener in order. Raises StaleEpoch and other StoreErrors."""
        if not self._batch:
            return
        batch, self._batch, self.due = self._batch, [], math.inf
        await self._store.append(self._run_id, self.epoch, batch)
        for event in batch:
            self.tell(event)

    def tell(self, event: Event) -> None:
        """Tell the listener about an event."""
        if self._listener is not None:
            self._listener(event)
