"""The process that tasks are forked from: one thread, libraries loaded, an environment that never held a secret.

Started as `python -I -B zygote.py FD`. The worker says on a SEQPACKET socket what to fork, sends the descriptors that
each task gets, and says which processes are dead and to be waited for. When that socket ends, the worker is gone: the
zygote kills its tasks, removes their folders and ends.

What it does for each task is little on purpose: a page that it writes to is shared with the last task, and copied.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import NoReturn

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sandbox import atfork

if __name__ == "__main__":
    atfork.hold_back()  # before any other module registers something

from sandbox import child, cleanup, heap, limits, memory, tree
from sandbox.confine import Confinement
from sandbox.plan import FORK, REAP, TELL, Exit, Fork, Forked, ZygotePlan, to_reap
from sandbox.seeds import Seeds

_MESSAGE = 1 << 16
_LOWEST_OWN_FD = 16
_OWN_MODULES = ("sandbox", "values", "wire")
_FDS = struct.Struct("3i")
_FD = struct.Struct("i")
_ROOM = socket.CMSG_SPACE(_FDS.size)
_ORPHANS_S = 2.0
_PAUSE_S = 0.001


class Zygote:
    """Forks, and waits for what it forked when the worker knows that it is dead."""

    def __init__(self, control: socket.socket, plan: ZygotePlan) -> None:
        self._control = control
        self._plan = plan
        self._confinement = Confinement(plan)
        self._seeds = Seeds()
        self._alive: dict[int, bool] = {}
        """Process -> whether it watches over a tree."""
        # Opened before any mount covers it: the folder is removed through it in the end.
        self._above = os.open(os.path.dirname(plan.root), os.O_PATH | os.O_CLOEXEC)  # noqa: PTH120 - a string
        self._pid = os.getpid()

    def serve(self) -> NoReturn:
        """Work until the worker is gone."""
        try:
            self._confinement.prepare()
        except OSError as error:
            self._control.send(json.dumps({"broken": str(error)}).encode())
            raise
        child.settle_zygote()
        memory.settle(child.rehearse)
        self._control.send(json.dumps({"ready": True, "address_space": limits.address_space()}).encode())
        receive = self._control.recvmsg
        while True:
            message, ancillary, _, _ = receive(_MESSAGE, _ROOM)
            kind = message[:1]
            if kind == FORK:
                self._fork(Fork.unpack(message), _FDS.unpack(ancillary[0][2]))
            elif kind in (REAP, TELL):
                self._reap(to_reap(message), tell=kind == TELL)
            else:
                self._end()

    def _fork(self, fork: Fork, fds: tuple[int, ...]) -> None:
        calls = self._confinement.before_fork(fork, self._pid)
        self._seeds.renew()
        child.before_fork(self._confinement.folder(fork.slot), fds)
        try:
            pid = os.fork()
        except OSError:
            child.after_fork()  # so that the worker's log has the reason
            raise
        if pid == 0:
            if fork.tree and "tree" not in self._plan.off:
                tree.supervise(lambda parent: child.enter(fork, self._confinement.calls(fork, parent)), self._pid)
            child.enter(fork, calls)
        child.after_fork()
        self._alive[pid] = fork.tree and "tree" not in self._plan.off
        pidfd = os.pidfd_open(pid)
        self._say(Forked(fork.slot, pid).pack(), [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _FD.pack(pidfd))])
        os.close(pidfd)

    def _reap(self, pid: int, *, tell: bool) -> None:
        _, status, usage = os.wait4(pid, 0)  # the worker has seen its death
        if self._alive.pop(pid):
            self._kill_orphans()
        if tell:
            seconds, resident = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
            self._say(Exit(pid, status, seconds, resident).pack())

    def _kill_orphans(self) -> None:
        """What a killed supervisor left comes back to the zygote: nobody else would end it."""
        give_up = time.monotonic() + _ORPHANS_S
        while orphans := [pid for pid in tree.children(self._pid) if pid not in self._alive]:
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, os.WNOHANG)
            if time.monotonic() > give_up:
                return
            time.sleep(_PAUSE_S)

    def _say(self, message: bytes, ancillary: list[tuple[int, int, bytes]] | None = None) -> None:
        try:
            self._control.sendmsg([message], ancillary or [])
        except (BrokenPipeError, ConnectionResetError):
            self._end()  # the worker is gone

    def _end(self) -> NoReturn:
        tree.end_all(self._pid)
        with contextlib.suppress(OSError):  # the worker may have removed it first
            cleanup.empty(Path(self._plan.root))
            os.rmdir(os.path.basename(self._plan.root), dir_fd=self._above)  # noqa: PTH119
        os._exit(0)


def _preload(names: list[str]) -> None:
    for name in names:
        try:
            __import__(name)
        except ImportError as error:
            sys.stderr.write(f"zygote: {name} is not loaded ahead: {error}\n")


def _forget_own_modules() -> None:
    """A task that imports `values` or `wire` means its own file."""
    sys.path.remove(str(Path(__file__).resolve().parent.parent))
    for name in [name for name in sys.modules if name.partition(".")[0] in _OWN_MODULES]:
        del sys.modules[name]


def main() -> NoReturn:
    """Start as the worker asks on the inherited socket."""
    given = int(sys.argv[1])
    # Out of the way of the low numbers that a task's descriptors get.
    control = socket.socket(fileno=fcntl.fcntl(given, fcntl.F_DUPFD_CLOEXEC, _LOWEST_OWN_FD))
    os.close(given)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    child.hold_descriptors(_LOWEST_OWN_FD)
    plan = ZygotePlan(**json.loads(control.recv(_MESSAGE)))
    with heap.Gathered():
        _preload(plan.preload)
    atfork.let_through()
    zygote = Zygote(control, plan)
    _forget_own_modules()
    zygote.serve()


if __name__ == "__main__":
    main()
