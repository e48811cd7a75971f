"""Puts the layers on a task's process, in the order in which each still may."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import identity, landlock, limits, linux, paths, seccomp, view
from sandbox.plan import TMP, WORK

if TYPE_CHECKING:
    from sandbox.plan import Fork, ZygotePlan

FIRST_UNUSED_FD = 4


class Confinement:
    """Prepared once in the zygote, applied in each child."""

    def __init__(self, plan: ZygotePlan) -> None:
        self._plan = plan
        self._off = frozenset(plan.off)
        self._landlock: landlock.Rules | None = None
        self._kernel = None if "landlock" in self._off else landlock.features()
        self._program: bytes | None = None

    def folder(self, slot: int) -> str:
        """The slot's folder."""
        return f"{self._plan.root}/s{slot}"

    def prepare(self) -> None:
        """What the zygote applies to itself, and every child inherits. Raises OSError."""
        if self._plan.uid_base is not None:
            view.open_up([*paths.interpreter_roots(), Path(self._plan.root)])
        if "rlimits" not in self._off:
            limits.before_fork()
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        if "non_dumpable" not in self._off:
            linux.prctl(linux.PR_SET_DUMPABLE, 0)
        if "no_new_privileges" not in self._off:
            linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
        if self._kernel is not None:
            self._landlock = self._rules(self._kernel, programs=False)
        if "seccomp" not in self._off:
            seccomp.install(seccomp.base().program())
            if self._scoped:
                self._program = self._filter(processes=False, network=False)

    def apply(self, fork: Fork, parent: int) -> None:
        """Confine the calling process for good. Raises OSError if a layer does not hold."""
        if "session" not in self._off:
            os.setsid()
        uid = None if self._plan.uid_base is None else self._plan.uid_base + fork.slot
        if "identity" not in self._off:
            identity.drop(uid)
        die_with(parent, signal.SIGKILL)  # a change of user id clears it
        linux.prctl(linux.PR_SET_DUMPABLE, 1)  # /proc/self is the task's own; the other layers keep siblings out
        if self._kernel is not None:
            self._apply_landlock(self._kernel, fork)
        if "session" not in self._off:
            linux.close_from(FIRST_UNUSED_FD)
        if "seccomp" not in self._off:
            plain = not (fork.tree or fork.network)
            program = self._program if plain else None
            seccomp.install(program or self._filter(processes=fork.tree, network=fork.network))

    @property
    def _scoped(self) -> bool:
        return self._kernel is not None and bool(self._kernel.scopes)

    def _filter(self, *, processes: bool, network: bool) -> bytes:
        own_user = self._plan.uid_base is not None and "identity" not in self._off
        return seccomp.child(processes=processes, network=network, own_user=own_user, scoped=self._scoped).program()

    def _rules(self, kernel: landlock.Features, *, programs: bool, network: bool = False) -> landlock.Rules:
        rules = landlock.Rules(kernel)
        rules.allow(paths.libraries(), landlock.RUN)
        rules.allow(paths.files() + (paths.network() if network else []), landlock.READ)
        rules.allow([paths.NULL], kernel.change)
        if programs:
            rules.allow(paths.programs(), landlock.RUN)
        return rules

    def _apply_landlock(self, kernel: landlock.Features, fork: Fork) -> None:
        rules = self._landlock
        if rules is None or fork.tree or fork.network:
            rules = self._rules(kernel, programs=fork.tree, network=fork.network)
        folder = self.folder(fork.slot)
        folders = {f"{folder}/{WORK}": kernel.change, f"{folder}/{TMP}": kernel.change}
        folders[f"/proc/{os.getpid()}"] = landlock.READ
        rules.restrict(folders, fork.proxy_port if fork.network else None)


def die_with(parent: int, number: signal.Signals) -> None:
    """Get a signal when the process that forked this one ends. The zygote has one thread, so no thread's end counts."""
    linux.prctl(linux.PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before the call
        sys.exit(1)
