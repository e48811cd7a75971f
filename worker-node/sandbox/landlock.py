"""Landlock: which files a task reaches, which TCP port, and that its signals and abstract sockets stay its own.

What the kernel can is found by asking for it, from the richest ruleset down; the canary proves what came of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from sandbox import linux

if TYPE_CHECKING:
    from collections.abc import Callable

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_BENEATH, _PORT = 1, 2

_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
_FIRST_ABI = (1 << 13) - 1
_FOR_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE
READ = _READ | _LIST
RUN = READ | _EXECUTE
_CONNECT, _BIND = 1 << 1, 1 << 0
_SCOPES = 3
_RULE = struct.Struct("=Qi")


@dataclass(frozen=True)
class Features:
    """What this kernel's Landlock can hold back."""

    files: int
    ports: int
    scopes: int

    @property
    def change(self) -> int:
        """Rights on a task's own folder: everything but devices and ioctls on them."""
        return self.files & ~(_IOCTL | _MAKE_CHAR | _MAKE_BLOCK)

    def attribute(self) -> bytes:
        """As landlock_create_ruleset takes it, no longer than this kernel knows."""
        size = 24 if self.scopes else 16 if self.ports else 8
        return struct.pack("QQQ", self.files, self.ports, self.scopes)[:size]


_STEPS = [
    Features(_FIRST_ABI | _REFER | _TRUNCATE | _IOCTL, _CONNECT | _BIND, _SCOPES),
    Features(_FIRST_ABI | _REFER | _TRUNCATE | _IOCTL, _CONNECT | _BIND, 0),
    Features(_FIRST_ABI | _REFER | _TRUNCATE, _CONNECT | _BIND, 0),
    Features(_FIRST_ABI | _REFER | _TRUNCATE, 0, 0),
    Features(_FIRST_ABI | _REFER, 0, 0),
    Features(_FIRST_ABI, 0, 0),
]


@cache
def features() -> Features | None:
    """The most that this kernel takes; None if it takes nothing."""
    for step in _STEPS:
        try:
            os.close(_create(step))
        except OSError as error:
            if error.errno in (errno.E2BIG, errno.EINVAL):
                continue
            return None
        else:
            return step
    return None


class Rules:
    """Rules that many rulesets share: paths are opened once, and a path that is missing is left out."""

    def __init__(self, kernel: Features) -> None:
        self._kernel = kernel
        self._rules: list[bytes] = []

    def allow(self, paths: list[str], rights: int) -> None:
        """Allow reading (READ), running (RUN) or changing (features().change) below paths."""
        for path in paths:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                self._rules.append(_rule(self._kernel, os.open(path, os.O_PATH | os.O_CLOEXEC), rights))

    def close(self) -> None:
        """Close the paths."""
        for rule in self._rules:
            os.close(_RULE.unpack(rule)[1])
        self._rules.clear()

    def ruleset(self, folders: list[str], port: int | None = None) -> int:
        """A ruleset of these rules, `folders` to change and, if given, one TCP port to connect to; a descriptor."""
        ruleset = _create(self._kernel)
        for path in folders:
            add(self._kernel, ruleset, path, self._kernel.change)
        for rule in self._rules:
            linux.syscall(_ADD, ruleset, _BENEATH, rule, 0)
        if port is not None and self._kernel.ports:
            linux.syscall(_ADD, ruleset, _PORT, struct.pack("QQ", _CONNECT, port), 0)
        return ruleset


def add(kernel: Features, ruleset: int, path: str, rights: int) -> None:
    """Add one folder to a ruleset."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    linux.syscall(_ADD, ruleset, _BENEATH, _RULE.pack(rights & kernel.files, fd))
    os.close(fd)


def restriction(ruleset: int) -> tuple[Callable[..., int], tuple[int, int]]:
    """The call that confines the calling thread, and all that it starts, for good."""
    return linux.syscall, (_RESTRICT, ruleset)


def _rule(kernel: Features, fd: int, rights: int) -> bytes:
    rights &= kernel.files
    if not os.path.isdir(f"/proc/self/fd/{fd}"):  # noqa: PTH112 - of a descriptor
        rights &= _FOR_FILES
    return _RULE.pack(rights, fd)


def _create(kernel: Features) -> int:
    attribute = kernel.attribute()
    return linux.syscall(_CREATE, attribute, len(attribute), 0)
