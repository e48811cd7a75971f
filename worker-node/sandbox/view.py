"""Lets tasks with a user id of their own reach an interpreter below a folder that only root may enter, and no more.

In a mount namespace of the zygote's own, such a folder (a home, say) is covered by an empty read-only one that holds
nothing but the few folders that a task needs.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

from sandbox.identity import enterable

_NEW_MOUNTS = 0x00020000
_READ_ONLY, _NO_SUID, _NO_DEVICES, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def covered(needed: list[Path]) -> dict[Path, list[Path]]:
    """Folder that others cannot enter -> the needed folders below it."""
    found: dict[Path, list[Path]] = {}
    for path in needed:
        blocked = enterable(path)
        if blocked is not None:
            found.setdefault(blocked, []).append(path)
    return found


def possible(needed: list[Path]) -> bool:
    """Whether every needed folder can be reached by any user, with `open_up` where that takes it."""
    if not covered(needed):
        return True
    probe = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x20000) != 0)"
    return subprocess.run([sys.executable, "-I", "-S", "-c", probe], check=False).returncode == 0  # noqa: S603


def open_up(needed: list[Path]) -> None:
    """Make every needed folder reachable for any user, in this process and its children only. Raises OSError."""
    blocked = covered(needed)
    if not blocked:
        return
    if _libc.unshare(_NEW_MOUNTS) != 0:
        raise _error("unshare")
    _mount("none", "/", _RECURSIVE | _PRIVATE)
    for cover, paths in blocked.items():
        inside = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in paths}
        _mount("nadg", str(cover), _NO_SUID | _NO_DEVICES, kind="tmpfs", options="mode=755,size=64k")
        for path, fd in inside.items():
            path.mkdir(parents=True)
            _mount(f"/proc/self/fd/{fd}", str(path), _BIND)
            os.close(fd)
        _mount("none", str(cover), _REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEVICES)


def _mount(source: str, target: str, flags: int, *, kind: str = "", options: str = "") -> None:
    answer = _libc.mount(
        source.encode(),
        target.encode(),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    if answer != 0:
        raise _error(f"mount {target}")


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")
