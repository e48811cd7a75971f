"""How much of a machine this worker has: CPUs and memory as its container is told, and who may read it."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MB = 1024 * 1024
_PR_SET_DUMPABLE = 4


def cpus() -> int:
    """CPUs that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def memory_mb(files: Mapping[str, str] | None = None) -> int:
    """Memory of this machine or container in MB; 0 if the system does not say. `files` stands in for /sys in tests."""
    names = ("SC_PAGE_SIZE", "SC_PHYS_PAGES")
    known = getattr(os, "sysconf_names", {})
    total = os.sysconf(names[0]) * os.sysconf(names[1]) if all(name in known for name in names) else 0
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = _text(path) if files is None else files.get(path, "")
        if text.strip().isdigit():
            total = min(total, int(text)) if total else int(text)
    return total // MB


def hide_memory() -> None:
    """Keep other processes of the same user from reading this one's memory and first environment (Linux only)."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        message = "prctl(PR_SET_DUMPABLE)"
        raise OSError(ctypes.get_errno(), message)


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - a kernel file, read whole
            return file.read()
    except OSError:
        return ""
