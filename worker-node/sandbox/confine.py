"""Puts the layers on a task's process, in the order in which each still may."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from sandbox import limits, linux

if TYPE_CHECKING:
    from sandbox.plan import Fork, ZygotePlan

RANDOM_LOWEST_FD = 4


class Confinement:
    """Prepared once in the zygote, applied in each child."""

    def __init__(self, plan: ZygotePlan) -> None:
        self._plan = plan
        self._off = frozenset(plan.off)

    def folder(self, slot: int) -> str:
        """The slot's folder."""
        return f"{self._plan.root}/s{slot}"

    def prepare(self) -> None:
        """What the zygote applies to itself, and every child inherits."""
        limits.before_fork()
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        linux.prctl(linux.PR_SET_DUMPABLE, 0)

    def apply(self, fork: Fork, parent: int) -> None:
        """Confine the calling process for good."""
        os.setsid()
        die_with(parent, signal.SIGKILL)
        linux.close_from(RANDOM_LOWEST_FD)


def die_with(parent: int, number: signal.Signals) -> None:
    """Get a signal when the process that forked this one ends. The zygote has one thread, so no thread's end counts."""
    linux.prctl(linux.PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)
