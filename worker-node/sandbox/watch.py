"""Watches what the kernel does not limit for a whole tree: disk and files, unlinked ones too, memory, processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.plan import TMP, WORK
from sandbox.tree import children
from sandbox.verdicts import over_limit

if TYPE_CHECKING:
    from sandbox.base import Job
    from sandbox.verdicts import Verdict

INTERVAL_S = 0.1
FILES = 20_000
"""Files and folders that a task may have at a time."""
_BLOCK = 512
_PAGE = 4096
_KB = 1024
_MB = 1 << 20
_DEPTH = 200
_PROCESSES = 4096


@dataclass
class Seen:
    """What one look found."""

    disk: int = 0
    files: int = 0
    memory: int = 0
    processes: int = 0
    threads: int = 0


def look(folder: str, pid: int, *, shared: int) -> Seen:
    """Measure a task: its folders, and its process with all descendants.

    `shared`: bytes that every process shares with the one it was forked from, and that are not its own. Blocks for as
    long as walking FILES entries takes; the walk ends there.
    """
    seen = Seen()
    unlinked: dict[tuple[int, int], int] = {}
    for one in _tree(pid):
        _look_at_process(one, shared, seen, unlinked)
    seen.disk += sum(unlinked.values())
    _walk([f"{folder}/{WORK}", f"{folder}/{TMP}"], seen)
    return seen


def verdict(seen: Seen, job: Job, *, threads: int) -> Verdict | None:
    """What a look says about a job; None while it keeps within its limits."""
    limits = job.limits
    processes = limits.processes if job.permissions.processes else 1
    if seen.disk > limits.disk_mb * _MB:
        return over_limit("disk", f"{limits.disk_mb} MB", "disk_mb")
    if seen.files > FILES:
        return over_limit("the disk", f"{FILES} files", "the size of each file")
    if seen.memory > limits.memory_mb * _MB:
        return over_limit("memory", f"{limits.memory_mb} MB", "memory_mb")
    if seen.processes > processes:
        return over_limit("the machine", f"{processes} processes", "processes")
    if seen.threads > threads:
        return over_limit("the machine", f"{threads} threads", "the work of each thread")
    return None


def anonymous_memory(pid: int) -> int:
    """Bytes of memory that are no file's; 0 if the process is gone."""
    return sum(_status(pid, ("RssAnon", "RssShmem"))) * _KB


def _tree(pid: int) -> list[int]:
    found, at = [pid], 0
    while at < len(found) < _PROCESSES:
        try:
            threads = os.listdir(f"/proc/{found[at]}/task")  # noqa: PTH208 - many times a second
            for thread in threads:
                with open(f"/proc/{found[at]}/task/{thread}/children", "rb") as listing:  # noqa: PTH123
                    found += [int(word) for word in listing.read().split()]
        except FileNotFoundError:
            found += children(found[at])
        except OSError:
            pass
        at += 1
    return found


def _look_at_process(pid: int, shared: int, seen: Seen, unlinked: dict[tuple[int, int], int]) -> None:
    anonymous, shmem, threads = _status(pid, ("RssAnon", "RssShmem", "Threads"))
    seen.memory += max(0, (anonymous + shmem) * _KB - shared)
    seen.threads += threads
    seen.processes += 1
    folder = f"/proc/{pid}/fd"
    try:
        for fd in os.listdir(folder):  # noqa: PTH208
            status = os.stat(f"{folder}/{fd}")  # noqa: PTH116
            if status.st_nlink == 0 and status.st_blocks:
                unlinked[status.st_dev, status.st_ino] = status.st_blocks * _BLOCK
    except OSError:
        return  # it ended meanwhile


def _status(pid: int, names: tuple[str, ...]) -> list[int]:
    found = dict.fromkeys(names, 0)
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as lines:  # noqa: PTH123
            for line in lines:
                name, _, value = line.partition(":")
                if name in found:
                    found[name] = int(value.split()[0])
    except OSError:
        pass
    return list(found.values())


def _walk(folders: list[str], seen: Seen) -> None:
    pending = [(folder, 0) for folder in folders]
    while pending:
        path, depth = pending.pop()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    seen.files += 1
                    status = entry.stat(follow_symlinks=False)
                    seen.disk += max(_PAGE, status.st_blocks * _BLOCK)
                    if seen.files > FILES:
                        return
                    if entry.is_dir(follow_symlinks=False):
                        if depth < _DEPTH:
                            pending.append((entry.path, depth + 1))
                        else:  # nobody needs that, and its path is soon too long to look
                            seen.files = FILES + 1
                            return
        except OSError:
            continue  # it was removed meanwhile, or its mode keeps even the task out
