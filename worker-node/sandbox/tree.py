"""The process above a task that may start others: everything they start comes back to it and ends with it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, NoReturn

from sandbox import linux
from sandbox.confine import die_with

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNAL_BASE = 128
"""A task that a signal ended is told as this plus the signal, as shells do."""
_PAUSE_S = 0.001


def supervise(start: Callable[[int], NoReturn], parent: int) -> NoReturn:
    """Fork the task and outlive it just long enough to end all that it started."""
    code = 1
    try:
        watched = {signal.SIGTERM, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, watched)
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        die_with(parent, signal.SIGTERM)
        me = os.getpid()
        main = os.fork()
        if main == 0:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)
            start(me)
        linux.close_from(0)
        code = _wait(main, watched)
    finally:
        end_all(os.getpid())
        os._exit(code)


def _wait(main: int, watched: set[signal.Signals]) -> int:
    while True:
        if signal.sigwait(watched) == signal.SIGTERM:
            return SIGNAL_BASE + signal.SIGKILL
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 1
            if pid == 0:
                break
            if pid == main:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else SIGNAL_BASE - code


def end_all(me: int) -> None:
    """Kill and reap every child, and the orphans that come back by it, until none is left."""
    while True:
        for pid in children(me):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(_PAUSE_S)


def children(pid: int) -> list[int]:
    """The children of a single-threaded process, zombies too."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as listing:  # noqa: PTH123
            return [int(word) for word in listing.read().split()]
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        entries = os.listdir("/proc")  # noqa: PTH208
        return [int(entry) for entry in entries if entry.isdigit() and _parent(entry) == pid]


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123
            return int(stat.read().rpartition(b")")[2].split()[1])
    except OSError:
        return -1
