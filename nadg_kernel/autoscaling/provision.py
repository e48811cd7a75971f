"""Provisioners: how workers are really started and stopped. Local processes, and Spaces that sleep and wake."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from nadg_kernel.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nadg_kernel.fleet import Fleet


class Host(Protocol):
    """Where Spaces live. Both block, and raise NadgError or OSError with what went wrong."""

    def wake(self, space: str) -> object:
        """Start a Space ("owner/name"), also one that was paused."""

    def pause(self, space: str) -> object:
        """Stop a Space until it is woken."""


class Provisioner(Protocol):
    """Starts and stops workers of one kind."""

    async def start(self, name: str) -> None:
        """Begin to start a worker. Returns when that is under way. Raises NadgError or OSError."""

    async def stop(self, name: str) -> None:
        """Stop a worker that is idle: it gets nothing from the moment of the call. Raises NadgError or OSError."""


class LocalProcesses:
    """Processes on this machine."""

    def __init__(self, fleet: Fleet) -> None:
        """Of this fleet."""
        self._fleet = fleet

    async def start(self, name: str) -> None:
        """See Provisioner."""
        del name  # the fleet names them
        self._fleet.add_local()

    async def stop(self, name: str) -> None:
        """See Provisioner."""
        await self._fleet.remove_local(name)


class Spaces:
    """Registered workers that sleep: a visit wakes them; what pauses one is its host, if there is a way to ask it."""

    def __init__(self, fleet: Fleet, host: Callable[[], Host | None]) -> None:
        """`host` is asked when it is needed: most grids never do."""
        self._fleet, self._host = fleet, host

    async def start(self, name: str) -> None:
        """See Provisioner."""
        space, host = self._fleet.space_of(name), self._host()
        if space and host is not None:
            await asyncio.to_thread(host.wake, space)
        await self._fleet.engine.wake(name)

    async def stop(self, name: str) -> None:
        """See Provisioner."""
        space, host = self._fleet.space_of(name), self._host()
        if not space or host is None:
            message = f"{name} cannot be paused from here: it is not known as a Space, or HF_TOKEN is not set"
            raise WorkerError(message)
        self._fleet.rest(name, "it was idle and is being paused")
        try:
            await asyncio.to_thread(host.pause, space)
        finally:
            self._fleet.watch_again(name)
