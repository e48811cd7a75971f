"""The sandbox for Linux: a confined process per attempt, forked ahead of demand from one that has loaded everything."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from sandbox import identity, linux
from sandbox.base import Ended
from sandbox.child import SETUP_FAILED
from sandbox.frames import Kind, pack
from sandbox.harvest import Harvest, collect
from sandbox.limits import THREADS
from sandbox.link import Link, SandboxBroken
from sandbox.plan import Fork, ZygotePlan
from sandbox.recorder import Bounds, Recorder
from sandbox.running import Running
from sandbox.slots import Slots
from sandbox.tree import SIGNAL_BASE
from sandbox.verdicts import CANCELLED, STOPPING, ended_itself, judge_end, lost
from wire import INLINE_BYTES, Outcome, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sandbox.base import Job, Sink
    from sandbox.process import Process
    from sandbox.slots import Slot
    from sandbox.verdicts import Judgement

log = logging.getLogger("nadg.sandbox")

_EXIT_WAIT_S = 2.0
_CLOSE_S = 5.0
_RESTARTS_IN_A_ROW = 5


class ForkServer:
    """Implements Sandbox. `off` names layers that a test switches off; nothing else reaches it."""

    def __init__(
        self,
        *,
        preload: Iterable[str] = ("numpy", "pandas"),
        capacity: int = 8,
        spares: int = 2,
        off: frozenset[str] = frozenset(),
        folder: Path | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._preload = list(preload)
        self._capacity = capacity
        self._spare_count = min(spares, capacity)
        self._off = off
        self._parent = folder
        self._bounds = bounds or Bounds()
        self._slots: Slots | None = None
        self._link: Link | None = None
        self._free: deque[int] = deque()
        self._slot_waiters: deque[asyncio.Future[int]] = deque()
        self._spares: deque[Process] = deque()
        self._spares_wanted = 0
        self._running: dict[str, Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._report: dict[str, str] = {}
        self._closing = False

    @property
    def weak(self) -> bool:
        """Whether a layer is missing that a public bind needs."""
        return any(state != "active" for state in self._report.values())

    def report(self) -> dict[str, str]:
        """Layer -> "active" or "unavailable: why", from the last canary."""
        return dict(self._report)

    @property
    def zygote_pid(self) -> int | None:
        """The process that tasks are forked from; None while there is none."""
        return self._link.pid if self._link is not None and self._link.alive else None

    async def start(self) -> None:
        """Start the zygote, fork the first spares and prove the layers. Raises SandboxBroken."""
        # Each spare holds a slot of its own, so that `capacity` tasks can run beside them.
        if "non_dumpable" not in self._off:
            linux.prctl(linux.PR_SET_DUMPABLE, 0)  # its memory and environment are nobody's to read
        count = self._capacity + self._spare_count
        uid = None if "identity" in self._off else identity.first_uid(count)
        self._slots = Slots(count, uid, self._parent)
        self._free = deque(range(len(self._slots)))
        await self._start_zygote()

    async def run(self, job: Job, sink: Sink) -> Ended:
        """Run one job to its end. What the code does wrong is a value; only a broken sandbox raises."""
        recorder = Recorder(job, sink, self._bounds)
        try:
            process = await self._process_for(job)
        except SandboxBroken as error:
            return recorder.finish(*lost(str(error)), layers=())
        slot = self._slot(process)
        running = Running(job, process, recorder)
        self._running[job.attempt_id] = running
        self._refill()
        try:
            laid = await asyncio.to_thread(slot.lay, dict(job.files)) if job.files else {}
            message, blobs = self._message(job)
            await running.drive(message, blobs)
            harvest = await self._harvest(slot, laid, sink, running)
            return await self._judge(running, harvest)
        finally:
            del self._running[job.attempt_id]
            await self._release(process)

    def cancel(self, attempt_id: str) -> bool:
        """Kill a running job. False if no such job runs."""
        running = self._running.get(attempt_id)
        if running is None:
            return False
        running.stop(CANCELLED)
        return True

    async def close(self) -> None:
        """Kill what runs and end the zygote."""
        self._closing = True
        for running in list(self._running.values()):
            running.stop(STOPPING)
        deadline = asyncio.get_running_loop().time() + _CLOSE_S
        while self._running and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - as in SpawnPool
            await asyncio.sleep(0.01)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._link is not None:
            await self._link.close()
        for spare in self._spares:
            spare.close()
        self._spares.clear()
        if self._slots is not None:
            await asyncio.to_thread(self._slots.remove)

    # Processes

    async def _start_zygote(self) -> None:
        assert self._slots is not None  # noqa: S101 - start() made them
        plan = ZygotePlan(
            root=str(self._slots.root),
            off=sorted(self._off),
            preload=self._preload,
            capacity=self._capacity,
            uid_base=self._slots[0].uid,
        )
        self._link = Link(plan, on_gone=self._zygote_gone)
        await self._link.start()
        self._refill()

    def _zygote_gone(self) -> None:
        if self._closing:
            return
        log.error("the process that tasks are forked from is gone; it is started again")
        for running in self._running.values():
            running.stop(lost("the process that tasks are forked from died"))
        for spare in self._spares:
            spare.kill_hard()
            self._background(self._release(spare))
        self._spares.clear()
        self._background(self._restart())

    async def _restart(self) -> None:
        for attempt in range(_RESTARTS_IN_A_ROW):
            try:
                await self._start_zygote()
            except SandboxBroken:
                await asyncio.sleep(2**attempt * 0.1)
            else:
                return
        log.critical("the process that tasks are forked from does not start any more")

    async def _process_for(self, job: Job) -> Process:
        wants = job.permissions
        if self._spares and not (wants.processes or wants.network or wants.gpu):
            return self._spares.popleft()
        slot = await self._free_slot()
        fork = Fork(slot=slot, tree=wants.processes, network=wants.network, gpu=wants.gpu)
        try:
            return await self._fork(fork)
        except SandboxBroken:
            self._give_slot(slot)
            raise

    async def _fork(self, fork: Fork) -> Process:
        if self._link is None:
            raise SandboxBroken("the sandbox was not started")
        return await self._link.fork(fork)

    def _refill(self) -> None:
        while len(self._spares) + self._spares_wanted < self._spare_count and self._free and not self._closing:
            self._spares_wanted += 1
            self._background(self._add_spare(self._free.popleft()))

    async def _add_spare(self, slot: int) -> None:
        try:
            self._spares.append(await self._fork(Fork(slot=slot)))
        except SandboxBroken:
            self._give_slot(slot)
        finally:
            self._spares_wanted -= 1

    async def _free_slot(self) -> int:
        if self._free:
            return self._free.popleft()
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._slot_waiters.append(waiter)
        return await waiter

    def _give_slot(self, slot: int) -> None:
        while self._slot_waiters:
            waiter = self._slot_waiters.popleft()
            if not waiter.done():
                waiter.set_result(slot)
                return
        self._free.append(slot)

    def _slot(self, process: Process) -> Slot:
        assert self._slots is not None  # noqa: S101 - a process has a slot
        return self._slots[process.slot]

    async def _release(self, process: Process) -> None:
        """Wait until a process is dead, empty its folders, give its slot on."""
        await process.gone()
        slot = self._slot(process)
        if slot.used():
            await asyncio.to_thread(slot.clear)
        if self._link is not None:
            self._link.forget(process)
        process.close()
        self._give_slot(process.slot)
        self._refill()

    def _background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a sandbox task failed", exc_info=error)

    # Jobs

    def _message(self, job: Job) -> tuple[bytes, list[Path]]:
        header = {
            "code": job.code,
            "inputs": dict(job.inputs),
            "blobs": list(job.blobs),
            "shard": job.shard,
            "shards": job.shards,
            "inline_bytes": INLINE_BYTES,
            "result_bytes": self._bounds.result_bytes,
            "rlimits": {
                "timeout_s": job.limits.timeout_s,
                "memory_mb": job.limits.memory_mb,
                "disk_mb": job.limits.disk_mb,
                "tasks": self._task_limit(job),
                "cpus": os.cpu_count() or 1,
            },
        }
        return pack(Kind.HEADER, json.dumps(header).encode()), list(job.blobs.values())

    def _task_limit(self, job: Job) -> int | None:
        """Threads and processes that the task's user id may have."""
        own = THREADS + (job.limits.processes if job.permissions.processes else 0)
        if self._slots is not None and self._slots[0].uid is not None:
            return own
        return None

    async def _harvest(self, slot: Slot, laid: dict[str, Any], sink: Sink, running: Running) -> Harvest:
        kept = running.verdict is None or running.verdict[0] is not Outcome.CANCELLED
        if not kept or not os.listdir(slot.work):  # noqa: PTH208 - on the hot path
            return Harvest()
        harvest = await asyncio.to_thread(collect, slot.work, laid, sink, self._bounds)
        running.recorder.notes += harvest.refused
        return harvest

    async def _judge(self, running: Running, harvest: Harvest) -> Ended:
        recorder = running.recorder
        outcome, detail, usage = await self._judgement(running)
        layers = () if outcome is Outcome.LOST else self._active_layers()
        return recorder.finish(outcome, detail, layers=layers, artifacts=tuple(harvest.artifacts), usage=usage)

    async def _judgement(self, running: Running) -> Judgement:
        if running.verdict is not None:
            return *running.verdict, None
        said = judge_end(running.recorder.end)
        if said is not None:
            return said
        ended = await self._link.exit_of(running.process, _EXIT_WAIT_S) if self._link is not None else None
        if ended is None:
            return ended_itself(None)
        code = os.waitstatus_to_exitcode(ended.status)
        if running.process.tree and code > SIGNAL_BASE and code != SETUP_FAILED:
            code = SIGNAL_BASE - code
        if code == SETUP_FAILED:
            return *lost("a layer of the sandbox could not be applied"), None
        return ended_itself(code, Usage(cpu_s=ended.seconds, memory_mb=ended.memory_mb))

    def _active_layers(self) -> tuple[str, ...]:
        return tuple(name for name, state in self._report.items() if state == "active")
