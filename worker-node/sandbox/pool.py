"""Processes for tasks: spares forked ahead of demand, a slot for each, a zygote that comes back if it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from sandbox.link import Link, SandboxBroken
from sandbox.plan import Fork
from sandbox.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from sandbox.plan import Exit, ZygotePlan
    from sandbox.process import Process
    from sandbox.slots import Slot

log = logging.getLogger("nadg.sandbox")

_RESTARTS = 8
_FIRST_PAUSE_S = 0.05
_REFILL_AFTER_S = 0.001


class Pool:
    """Gives processes that have read nothing yet, and takes them back dead.

    `on_lost` is called when the zygote died: all that ran on it is dead too.
    """

    def __init__(
        self,
        *,
        count: int,
        spares: int,
        uid_base: int | None,
        folder: Path | None,
        plan: Callable[[str], ZygotePlan],
        on_lost: Callable[[], None],
    ) -> None:
        self._slots = Slots(count, uid_base, folder)
        self._plan = plan(str(self._slots.root))
        self._on_lost = on_lost
        self._spare_count = spares
        self._free = deque(range(count))
        self._waiters: deque[asyncio.Future[int]] = deque()
        self._spares: deque[Process] = deque()
        self._coming = 0
        self._refill_timer: asyncio.TimerHandle | None = None
        self._link: Link | None = None
        self._back = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._closing = False
        self.broken = ""
        """Why no process can be had any more; empty while it works."""

    @property
    def zygote_pid(self) -> int | None:
        """The process that tasks are forked from; None while there is none."""
        return self._link.pid if self._link is not None and self._link.alive else None

    @property
    def address_space(self) -> int:
        """Bytes of address space that a new process has already."""
        return self._link.address_space if self._link is not None else 0

    def slot(self, process: Process) -> Slot:
        """Where a process works."""
        return self._slots[process.slot]

    async def start(self) -> None:
        """Start the zygote and fork the first spares. Raises SandboxBroken."""
        try:
            await self._start_zygote()
        except SandboxBroken as error:
            self.broken = str(error)
            raise

    async def take(self, *, tree: bool, network: bool, gpu: bool, proxy_port: int) -> Process:
        """A process for one task. Waits while every slot is in use. Raises SandboxBroken."""
        process = None if tree or network or gpu else self._spare()
        if process is None:
            slot = await self._free_slot()
            try:
                process = await self._fork(Fork(slot, tree, network, gpu, proxy_port))
            except BaseException:
                if self._link is None or not self._link.holds(slot):
                    self._give(slot)
                raise
        self._refill_soon()
        return process

    def _spare(self) -> Process | None:
        while self._spares:
            process = self._spares.popleft()
            if not process.dead:
                return process
            self.run_in_background(self.release(process))  # killed while it waited
        return None

    async def release(self, process: Process) -> None:
        """Wait until a process is dead, empty its folders, give its slot on."""
        try:
            await process.gone()
            with contextlib.suppress(ChildProcessError):  # it comes to the worker when the zygote died before it
                os.waitpid(process.pid, os.WNOHANG)  # noqa: ASYNC222 - does not wait
            slot = self.slot(process)
            if slot.used():
                await asyncio.to_thread(slot.clear)
            if self._link is not None:
                await self._link.forget(process)
        finally:
            process.close()
        self._give(process.slot)
        self._refill_soon()

    def _unwanted(self, slot: int, process: Process | None) -> None:
        if process is None:
            self._give(slot)
        else:
            process.kill_hard()
            self.run_in_background(self.release(process))

    async def reap(self, process: Process) -> Exit | None:
        """End what a dead process left, and say how it ended; None if nobody can say."""
        return await self._link.exit_of(process) if self._link is not None else None

    async def close(self) -> None:
        """End the zygote and remove all folders; the tasks are dead by then."""
        self._closing = True
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._link is not None:
            await self._link.close()
        for spare in self._spares:
            spare.close()
        self._spares.clear()
        await asyncio.to_thread(self._slots.remove)

    def run_in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start work that nobody has to wait for; what it raises is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the sandbox failed", exc_info=error)

    # The zygote

    async def _start_zygote(self) -> None:
        link = Link(
            self._plan,
            on_gone=self._zygote_gone,
            on_unwanted=self._unwanted,
        )
        try:
            await link.start()
        except BaseException:  # closed meanwhile, say: a zygote that nobody holds would stay
            link.kill()
            raise
        self._link = link
        self._back.set()
        self._refill()

    def _zygote_gone(self) -> None:
        self._back.clear()
        if self._closing:
            return
        log.error("the process that tasks are forked from died; it is started again")
        self._on_lost()
        for spare in self._spares:
            spare.kill_hard()
            self.run_in_background(self.release(spare))
        self._spares.clear()
        self.run_in_background(self._restart())

    async def _restart(self) -> None:
        for attempt in range(_RESTARTS):
            try:
                await self._start_zygote()
            except SandboxBroken as error:
                self.broken = str(error)
                await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt)
            else:
                self.broken = ""
                return
        log.critical("the process that tasks are forked from does not start any more: %s", self.broken)

    # Slots and spares

    async def _fork(self, fork: Fork) -> Process:
        while self._link is None or not self._link.alive:
            if self.broken or self._closing:
                raise SandboxBroken(self.broken or "the sandbox is closed")
            await self._back.wait()
        return await self._link.fork(fork)

    def _refill_soon(self) -> None:
        """Off the path of the task that was just started or answered."""
        if self._refill_timer is None and not self._closing:
            self._refill_timer = asyncio.get_running_loop().call_later(_REFILL_AFTER_S, self._refill)

    def _refill(self) -> None:
        self._refill_timer = None
        alive = self._link is not None and self._link.alive
        while alive and len(self._spares) + self._coming < self._spare_count and self._free and not self._closing:
            self._coming += 1
            self.run_in_background(self._add_spare(self._free.popleft()))

    async def _add_spare(self, slot: int) -> None:
        try:
            self._spares.append(await self._fork(Fork(slot)))
        except SandboxBroken:
            self._give(slot)
        finally:
            self._coming -= 1

    async def _free_slot(self) -> int:
        if self._free:
            return self._free.popleft()
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():  # it was given one in the same moment
                self._give(waiter.result())
            raise

    def _give(self, slot: int) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(slot)
                return
        self._free.append(slot)
