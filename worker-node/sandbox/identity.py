"""Gives tasks user ids of their own when the worker was started as root, and takes every capability from them."""

from __future__ import annotations

import contextlib
import os
import secrets
import struct
from pathlib import Path

from sandbox import linux

FIRST_UID = 1_730_000_000
"""High, so that no account and no container's range is likely to hold it."""
BLOCKS, BLOCK = 200_000, 1024
"""Each worker takes a block of ids by chance: the kernel counts threads by id, so two workers must not share one."""
_TRIES = 20
_CAPSET_VERSION = 0x20080522
_NR_CAPSET = {"x86_64": 126, "aarch64": 91}


def first_uid(count: int) -> int | None:
    """The first of `count` user ids that tasks can have; None if the worker cannot change its id or none is free."""
    if os.geteuid() != 0:
        return None
    taken = _user_ids()
    for _ in range(_TRIES):
        first = FIRST_UID + BLOCK * secrets.randbelow(BLOCKS)
        if _mapped(first, count) and not any(first <= uid < first + BLOCK for uid in taken):
            return first
    return FIRST_UID if _mapped(FIRST_UID, count) else None


def _mapped(first: int, count: int) -> bool:
    """Whether this user namespace has these ids."""
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        inside, _, length = (int(word) for word in line.split())
        if inside <= first and first + count <= inside + length:
            return True
    return False


def _user_ids() -> set[int]:
    """User ids that have a process now."""
    found = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                found.add(entry.stat().st_uid)
    return found


def prepare(uid: int | None) -> None:
    """In the zygote: give up groups, and what a change of user id would leave of capabilities.

    None: tasks keep the worker's own id, and all capabilities go at once.
    """
    if uid is None:
        _set_capabilities_empty()
        return
    os.setgroups([])
    os.setresgid(uid, uid, uid)


def _set_capabilities_empty() -> None:
    header = struct.pack("Ii", _CAPSET_VERSION, 0)
    linux.syscall(_NR_CAPSET[os.uname().machine], header, bytes(24))


def enterable(path: Path) -> Path | None:
    """The first folder on the way to `path` that other users cannot enter; None if they can reach it."""
    for folder in [*reversed(path.parents), path]:
        if folder.is_dir() and not folder.stat().st_mode & 0o001:
            return folder
    return None
