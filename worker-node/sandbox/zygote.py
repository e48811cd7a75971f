"""The process that tasks are forked from: one thread, libraries loaded, an environment that never held a secret.

Started as `python -I -B zygote.py FD`. The worker says on a SEQPACKET socket what to fork and gets the descriptors of
each task back. When that socket ends, the worker is gone: the zygote kills its tasks, removes their folders and ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sandbox import atfork

if __name__ == "__main__":
    atfork.hold_back()  # before any other module registers something

from sandbox import child, cleanup, memory, tree
from sandbox.confine import Confinement
from sandbox.plan import Exit, Fork, ZygotePlan

_MESSAGE = 1 << 16
_LOWEST_OWN_FD = 16
_DONE = child.DONE << 8
_OWN_MODULES = ("sandbox", "values", "wire")


class Zygote:
    """Forks, reaps, and says how what it forked ended."""

    def __init__(self, control: socket.socket, plan: ZygotePlan) -> None:
        self._control = control
        self._plan = plan
        self._confinement = Confinement(plan)
        self._alive: dict[int, int] = {}
        # Opened before any mount covers it: the folder is removed through it in the end.
        self._above = os.open(os.path.dirname(plan.root), os.O_PATH | os.O_CLOEXEC)  # noqa: PTH120 - a string
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._pid = os.getpid()

    def serve(self) -> NoReturn:
        """Work until the worker is gone."""
        try:
            self._confinement.prepare()
        except OSError as error:
            self._say({"broken": str(error)})
            raise
        wake, written = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        child.settle_zygote()
        memory.settle()
        self._say({"ready": True})
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wake, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake, _MESSAGE)
                    self._reap()
                else:
                    self._obey()

    def _obey(self) -> None:
        message = self._control.recv(_MESSAGE)
        if not message:
            self._end()
        self._fork(Fork(**json.loads(message)))

    def _fork(self, fork: Fork) -> None:
        ours, theirs = socket.socketpair()
        out_r, out_w = os.pipe2(os.O_CLOEXEC)
        err_r, err_w = os.pipe2(os.O_CLOEXEC)
        fds = (self._null, out_w, err_w, theirs.fileno())
        self._confinement.before_fork(fork)
        child.before_fork(self._confinement.folder(fork.slot))
        pid = os.fork()
        if pid == 0:
            if fork.tree and "tree" not in self._plan.off:
                tree.supervise(lambda parent: child.enter(fork, self._confinement, parent, fds), self._pid)
            child.enter(fork, self._confinement, self._pid, fds)
        self._alive[pid] = fork.slot
        pidfd = os.pidfd_open(pid)
        given = [ours.fileno(), out_r, err_r, pidfd]
        message = json.dumps({"slot": fork.slot, "pid": pid}).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the worker is gone: the next recv says so
            socket.send_fds(self._control, [message], given)
        ours.close()
        theirs.close()
        for fd in (out_r, out_w, err_r, err_w, pidfd):
            os.close(fd)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            known = self._alive.pop(pid, None) is not None
            if known and status != _DONE:
                seconds, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
                self._say({"exit": Exit(pid=pid, status=status, seconds=seconds, memory_mb=memory).__dict__})
            if known and "tree" not in self._plan.off:
                self._kill_orphans()

    def _kill_orphans(self) -> None:
        """What a killed supervisor left comes back to the zygote: nobody else would end it."""
        for pid in tree.children(self._pid):
            if pid not in self._alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _say(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._control.send(json.dumps(message).encode())

    def _end(self) -> NoReturn:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
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
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    if null != child.CHANNEL:
        os.dup2(null, child.CHANNEL, inheritable=False)
    plan = ZygotePlan(**json.loads(control.recv(_MESSAGE)))
    _preload(plan.preload)
    atfork.let_through()
    zygote = Zygote(control, plan)
    _forget_own_modules()
    zygote.serve()


if __name__ == "__main__":
    main()
