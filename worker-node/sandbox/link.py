"""The worker's end of one zygote: starts it, asks it for processes, has the dead ones waited for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sandbox.environment import clean_environment
from sandbox.plan import FORKED, Exit, Forked, reap
from sandbox.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.plan import Fork, ZygotePlan

READY_S = 60.0
_MESSAGE = 1 << 16
_FDS = 4
_PAUSE_S = 0.001
_EXIT_S = 3.0
_GONE = "the process that tasks are forked from is gone"


class SandboxBroken(RuntimeError):  # noqa: N818
    """The process that tasks are forked from does not start, or is gone."""


class _Asked(NamedTuple):
    """A fork that the zygote was asked for: our ends of what the process gets, and who waits for it."""

    fork: Fork
    fds: tuple[int, int, int]
    answer: asyncio.Future[Process]

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)


class Link:
    """One zygote process. `on_gone` hears of its end.

    `on_unwanted` hears of a slot whose process nobody waits for any more, with the process if there came to be one.
    """

    def __init__(
        self, plan: ZygotePlan, *, on_gone: Callable[[], None], on_unwanted: Callable[[int, Process | None], None]
    ) -> None:
        self._plan = plan
        self._on_gone = on_gone
        self._on_unwanted = on_unwanted
        self._waiting: dict[int, _Asked] = {}
        self._mine: dict[int, Process] = {}
        """Processes that the zygote has not waited for yet."""
        self._exits: dict[int, asyncio.Future[Exit | None]] = {}
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.address_space = 0
        self.alive = False

    @property
    def pid(self) -> int | None:
        """The zygote's process id."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start it and wait until its libraries are loaded. Raises SandboxBroken."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            script = Path(__file__).with_name("zygote.py")
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own program; starts in a millisecond
                [sys.executable, "-I", "-B", str(script), str(theirs.fileno())],
                env=dict(os.environ) if "environment" in self._plan.off else clean_environment(self._plan.root),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
            )
        self._control = ours
        ours.setblocking(False)  # noqa: FBT003
        await loop.sock_sendall(ours, json.dumps(self._plan.as_dict()).encode())
        try:
            answer = await asyncio.wait_for(loop.sock_recv(ours, _MESSAGE), READY_S)
        except (TimeoutError, ConnectionResetError):
            answer = b""
        if not answer or "broken" in (said := json.loads(answer)):
            self.kill()
            why = said["broken"] if answer else "the worker's log says why"
            message = f"the process that tasks are forked from did not start: {why}"
            raise SandboxBroken(message)
        self.address_space = said["address_space"]
        self.alive = True
        loop.add_reader(ours.fileno(), self._on_message)

    async def fork(self, fork: Fork) -> Process:
        """A new task process on a slot. Raises SandboxBroken when the zygote is gone."""
        if not self.alive:
            raise SandboxBroken(_GONE)
        ours, theirs = socket.socketpair()
        out, out_end = os.pipe2(os.O_CLOEXEC)
        error, error_end = os.pipe2(os.O_CLOEXEC)
        asked = _Asked(fork, (ours.detach(), out, error), asyncio.get_running_loop().create_future())
        self._waiting[fork.slot] = asked
        try:
            await self._send(fork.pack(), [out_end, error_end, theirs.fileno()])
        except BaseException:  # not asked for after all
            if self._waiting.pop(fork.slot, None) is asked:
                asked.close()
            raise
        finally:
            theirs.close()
            os.close(out_end)
            os.close(error_end)
        try:
            return await asked.answer
        except asyncio.CancelledError:
            answer = asked.answer
            if not answer.cancelled() and answer.exception() is None:
                self._on_unwanted(fork.slot, answer.result())
            raise

    def holds(self, slot: int) -> bool:
        """Whether a process is on a slot, or on its way there."""
        return slot in self._waiting or any(process.slot == slot for process in self._mine.values())

    async def exit_of(self, process: Process) -> Exit | None:
        """Have a dead process waited for, and what is left of its tree ended: how it ended; None if nobody can say."""
        if not self.alive or self._mine.get(process.pid) is not process:
            return process.exit
        del self._mine[process.pid]
        known: asyncio.Future[Exit | None] = asyncio.get_running_loop().create_future()
        self._exits[process.pid] = known
        try:
            await self._send(reap(process.pid, tell=True))
            process.exit = await asyncio.wait_for(known, _EXIT_S)
        except (TimeoutError, SandboxBroken):
            return None
        finally:
            self._exits.pop(process.pid, None)
        return process.exit

    async def forget(self, process: Process) -> None:
        """Have a dead process waited for, without asking how it ended."""
        if self.alive and self._mine.get(process.pid) is process:
            del self._mine[process.pid]
            with contextlib.suppress(SandboxBroken):
                await self._send(reap(process.pid, tell=False))

    async def _send(self, message: bytes, fds: Sequence[int] = ()) -> None:
        while self._control is not None:
            try:
                socket.send_fds(self._control, [message], fds)
            except BlockingIOError:
                await asyncio.sleep(_PAUSE_S)  # it works through what it was asked
            except OSError as error:
                raise SandboxBroken(_GONE) from error
            else:
                return
        raise SandboxBroken(_GONE)

    def kill(self) -> None:
        """Kill the zygote; its tasks die with it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._lost()

    async def close(self, timeout_s: float = 5.0) -> None:
        """Let it end its tasks and itself."""
        self._hang_up()
        if self._process is not None:
            try:
                await asyncio.to_thread(self._process.wait, timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)
        self._lost(tell=False)

    def _hang_up(self) -> None:
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control.fileno())
            self._control.close()
            self._control = None

    def _lost(self, *, tell: bool = True) -> None:
        was_alive, self.alive = self.alive, False
        self._hang_up()
        for asked in self._waiting.values():
            asked.close()
            if asked.answer.done():
                self._on_unwanted(asked.fork.slot, None)
            else:
                asked.answer.set_exception(SandboxBroken(_GONE))
        self._waiting.clear()
        for known in self._exits.values():
            if not known.done():
                known.set_result(None)
        if was_alive and tell:
            self._on_gone()

    def _on_message(self) -> None:
        while self._control is not None:
            try:
                message, fds, _, _ = socket.recv_fds(self._control, _MESSAGE, _FDS)
            except BlockingIOError:
                return
            except ConnectionResetError:
                message, fds = b"", []
            if not message:
                self.kill()
            elif message[:1] == FORKED:
                self._forked(Forked.unpack(message), fds[0])
            else:
                ended = Exit.unpack(message)
                known = self._exits.get(ended.pid)
                if known is not None and not known.done():
                    known.set_result(ended)

    def _forked(self, forked: Forked, pidfd: int) -> None:
        fork, fds, answer = self._waiting.pop(forked.slot)
        process = Process(pid=forked.pid, slot=fork.slot, tree=fork.tree, fds=(*fds, pidfd))
        self._mine[process.pid] = process
        if answer.done():
            self._on_unwanted(fork.slot, process)
        else:
            answer.set_result(process)
