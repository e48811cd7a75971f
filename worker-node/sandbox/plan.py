"""What the worker tells the zygote and hears from it: one place for the messages and the names of their fields."""

from __future__ import annotations

import struct
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

WORK, TMP = "work", "tmp"
"""Folders of a slot: the task's working directory, whose files become artifacts, and its HOME and TMPDIR."""

FORK, REAP, TELL = b"F", b"R", b"T"
"""To the zygote, as the first byte: fork; wait for a dead process; wait for it and say how it ended."""
FORKED, ENDED = b"f", b"e"
"""From the zygote: a process, with the descriptor that names it; how one ended."""
_FORK, _PROCESS, _FORKED, _ENDED = struct.Struct("=H???H"), struct.Struct("=i"), struct.Struct("=Hi"), "=iidd"


@dataclass(frozen=True, kw_only=True)
class ZygotePlan:
    """How the zygote confines its tasks. Sent once, first, as JSON."""

    root: str
    """Folder that holds one folder per slot."""
    off: list[str]
    """Layers that are switched off (tests only)."""
    preload: list[str]
    uid_base: int | None
    """Slot n runs as this user id plus n; None keeps the worker's own."""

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


class Fork(NamedTuple):
    """Asks the zygote for one task process; its channel, stdout and stderr come with the message."""

    slot: int
    tree: bool = False
    """It may start processes: give it a supervisor that ends them all."""
    network: bool = False
    gpu: bool = False
    proxy_port: int = 0

    @property
    def plain(self) -> bool:
        """Whether it may do no more than compute."""
        return not (self.tree or self.network or self.gpu)

    def pack(self) -> bytes:
        """The whole message."""
        return FORK + _FORK.pack(*self)

    @classmethod
    def unpack(cls, message: bytes) -> Fork:
        """Read a message that begins with FORK."""
        return cls._make(_FORK.unpack_from(message, 1))


class Forked(NamedTuple):
    """A process that the zygote made."""

    slot: int
    pid: int

    def pack(self) -> bytes:
        """The whole message."""
        return FORKED + _FORKED.pack(*self)

    @classmethod
    def unpack(cls, message: bytes) -> Forked:
        """Read a message that begins with FORKED."""
        return cls._make(_FORKED.unpack_from(message, 1))


class Exit(NamedTuple):
    """How a process of the zygote's ended."""

    pid: int
    status: int
    """As waitpid gives it."""
    seconds: float = 0.0
    memory_mb: float = 0.0

    def pack(self) -> bytes:
        """The whole message."""
        return ENDED + struct.pack(_ENDED, *self)

    @classmethod
    def unpack(cls, message: bytes) -> Exit:
        """Read a message that begins with ENDED."""
        return cls._make(struct.unpack_from(_ENDED, message, 1))


def reap(pid: int, *, tell: bool) -> bytes:
    """The message that has a dead process waited for."""
    return (TELL if tell else REAP) + _PROCESS.pack(pid)


def to_reap(message: bytes) -> int:
    """The process that a message beginning with REAP or TELL means."""
    pid: int = _PROCESS.unpack_from(message, 1)[0]
    return pid
