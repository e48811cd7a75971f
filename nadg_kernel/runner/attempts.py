"""Attempts under way: sent, followed to their end, killed; what they say on its way to the journal."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from nadg_kernel.engines.base import AttemptEvent
from nadg_kernel.model import EventType, Outcome
from nadg_kernel.runner.flights import Flight
from nadg_kernel.runner.mailbox import now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Mapping

    from nadg_kernel.engines.base import AttemptSpec, Engine
    from nadg_kernel.runner.ledger import Ledger
    from nadg_kernel.runner.mailbox import Mailbox
    from nadg_kernel.runner.places import Places

MEET_S = 10.0
"""How long a resumed run waits for the worker of an attempt to be known to the engine."""
_SILENT: Mapping[str, Any] = {"outcome": "lost", "reason": "the engine stopped reporting before the attempt ended"}


class Attempts:
    """The engine's side of a run. An attempt that is over is heard no more, whatever the engine still says."""

    def __init__(self, ledger: Ledger, engine: Engine, mailbox: Mailbox, places: Places, kill_s: float) -> None:
        """`kill_s` is how long the end of a killed attempt is waited for before it counts as ended."""
        self._ledger, self._engine, self._mailbox, self._places = ledger, engine, mailbox, places
        self._kill_s = kill_s
        self._flights: dict[str, Flight] = {}
        self._kills: set[asyncio.Task[Any]] = set()

    def expect(self, spec: AttemptSpec, *, after_id: int = 0) -> None:
        """An attempt of an earlier epoch may still run: `follow_again` will ask for it."""
        self._places.take(spec.attempt_id, spec.worker_id)
        self._flights[spec.attempt_id] = Flight(spec, began=now(), after_id=after_id)

    def submit(self, spec: AttemptSpec) -> None:
        """Send an attempt whose intent is durable."""
        flight = self._flights[spec.attempt_id] = Flight(spec, began=now())
        self._follow(flight, self._engine.submit(spec))

    def follow_again(self) -> None:
        """Follow what was sent before and not heard to its end."""
        for flight in list(self._flights.values()):
            flight.reattached = True
            self._follow(flight, self._reattached(flight))

    def kill(self, attempt_id: str, worker_id: str) -> None:
        """Kill an attempt; it is followed until the worker confirms its end, or for a while."""
        flight = self._flights.get(attempt_id)
        if flight is not None:
            flight.kill_by = now() + self._kill_s
        task = self._mailbox.spawn(self._engine.cancel(attempt_id, worker_id))
        self._kills.add(task)
        task.add_done_callback(self._kills.discard)

    def abandon(self, subtasks: Collection[str], reason: str) -> None:
        """End what runs for these subtasks now, and kill it."""
        for flight in [item for item in self._flights.values() if item.spec.subtask in subtasks]:
            self._end(flight, {"outcome": Outcome.CANCELLED, "reason": reason})
            if flight.task is not None:
                flight.task.cancel()
            self.kill(flight.spec.attempt_id, flight.spec.worker_id)

    async def kill_all(self) -> list[BaseException]:
        """Kill everything without waiting for its end; gives what went wrong in that."""
        kills = [self._engine.cancel(key, flight.spec.worker_id) for key, flight in self._flights.items()]
        results = await asyncio.gather(*kills, return_exceptions=True)
        return [item for item in results if isinstance(item, BaseException)]

    async def kills_sent(self) -> None:
        """Wait until all kills have reached their workers, within reason."""
        if self._kills:
            await asyncio.wait(self._kills, timeout=self._kill_s)

    def due(self) -> Iterator[float]:
        """When `overdue` will have something to do."""
        for flight in self._flights.values():
            if flight.output:
                yield flight.output.ready_at
            if flight.kill_by is not None:
                yield flight.kill_by

    def overdue(self) -> None:
        """Journal what was said a while ago, and stop waiting for ends that do not come."""
        moment = now()
        for flight in list(self._flights.values()):
            if flight.output and flight.output.ready_at <= moment:
                self._say(flight)
            if flight.kill_by is not None and flight.kill_by <= moment:
                reason = "the worker did not confirm the kill in time"
                self._end(flight, {"outcome": Outcome.CANCELLED, "reason": reason})

    async def _reattached(self, flight: Flight) -> AsyncIterator[AttemptEvent]:
        """What an earlier attempt says, once the engine knows its worker: a new kernel may have to meet it first."""
        worker_id = flight.spec.worker_id
        if all(state.worker_id != worker_id for state in self._engine.snapshot()):
            with suppress(TimeoutError):
                async with asyncio.timeout(MEET_S):
                    async for state in self._engine.workers():
                        if state.worker_id == worker_id:
                            break
        async for event in self._engine.reattach(flight.spec, flight.after_id):
            yield event

    def _follow(self, flight: Flight, events: AsyncIterator[AttemptEvent]) -> None:
        async def follow() -> None:
            async for event in events:
                self._mailbox.post(partial(self._heard, flight, event))
                if event.type == "ended":
                    return
            self._mailbox.post(partial(self._heard, flight, AttemptEvent(type="ended", data=_SILENT)))

        flight.task = self._mailbox.spawn(follow())

    def _heard(self, flight: Flight, event: AttemptEvent) -> None:
        if flight.over:
            return
        flight.after_id = event.id or flight.after_id
        if event.type == "ended":
            payload = dict(event.data)
            if flight.reattached and payload["outcome"] == Outcome.LOST:
                payload["resumed"] = True
            self._end(flight, payload)
        elif event.type == "started":
            payload = {"worker": flight.spec.worker_id, **event.data}
            self._ledger.add(EventType.ATTEMPT_STARTED, flight.about, payload)
        else:
            flight.output.add(event)
            if flight.output.ready_at <= now():
                self._say(flight)

    def _say(self, flight: Flight) -> None:
        self._ledger.add(EventType.ATTEMPT_PROGRESS, flight.about, flight.output.take(now()))

    def _end(self, flight: Flight, payload: dict[str, Any]) -> None:
        if flight.output:
            self._say(flight)
        payload["outcome"] = str(payload["outcome"])
        payload.setdefault("worker", flight.spec.worker_id)
        payload.setdefault("seconds", now() - flight.began)
        flight.over = True
        del self._flights[flight.spec.attempt_id]
        self._places.give_back(flight.spec.attempt_id)
        self._ledger.record(EventType.ATTEMPT_ENDED, flight.about, payload)
