"""The sandbox for Linux: a confined process per attempt, forked ahead of demand from one that has loaded everything."""

from __future__ import annotations

import asyncio
import logging
import marshal
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import canary, identity, limits, linux, paths, view, watch
from sandbox.base import Ended
from sandbox.child import SETUP_FAILED
from sandbox.frames import Kind, pack
from sandbox.harvest import Harvest, collect
from sandbox.limits import THREADS
from sandbox.link import SandboxBroken
from sandbox.plan import ZygotePlan
from sandbox.pool import Pool
from sandbox.proxy import Proxy
from sandbox.recorder import Bounds, Recorder
from sandbox.running import Running
from sandbox.tree import SIGNAL_BASE
from sandbox.verdicts import CANCELLED, STOPPING, ended_itself, judge_end, lost, rejected
from wire import INLINE_BYTES, Outcome, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.base import Job, Sink
    from sandbox.verdicts import Judgement

log = logging.getLogger("nadg.sandbox")

CANARY_EVERY_S = 600.0
_CLOSE_S = 5.0
_CANARY_SLOTS = 3


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
        proxy: Proxy | None = None,
        allow_open_network: bool = False,
    ) -> None:
        self._preload = list(preload)
        self._capacity = capacity
        self._spares = spares
        self._off = off
        self._folder = folder
        self._bounds = bounds or Bounds()
        self._cpus = os.cpu_count() or 1
        self._pool: Pool | None = None
        self._allow_open_network = allow_open_network
        self._proxy = Proxy() if proxy is None else proxy
        self._own_user = False
        self._user_tasks = 0
        self._shared_memory = 0
        self._running: dict[str, Running] = {}
        self._report: dict[str, str] = dict.fromkeys(canary.LAYERS, "unavailable: not proved yet")

    @property
    def weak(self) -> bool:
        """Whether a layer is missing that a public bind needs."""
        return any(self._report[layer] != "active" for layer in canary.REQUIRED)

    @property
    def zygote_pid(self) -> int | None:
        """The process that tasks are forked from; None while there is none."""
        return self._pool.zygote_pid if self._pool is not None else None

    def report(self) -> dict[str, str]:
        """Layer -> "active" or "unavailable: why", from the last canary."""
        return dict(self._report)

    async def start(self) -> None:
        """Start the zygote, fork the first spares and prove the layers. Raises SandboxBroken."""
        if "non_dumpable" not in self._off:
            linux.prctl(linux.PR_SET_DUMPABLE, 0)  # its memory and environment are nobody's to read
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)  # tasks of a zygote that died come here to be reaped
        count = self._capacity + self._spares + _CANARY_SLOTS
        uid = None if "identity" in self._off else identity.first_uid(count)
        if uid is not None and not await asyncio.to_thread(view.possible, self._needed()):
            log.warning("tasks keep the user id root: another one cannot reach the interpreter in %s", sys.prefix)
            uid = None
        self._own_user = uid is not None
        self._user_tasks = limits.tasks_of_user(self._capacity)
        self._pool = Pool(
            count=count,
            spares=self._spares,
            uid_base=uid,
            folder=self._folder,
            plan=lambda root: ZygotePlan(root=root, off=sorted(self._off), preload=self._preload, uid_base=uid),
            on_lost=self._lost,
        )
        await self._pool.start()
        await self._proxy.start()
        self._shared_memory = watch.anonymous_memory(self._pool.zygote_pid or 0)
        self._pool.run_in_background(self._watch())
        await self.prove()
        self._pool.run_in_background(self._prove_again())

    def _needed(self) -> list[Path]:
        return [*paths.interpreter_roots(), self._folder or Path(tempfile.gettempdir())]

    async def prove(self) -> None:
        """Run the canary tasks now; `report` then says what they found."""
        report = await canary.prove(self._run, self._proxy.port)
        for layer, state in report.items():
            if state != "active" and self._report[layer] != state:
                log.warning("sandbox layer %s is %s", layer, state)
        self._report = report

    async def run(self, job: Job, sink: Sink) -> Ended:
        """Run one job to its end. What the code does wrong is a value; only a broken sandbox raises."""
        confined = self._report["network"] == "active" or self._allow_open_network
        if job.permissions.network and not confined:
            return Recorder(job, sink, self._bounds).finish(*rejected(_NO_NETWORK), layers=())
        return await self._run(job, sink)

    async def _run(self, job: Job, sink: Sink) -> Ended:
        recorder = Recorder(job, sink, self._bounds)
        pool = self._started()
        wants = job.permissions
        port = self._proxy.port if wants.network else 0
        try:
            process = await pool.take(tree=wants.processes, network=wants.network, gpu=wants.gpu, proxy_port=port)
        except SandboxBroken as error:
            return recorder.finish(*lost(str(error)), layers=())
        running = Running(job, process, recorder)
        self._running[job.attempt_id] = running
        slot = pool.slot(process)
        try:
            laid = await asyncio.to_thread(slot.lay, dict(job.files)) if job.files else {}
            await running.drive(self._message(job), list(job.blobs.values()), pool.reap)
            harvest = await self._harvest(slot.work, laid, sink, running)
            return await self._judge(running, harvest)
        finally:
            del self._running[job.attempt_id]
            finished = running.over and not slot.used()
            if not finished:
                process.kill()
            releasing = pool.run_in_background(pool.release(process))
            if not finished:
                await asyncio.shield(releasing)

    def cancel(self, attempt_id: str) -> bool:
        """Kill a running job. False if no such job runs."""
        running = self._running.get(attempt_id)
        if running is not None:
            running.stop(CANCELLED)
        return running is not None

    async def close(self) -> None:
        """Kill what runs and end the zygote."""
        for running in list(self._running.values()):
            running.stop(STOPPING)
        deadline = asyncio.get_running_loop().time() + _CLOSE_S
        while self._running and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - as in SpawnPool
            await asyncio.sleep(0.01)
        if self._pool is not None:
            await self._pool.close()
        await self._proxy.close()

    def _started(self) -> Pool:
        if self._pool is None:
            message = "the sandbox was not started"
            raise RuntimeError(message)
        return self._pool

    def _lost(self) -> None:
        for running in self._running.values():
            running.stop(lost("the process that tasks are forked from died"))

    async def _prove_again(self) -> None:
        while True:
            await asyncio.sleep(CANARY_EVERY_S)
            await self.prove()

    async def _watch(self) -> None:
        """One look at every task that runs longer than a moment, again and again."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(watch.INTERVAL_S)
            for running in list(self._running.values()):
                if "watch" in self._off or running.verdict or loop.time() - running.began < watch.INTERVAL_S / 2:
                    continue
                folder = str(self._started().slot(running.process).folder)
                seen = await asyncio.to_thread(watch.look, folder, running.process.pid, shared=self._shared_memory)
                broken = watch.verdict(seen, running.job, threads=self._threads(running.job))
                if broken is not None:
                    running.stop(broken)

    def _threads(self, job: Job) -> int:
        # One more than its own for the process that watches over a tree.
        return THREADS + (job.limits.processes + 1 if job.permissions.processes else 0)

    def _message(self, job: Job) -> bytes:
        header: dict[str, Any] = {
            "code": job.code,
            "inputs": dict(job.inputs),
            "blobs": list(job.blobs),
            "shard": job.shard,
            "shards": job.shards,
            "inline_bytes": INLINE_BYTES,
            "result_bytes": self._bounds.result_bytes,
            "rlimits": None if "rlimits" in self._off else self._rlimits(job),
            "proxy": self._proxy.url if job.permissions.network else "",
        }
        return pack(Kind.HEADER, marshal.dumps(header))

    def _rlimits(self, job: Job) -> list[tuple[int, int]]:
        return limits.wanted(
            timeout_s=job.limits.timeout_s,
            # A GPU's driver maps far more than it uses: there the watch counts what is resident.
            memory_mb=None if job.permissions.gpu else job.limits.memory_mb,
            disk_mb=job.limits.disk_mb,
            tasks=self._threads(job) if self._own_user else self._user_tasks,
            cpus=self._cpus,
            address_space=self._started().address_space,
        )

    async def _harvest(self, work: Path, laid: dict[str, Any], sink: Sink, running: Running) -> Harvest:
        unwanted = running.verdict is not None and running.verdict[0] in (Outcome.CANCELLED, Outcome.LOST)
        if unwanted or not os.listdir(work):  # noqa: PTH208 - on the hot path
            return Harvest()
        harvest = await asyncio.to_thread(collect, work, laid, sink, self._bounds)
        running.recorder.notes += harvest.refused
        return harvest

    async def _judge(self, running: Running, harvest: Harvest) -> Ended:
        outcome, detail, usage = await self._judgement(running)
        layers = () if outcome is Outcome.LOST else self._active_layers()
        artifacts = tuple(harvest.artifacts)
        return running.recorder.finish(outcome, detail, layers=layers, artifacts=artifacts, usage=usage)

    async def _judgement(self, running: Running) -> Judgement:
        if running.verdict is not None:
            return *running.verdict, None
        said = judge_end(running.recorder.end)
        if said is not None:
            return said
        ended = await self._started().reap(running.process)
        if ended is None:
            return ended_itself(None)
        code = os.waitstatus_to_exitcode(ended.status)
        if code == SETUP_FAILED:
            return *lost("a layer of the sandbox could not be applied"), None
        if running.process.tree and code > SIGNAL_BASE:
            code = SIGNAL_BASE - code
        return ended_itself(code, Usage(cpu_s=ended.seconds, memory_mb=ended.memory_mb))

    def _active_layers(self) -> tuple[str, ...]:
        return tuple(name for name, state in self._report.items() if state == "active")


_NO_NETWORK = "this worker cannot confine the network (Landlock with TCP rules is missing), so it gives none"
