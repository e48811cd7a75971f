"""One forked process as the worker holds it: its channel, its output pipes, and a descriptor that names it for good."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import select
import signal
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sandbox.plan import Exit

READ_BYTES = 1 << 18
_FDS_PER_MESSAGE = 32
_STAT_BYTES = 1024
_FLAGS, _THREADS = 6, 17
"""Places in /proc/PID/stat, counted after the name."""
_PF_EXITING = 0x4


class Process:
    """A task's process, from the fork to its death. Closes its descriptors in `close`."""

    def __init__(self, *, pid: int, slot: int, tree: bool, fds: Sequence[int]) -> None:
        self.pid = pid
        self.slot = slot
        self.tree = tree
        self.channel, self.out, self.err, self.pidfd = fds
        self.exit: Exit | None = None
        """How it ended, once that was asked for."""
        self._open = True
        for fd in (self.channel, self.out, self.err):
            os.set_blocking(fd, False)

    def kill(self) -> None:
        """Kill it. What watches over a tree is asked to end the tree; the rest cannot refuse."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGTERM if self.tree else signal.SIGKILL)

    def kill_hard(self) -> None:
        """Kill the watching process itself, if it does not end its tree in time."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    @property
    def dead(self) -> bool:
        """Whether it has ended, memory and descriptors included."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(0))

    @property
    def exiting(self) -> bool:
        """Whether it is past its last instruction, though the system still takes its memory back.

        Valid until it was waited for, since only then its number may go to another process.
        """
        try:
            stat = os.open(f"/proc/{self.pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
            try:
                fields = os.read(stat, _STAT_BYTES).rpartition(b")")[2].split()
            finally:
                os.close(stat)
        except OSError:
            return False
        return len(fields) > _THREADS and bool(int(fields[_FLAGS]) & _PF_EXITING) and fields[_THREADS] == b"1"

    async def gone(self) -> None:
        """Return when it has ended."""
        if self.dead:
            return
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        loop.add_reader(self.pidfd, _resolve, ended)
        try:
            await ended
        finally:
            loop.remove_reader(self.pidfd)

    async def send(self, message: bytes, blobs: Sequence[Path]) -> None:
        """Send the header, then the input blobs as read-only descriptors. Raises OSError if it is dead."""
        view = memoryview(message)
        while view:
            view = view[await self._when_writable(functools.partial(os.write, self.channel, view)) :]
        for start in range(0, len(blobs), _FDS_PER_MESSAGE):
            fds = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in blobs[start : start + _FDS_PER_MESSAGE]]
            try:
                await self._when_writable(functools.partial(self._send_fds, fds))
            finally:
                for fd in fds:
                    os.close(fd)

    def _send_fds(self, fds: list[int]) -> int:
        with socket.socket(fileno=os.dup(self.channel)) as channel:
            return socket.send_fds(channel, [b"b"], fds)

    async def _when_writable(self, write: Callable[[], int]) -> int:
        loop = asyncio.get_running_loop()
        while True:
            try:
                return write()
            except BlockingIOError:
                ready = loop.create_future()
                loop.add_writer(self.channel, _resolve, ready)
                try:
                    await ready
                finally:
                    loop.remove_writer(self.channel)

    def close(self) -> None:
        """Close its descriptors. Harmless twice."""
        if self._open:
            self._open = False
            for fd in (self.channel, self.out, self.err, self.pidfd):
                os.close(fd)


def read_some(fd: int, size: int = READ_BYTES) -> bytes | None:
    """What can be read at once; None if nothing can, b"" at the end."""
    try:
        return os.read(fd, size)
    except BlockingIOError:
        return None
    except ConnectionResetError:
        return b""


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
