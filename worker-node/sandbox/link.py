"""The worker's end of one zygote: starts it, asks it for processes, hears how they ended."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.environment import clean_environment
from sandbox.plan import Exit
from sandbox.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.plan import Fork, ZygotePlan

READY_S = 60.0
_MESSAGE = 1 << 16
_FDS = 4


class SandboxBroken(RuntimeError):  # noqa: N818
    """The process that tasks are forked from does not start, or is gone."""


class Link:
    """One zygote process. `on_exit` hears of processes that did not end as tasks do, `on_gone` of its own end."""

    def __init__(self, plan: ZygotePlan, *, on_gone: Callable[[], None]) -> None:
        self._plan = plan
        self._on_gone = on_gone
        self._waiting: dict[int, tuple[Fork, asyncio.Future[Process]]] = {}
        self._exits: dict[int, asyncio.Future[Exit]] = {}
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
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
        self.alive = True
        loop.add_reader(ours.fileno(), self._on_message)

    async def fork(self, fork: Fork) -> Process:
        """A new task process on a slot. Raises SandboxBroken when the zygote is gone."""
        if not self.alive or self._control is None:
            raise SandboxBroken("the process that tasks are forked from is gone")
        answer: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._waiting[fork.slot] = (fork, answer)
        try:
            await asyncio.get_running_loop().sock_sendall(self._control, json.dumps(fork.as_dict()).encode())
        except OSError as error:
            self._waiting.pop(fork.slot, None)
            raise SandboxBroken("the process that tasks are forked from is gone") from error
        return await answer

    async def exit_of(self, process: Process, timeout_s: float) -> Exit | None:
        """How a dead process ended; None if it ended as tasks do, or nobody can say."""
        known = self._exits.setdefault(process.pid, asyncio.get_running_loop().create_future())
        try:
            return await asyncio.wait_for(known, timeout_s)
        except (TimeoutError, asyncio.CancelledError):
            return None
        finally:
            self._exits.pop(process.pid, None)

    def forget(self, process: Process) -> None:
        """Nobody will ask how it ended."""
        self._exits.pop(process.pid, None)

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
        for _, answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(SandboxBroken("the process that tasks are forked from is gone"))
        self._waiting.clear()
        for known in self._exits.values():
            known.cancel()
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
                return
            self._take(json.loads(message), fds)

    def _take(self, message: dict[str, Any], fds: list[int]) -> None:
        if "exit" in message:
            ended = Exit(**message["exit"])
            known = self._exits.setdefault(ended.pid, asyncio.get_running_loop().create_future())
            if not known.done():
                known.set_result(ended)
            return
        fork, answer = self._waiting.pop(message["slot"])
        process = Process(pid=message["pid"], slot=fork.slot, tree=fork.tree, fds=fds)
        if answer.done():  # nobody waits any more
            process.kill()
            process.close()
        else:
            answer.set_result(process)
