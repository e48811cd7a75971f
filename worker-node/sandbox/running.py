"""One job on one process: sends it, listens to it, and ends it by the clock, a wish or a broken rule."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.frames import ChannelError
from sandbox.process import read_some
from sandbox.verdicts import broke_a_rule, timed_out

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from sandbox.base import Job
    from sandbox.process import Process
    from sandbox.recorder import Recorder
    from sandbox.verdicts import Verdict

TICK_S = 0.05
"""How often output is passed on while a task runs."""
_END_GRACE_S = 0.25
"""A task that said its end is dead by then, or it is killed."""
_LOOK_AGAIN_S = 0.001
_TREE_GRACE_S = 2.0
_DRAIN_BYTES = 1 << 20
"""Read from a pipe in one go; what the task writes past its limit is read at this much per tick, and dropped."""


class Running:
    """Drives one process for one job. `verdict` is set as soon as something other than the task decides its end."""

    def __init__(self, job: Job, process: Process, recorder: Recorder) -> None:
        self.job = job
        self.process = process
        self.recorder = recorder
        self.verdict: Verdict | None = None
        self.over = False
        """It ended by itself and runs no more, though its process may not be gone yet."""
        self._loop = asyncio.get_running_loop()
        self.began = self._loop.time()
        self._eof = self._loop.create_future()
        self._timers: list[asyncio.TimerHandle] = []
        self._pipes: dict[str, int] = {"stdout": process.out, "stderr": process.err}
        self._flowing: set[str] = set()
        self._full: set[str] = set()

    async def drive(self, message: bytes, blobs: list[Path], reap: Callable[[Process], Awaitable[object]]) -> None:
        """Return when the process and all that it started is dead and its output is taken.

        `reap` ends what the dead process of a tree left.
        """
        process, loop = self.process, self._loop
        self._later(self.job.limits.timeout_s, self._time_out)
        self._later(TICK_S, self._tick)
        loop.add_reader(process.channel, self._on_channel)
        try:
            await self._send(message, blobs)
            if process.tree:  # what a killed supervisor left may hold the channel open
                await process.gone()
                await reap(process)
            await self._eof
            if not self.over and not process.dead:
                self._later(_END_GRACE_S, self._channel_closed)
                await process.gone()
            self._drain()
        finally:
            for timer in self._timers:
                timer.cancel()
            loop.remove_reader(process.channel)
            for name in self._flowing:
                loop.remove_reader(self._pipes[name])
            if not self.over and not process.dead:
                process.kill()
                process.kill_hard()

    def stop(self, verdict: Verdict) -> None:
        """End the task from outside. The first reason counts."""
        if self.verdict is None:
            self.verdict = verdict
        self.process.kill()
        self._later(_TREE_GRACE_S, self._give_up)

    def _channel_closed(self) -> None:
        """It lives on without a way to hand back a result; after its end it is only slow to go."""
        if self.recorder.end is None:
            self.stop(broke_a_rule(ChannelError("it closed the channel for its result")))
        else:
            self.process.kill()
            self._later(_TREE_GRACE_S, self.process.kill_hard)

    def _give_up(self) -> None:
        """The tree did not end in time, or something that got away from it holds the channel open."""
        self.process.kill_hard()
        if not self._eof.done():
            self._eof.set_result(None)

    async def _send(self, message: bytes, blobs: list[Path]) -> None:
        try:
            await self.process.send(message, blobs)
        except (BrokenPipeError, ConnectionResetError):
            return  # it died before it read its task: its exit says why

    def _later(self, seconds: float, call: Callable[..., object], *arguments: object) -> None:
        self._timers.append(self._loop.call_later(seconds, call, *arguments))

    def _time_out(self) -> None:
        self.stop(timed_out(self.job))

    def _on_channel(self) -> None:
        data = read_some(self.process.channel)
        if data is None:
            return
        if not data:
            self._loop.remove_reader(self.process.channel)
            if not self._eof.done():
                self._eof.set_result(None)
            if self.process.tree:
                self._later(_END_GRACE_S, self._channel_closed)
            return
        if self.verdict is not None:
            return
        try:
            self.recorder.feed(data)
        except ChannelError as error:
            self.stop(broke_a_rule(error))
            return
        if self.recorder.end is not None:
            self._later(_END_GRACE_S, self.process.kill)
            self._look_for_end(_LOOK_AGAIN_S)

    def _look_for_end(self, pause_s: float) -> None:
        """Taking back its memory can last longer than a small task; nobody needs to wait for that."""
        if self._eof.done() or self.process.tree:
            return
        if self.process.exiting:
            self.over = True
            self._eof.set_result(None)
        else:
            self._later(pause_s, self._look_for_end, 2 * pause_s)

    def _tick(self) -> None:
        """From the first tick on, output is passed on as it comes; tasks that are shorter never get that far."""
        self._timers = [timer for timer in self._timers if timer.when() > self._loop.time()]
        for name, fd in self._pipes.items():
            if name in self._full:
                self._read_pipe(name)
            elif name not in self._flowing:
                self._flowing.add(name)
                self._loop.add_reader(fd, self._on_pipe, name)
        self.recorder.flush()
        self._later(TICK_S, self._tick)

    def _on_pipe(self, name: str) -> None:
        data = read_some(self._pipes[name])
        if data is None:
            return
        if not data:
            self._loop.remove_reader(self._pipes[name])
        elif not self.recorder.output(name, data):  # at its limit: from here on _tick reads it, slowly
            self._loop.remove_reader(self._pipes[name])
            self._full.add(name)

    def _read_pipe(self, name: str) -> None:
        left = _DRAIN_BYTES
        while left > 0 and (data := read_some(self._pipes[name])):
            self.recorder.output(name, data)
            left -= len(data)

    def _drain(self) -> None:
        """What lies in the pipes after the task's death: at most their capacity, unless the writers live on."""
        for name in self._pipes:
            self._read_pipe(name)
