"""What the kernel limits for one process: memory, CPU time, file size, descriptors, threads."""

from __future__ import annotations

import os
import resource

MB = 1 << 20
DESCRIPTORS = 256
THREADS = 64
"""Threads that a task may have while it may start no process."""
CPU_MARGIN_S = 5
"""The clock ends a task; CPU time is the net under it."""


def before_fork() -> None:
    """Limits that are equal for every task: no core dumps, no POSIX message queues."""
    for kind in (resource.RLIMIT_CORE, getattr(resource, "RLIMIT_MSGQUEUE", 12)):
        resource.setrlimit(kind, (0, 0))


def wanted(
    *, timeout_s: float, memory_mb: int | None, disk_mb: int, tasks: int | None, cpus: int, address_space: int
) -> list[tuple[int, int]]:
    """What to limit, as (kind, value), for `apply` in the process that it is meant for.

    `memory_mb` counts on top of the `address_space` that the process has already. `tasks` bounds the threads and
    processes of its user id. None leaves either be.
    """
    found = [
        (resource.RLIMIT_CPU, int(timeout_s * cpus) + CPU_MARGIN_S),
        (resource.RLIMIT_FSIZE, disk_mb * MB),
        (resource.RLIMIT_NOFILE, DESCRIPTORS),
    ]
    if memory_mb is not None:
        found.append((resource.RLIMIT_AS, address_space + memory_mb * MB))
    if tasks is not None:
        found.append((resource.RLIMIT_NPROC, tasks))
    return found


def apply(limits: list[tuple[int, int]]) -> None:
    """Limit the calling process, and one by one all that it will start."""
    for kind, value in limits:
        try:
            resource.setrlimit(kind, (value, value))
        except ValueError:  # above what the worker itself may have
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (min(value, hard), min(value, hard)))


def tasks_of_user(capacity: int) -> int:
    """Threads and processes that this worker's user id may reach, tasks included, when tasks share it.

    Far above what it has now, because other programs of the same user count too; the watch holds each task to its own.
    """
    now, me = 0, os.getuid()
    for entry in os.scandir("/proc"):
        try:
            if entry.name.isdigit() and entry.stat().st_uid == me:
                now += len(os.listdir(f"{entry.path}/task"))  # noqa: PTH208
        except OSError:
            continue  # it ended meanwhile
    return 2 * now + capacity * THREADS + 512


def address_space() -> int:
    """Bytes of address space in use; 0 where the system does not say."""
    if not os.path.exists("/proc/self/statm"):  # noqa: PTH110
        return 0
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123
        return int(statm.read().split()[0]) * resource.getpagesize()
