"""Puts the layers on a task's process, in the order in which each still may."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import identity, landlock, limits, linux, paths, seccomp, view
from sandbox.plan import TMP, WORK

if TYPE_CHECKING:
    from sandbox.plan import Fork, ZygotePlan

Call = tuple[Callable[..., object], tuple[Any, ...]]
FIRST_UNUSED_FD = 4
_USES = 16
"""A slot's ruleset is made anew after so many tasks: each adds its own /proc folder, which is gone with it."""


class Confinement:
    """Prepared once in the zygote, applied in each child."""

    def __init__(self, plan: ZygotePlan) -> None:
        self._plan = plan
        self._off = frozenset(plan.off)
        self._landlock: landlock.Rules | None = None
        self._kernel = None if "landlock" in self._off else landlock.features()
        self._plain: seccomp.Filter | None = None
        self._rulesets: dict[int, tuple[int, int]] = {}
        self._plain_calls: dict[int, list[Call]] = {}

    def folder(self, slot: int) -> str:
        """The slot's folder."""
        return f"{self._plan.root}/s{slot}"

    def prepare(self) -> None:
        """What the zygote applies to itself, and every child inherits. Raises OSError."""
        if self._plan.uid_base is not None:
            view.open_up([*paths.interpreter_roots(), Path(self._plan.root)])
        if "rlimits" not in self._off:
            limits.before_fork()
        if "identity" not in self._off:
            identity.prepare(self._plan.uid_base)
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        if "non_dumpable" not in self._off:
            linux.prctl(linux.PR_SET_DUMPABLE, 0)
        if "no_new_privileges" not in self._off:
            linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
        if self._kernel is not None:
            self._landlock = self._rules(self._kernel, None)
        if "seccomp" not in self._off:
            seccomp.Filter(seccomp.base().program()).install()
            if self._scoped:
                self._plain = self._filter(processes=False, network=False)

    def calls(self, fork: Fork, parent: int) -> list[Call]:
        """What confines a process for good, as calls to make in this order; each raises OSError if it fails.

        Put together before the fork: a child that looks up every name itself copies a page for each.
        """
        calls: list[Call] = []
        if "session" not in self._off:
            calls.append((os.setsid, ()))
        if "identity" not in self._off and self._plan.uid_base is not None:
            calls.append((os.setresuid, (self._plan.uid_base + fork.slot,) * 3))  # the kernel takes all capabilities
        calls.append((linux.prctl, (linux.PR_SET_PDEATHSIG, int(signal.SIGKILL))))  # a change of user id clears it
        calls.append((check_parent, (parent,)))
        # /proc/self is the task's own; the other layers keep siblings out
        calls.append((linux.prctl, (linux.PR_SET_DUMPABLE, 1)))
        if self._kernel is not None:
            ruleset = self._rulesets[fork.slot][0]
            calls.append((landlock.add, (self._kernel, ruleset, "/proc/self/", landlock.READ)))
            calls.append(landlock.restriction(ruleset))
        if "session" not in self._off:
            calls.append((linux.close_from, (FIRST_UNUSED_FD,)))
        if "seccomp" not in self._off:
            plain = self._plain if not (fork.tree or fork.network) else None
            calls.append(((plain or self._filter(processes=fork.tree, network=fork.network)).install, ()))
        return calls

    @property
    def _scoped(self) -> bool:
        return self._kernel is not None and bool(self._kernel.scopes)

    def _filter(self, *, processes: bool, network: bool) -> seccomp.Filter:
        own_user = self._plan.uid_base is not None and "identity" not in self._off
        policy = seccomp.child(processes=processes, network=network, own_user=own_user, scoped=self._scoped)
        return seccomp.Filter(policy.program())

    def _rules(self, kernel: landlock.Features, fork: Fork | None) -> landlock.Rules:
        rules = landlock.Rules(kernel)
        rules.allow(paths.libraries(), landlock.RUN)
        rules.allow(paths.files() + (paths.network() if fork and fork.network else []), landlock.READ)
        rules.allow([paths.NULL], kernel.change)
        if fork and fork.tree:
            rules.allow(paths.programs(), landlock.RUN)
        if fork and fork.gpu:
            rules.allow(paths.gpu_devices(), kernel.files)
            rules.allow(paths.gpu_files(), landlock.READ)
        return rules

    def before_fork(self, fork: Fork, parent: int) -> list[Call]:
        """In the zygote: have the slot's ruleset ready, and the calls for a child of `parent`."""
        if self._kernel is None:
            return self.calls(fork, parent)
        if not fork.plain:
            self._forget(fork.slot)
            self._rulesets[fork.slot] = (self._build(self._kernel, fork), _USES)
            return self.calls(fork, parent)
        ruleset, uses = self._rulesets.get(fork.slot, (-1, _USES))
        if uses >= _USES:
            self._forget(fork.slot)
            ruleset, uses = self._build(self._kernel, fork), 0
        self._rulesets[fork.slot] = (ruleset, uses + 1)
        if uses == 0:
            self._plain_calls[fork.slot] = self.calls(fork, parent)
        return self._plain_calls[fork.slot]

    def _build(self, kernel: landlock.Features, fork: Fork) -> int:
        rules = self._landlock
        if rules is None or not fork.plain:
            rules = self._rules(kernel, fork)
        folder = self.folder(fork.slot)
        port = fork.proxy_port if fork.network else None
        ruleset = rules.ruleset([f"{folder}/{WORK}", f"{folder}/{TMP}"], port)
        if rules is not self._landlock:
            rules.close()
        return ruleset

    def _forget(self, slot: int) -> None:
        ruleset, _ = self._rulesets.pop(slot, (-1, 0))
        if ruleset >= 0:
            os.close(ruleset)


def die_with(parent: int, number: signal.Signals) -> None:
    """Get a signal when the process that forked this one ends. The zygote has one thread, so no thread's end counts."""
    linux.prctl(linux.PR_SET_PDEATHSIG, number)
    check_parent(parent)


def check_parent(parent: int) -> None:
    """End if the parent ended before its death would have been told."""
    if os.getppid() != parent:
        sys.exit(1)
