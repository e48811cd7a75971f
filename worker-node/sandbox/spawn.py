"""The sandbox for systems without a safe fork: an interpreter per attempt, started ahead, used once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections import deque
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sandbox.base import Ended
from sandbox.environment import clean_environment
from sandbox.frames import ChannelError, Kind, pack
from sandbox.harvest import collect
from sandbox.marked import MARK, kill_marked
from sandbox.recorder import Bounds, Recorder
from sandbox.slots import Slots
from sandbox.verdicts import CANCELLED, STOPPING, Judgement, Verdict, broke_a_rule, ended_itself, judge_end, timed_out
from wire import INLINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.base import Job, Sink
    from sandbox.slots import Slot

log = logging.getLogger("nadg.sandbox")

_READ = 1 << 16
_END_GRACE_S = 0.25
_DRAIN_S = 1.0
_WHY = "unavailable: this system has no safe fork; tasks run in separate interpreters"
LAYERS = ("landlock", "seccomp", "no_new_privileges", "identity", "tree")


class SpawnPool:
    """Implements Sandbox. It bounds output and time, and memory where the system can; it confines nothing else."""

    def __init__(
        self,
        *,
        preload: Iterable[str] = ("numpy", "pandas"),
        capacity: int = 8,
        spares: int = 2,
        folder: Path | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._preload = list(preload)
        self._capacity = capacity
        self._spare_count = spares
        self._parent = folder
        self._bounds = bounds or Bounds()
        self._slots: Slots | None = None
        self._free: asyncio.Queue[int] = asyncio.Queue()
        self._spares: deque[_Interpreter] = deque()
        self._running: dict[str, _Running] = {}
        self._closing = False

    @property
    def weak(self) -> bool:
        """Always: whoever runs code here trusts it."""
        return True

    def report(self) -> dict[str, str]:
        """Layer -> why it is missing."""
        return dict.fromkeys(LAYERS, _WHY) | {"environment": "active", "output_limits": "active"}

    async def start(self) -> None:
        """Start the first interpreters."""
        self._slots = Slots(self._capacity, None, self._parent)
        for index in range(len(self._slots)):
            self._free.put_nowait(index)
        self._refill()

    async def run(self, job: Job, sink: Sink) -> Ended:
        """Run one job to its end."""
        if self._slots is None:
            message = "the sandbox was not started"
            raise RuntimeError(message)
        recorder = Recorder(job, sink, self._bounds)
        index = await self._free.get()
        slot = self._slots[index]
        try:
            interpreter = self._spares.popleft() if self._spares else self._interpreter()
            self._refill()
            running = _Running(job, interpreter, recorder)
            self._running[job.attempt_id] = running
            try:
                laid = await asyncio.to_thread(slot.lay, dict(job.files)) if job.files else {}
                await running.drive(self._header(job, slot))
            finally:
                del self._running[job.attempt_id]
                await asyncio.to_thread(interpreter.end)
            harvest = await asyncio.to_thread(collect, slot.work, laid, sink, self._bounds)
            recorder.notes += harvest.refused
            outcome, detail, usage = running.verdict or judge_end(recorder.end) or ended_itself(interpreter.code)
            return recorder.finish(outcome, detail, layers=(), artifacts=tuple(harvest.artifacts), usage=usage)
        finally:
            if slot.used():
                await asyncio.to_thread(slot.clear)
            self._free.put_nowait(index)

    def cancel(self, attempt_id: str) -> bool:
        """Kill a running job. False if no such job runs."""
        running = self._running.get(attempt_id)
        if running is not None:
            running.stop(CANCELLED)
        return running is not None

    async def close(self) -> None:
        """Kill what runs and end the interpreters."""
        self._closing = True
        for running in list(self._running.values()):
            running.stop(STOPPING)
        for spare in self._spares:
            await asyncio.to_thread(spare.end)
        self._spares.clear()
        while self._running:  # noqa: ASYNC110 - each ends by itself once killed
            await asyncio.sleep(0.01)
        if self._slots is not None:
            await asyncio.to_thread(self._slots.remove)

    def _interpreter(self) -> _Interpreter:
        assert self._slots is not None  # noqa: S101 - start() made them
        return _Interpreter(self._preload, str(self._slots.root))

    def _refill(self) -> None:
        while len(self._spares) < self._spare_count and not self._closing:
            self._spares.append(self._interpreter())

    def _header(self, job: Job, slot: Slot) -> dict[str, object]:
        return {
            "code": job.code,
            "inputs": dict(job.inputs),
            "shard": job.shard,
            "shards": job.shards,
            "inline_bytes": INLINE_BYTES,
            "result_bytes": self._bounds.result_bytes,
            "work": str(slot.work),
            "tmp": str(slot.tmp),
            "rlimits": {
                "timeout_s": job.limits.timeout_s,
                "memory_mb": job.limits.memory_mb,
                "disk_mb": job.limits.disk_mb,
                "tasks": None,
                "cpus": os.cpu_count() or 1,
            },
        }


class _Interpreter:
    """One process and the ends of its pipes."""

    def __init__(self, preload: list[str], home: str) -> None:
        self._mark = uuid.uuid4().hex
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", "-B", str(Path(__file__).with_name("spawned.py")), *preload],
            env=clean_environment(home) | {MARK: self._mark},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=home,
            start_new_session=True,
        )

    @property
    def code(self) -> int | None:
        """How it ended."""
        return self.process.returncode

    def kill(self) -> None:
        """Kill it, the group that it leads, and on Linux what left the group with its environment intact."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        kill_marked(self._mark)

    def end(self) -> None:
        """Kill, reap and close."""
        self.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


class _Running:
    """Drives one interpreter for one job; threads do the blocking reads, so any event loop will do."""

    def __init__(self, job: Job, interpreter: _Interpreter, recorder: Recorder) -> None:
        self.job, self.interpreter, self.recorder = job, interpreter, recorder
        self.verdict: Judgement | None = None
        self._loop = asyncio.get_running_loop()

    async def drive(self, header: dict[str, object]) -> None:
        """Return when the interpreter has ended and its output is taken."""
        process = self.interpreter.process
        readers = [self._read(process.stdout, self._channel), self._read(process.stderr, self._stderr)]
        timer = self._loop.call_later(self.job.limits.timeout_s, lambda: self.stop(timed_out(self.job)))
        try:
            await asyncio.to_thread(self._feed, process.stdin, header)
            await asyncio.to_thread(process.wait)
            await asyncio.to_thread(self.interpreter.kill)
            # A process that got away may hold the pipes open: it is not waited for.
            await asyncio.wait(readers, timeout=_DRAIN_S)
        finally:
            timer.cancel()
            self.interpreter.kill()

    def stop(self, verdict: Verdict) -> None:
        """End the task from outside. The first reason counts."""
        self.verdict = self.verdict or (*verdict, None)
        self.interpreter.kill()

    def _feed(self, pipe: IO[bytes] | None, header: dict[str, object]) -> None:
        assert pipe is not None  # noqa: S101 - it was asked for
        with contextlib.suppress(OSError):  # it died first: its exit says why
            pipe.write(pack(Kind.HEADER, json.dumps(header).encode()))
            for sha256, path in self.job.blobs.items():
                pipe.write(pack(Kind.INPUT, sha256.encode("ascii") + path.read_bytes()))
            pipe.write(pack(Kind.GO, b""))
            pipe.flush()

    def _read(self, pipe: IO[bytes] | None, take: Callable[[bytes], None]) -> asyncio.Future[None]:
        """Read to the end in a thread; the event loop takes one piece at a time, so a flood waits in the pipe."""
        assert pipe is not None  # noqa: S101 - it was asked for
        ended: asyncio.Future[None] = self._loop.create_future()
        fd = os.dup(pipe.fileno())

        def pump() -> None:
            while data := os.read(fd, _READ):
                taken = threading.Event()
                self._loop.call_soon_threadsafe(self._hand_over, take, data, taken)
                taken.wait()
            os.close(fd)
            self._loop.call_soon_threadsafe(_resolve, ended)

        threading.Thread(target=pump, name="task-output", daemon=True).start()
        return ended

    def _hand_over(self, take: Callable[[bytes], None], data: bytes, taken: threading.Event) -> None:
        try:
            take(data)
        except ChannelError as error:
            self.stop(broke_a_rule(error))
        finally:
            taken.set()

    def _channel(self, data: bytes) -> None:
        if self.verdict is None:
            self.recorder.feed(data)
            if self.recorder.end is not None:
                self._loop.call_later(_END_GRACE_S, self.interpreter.kill)

    def _stderr(self, data: bytes) -> None:
        self.recorder.output("stderr", data)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
