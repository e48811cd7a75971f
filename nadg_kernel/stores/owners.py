"""Who owns a run: this process, and whether another on the same host still lives."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import StoreError
from nadg_kernel.stores.base import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HEARTBEAT_S = 5.0
STALE_S = 20.0
_SAME_START_S = 2.0
"""Tools that tell a process's start round it to seconds."""


def this_owner(name: str = "") -> Owner:
    """This process as an owner; `name` is what a person reads when a takeover is refused."""
    pid = os.getpid()
    who = name or f"{_person()} (process {pid} on {socket.gethostname()})"
    return Owner(name=who, host=socket.gethostname(), pid=pid, started=started(pid) or 0.0, boot_id=boot_id())


def is_dead(owner: Mapping[str, Any]) -> bool | None:
    """Whether an owner's process is certainly gone. None when that cannot be known: another host, or no way to look."""
    if owner.get("host") != socket.gethostname():
        return None
    if owner.get("boot_id") and boot_id() and owner["boot_id"] != boot_id():
        return True
    try:
        begun = started(int(owner["pid"]))
    except (KeyError, TypeError, ValueError, OSError, subprocess.SubprocessError):
        return None
    if begun is None:
        return True
    return abs(begun - float(owner.get("started") or begun)) > _SAME_START_S


def refuse_takeover(
    run_id: str,
    current: Mapping[str, Any] | None,
    heartbeat_at: datetime | None,
    now: datetime,
    dead: Callable[[Mapping[str, Any]], bool | None],
) -> None:
    """Raise StoreError while the run's owner is at it: its heartbeat is fresh and its process not known to be dead."""
    if current is None or heartbeat_at is None:
        return
    age = now - heartbeat_at
    if age >= timedelta(seconds=STALE_S) or dead(current):
        return
    wait = max(1, round(STALE_S - age.total_seconds()))
    message = (
        f"run {run_id} is being driven by {current.get('name') or 'another owner'} (process {current.get('pid')} on "
        f"{current.get('host')}), heard of {max(0, round(age.total_seconds()))} s ago: stop it there, or try again in "
        f"{wait} s if it is gone"
    )
    raise StoreError(message)


@cache
def boot_id() -> str:
    """Identifies this boot of the host; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def started(pid: int) -> float | None:
    """When a process began, seconds on a clock that is the system's own; None if there is none. Raises OSError."""
    if sys.platform == "win32":
        return _started_windows(pid)
    if Path("/proc/self/stat").exists():
        try:
            text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = text.rpartition(")")[2].split()  # the name in parentheses may hold anything
        if fields[0] in {"Z", "X"}:
            return None
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return _started_ps(pid)


def _started_ps(pid: int) -> float | None:
    command = ["/bin/ps", "-o", "lstart=,stat=", "-p", str(pid)]
    shown = subprocess.run(  # noqa: S603 - a number is all that varies
        command, capture_output=True, text=True, check=False, env={"LC_ALL": "C", "TZ": "UTC"}, timeout=10
    )
    return _read_ps(shown.stdout)


def _read_ps(output: str) -> float | None:
    words = output.split()
    if len(words) < 6 or words[5].startswith("Z"):  # noqa: PLR2004 - five words of time, then the state
        return None
    return datetime.strptime(" ".join(words[:5]) + " +0000", "%a %b %d %H:%M:%S %Y %z").timestamp()


def _started_windows(pid: int) -> float | None:
    import ctypes

    kernel32: Any = getattr(ctypes, "windll").kernel32  # noqa: B009 - only Windows has it
    still_active, query_limited = 259, 0x1000
    handle = kernel32.OpenProcess(query_limited, False, pid)  # noqa: FBT003
    if not handle:
        return None
    try:
        code = ctypes.c_ulong()
        times = [ctypes.c_ulonglong() for _ in range(4)]
        known = kernel32.GetExitCodeProcess(handle, ctypes.byref(code))
        if not known or code.value != still_active:
            return None
        if not kernel32.GetProcessTimes(handle, *(ctypes.byref(item) for item in times)):
            message = f"Windows does not tell when process {pid} began"
            raise OSError(message)
        return times[0].value / 1e7
    finally:
        kernel32.CloseHandle(handle)


def _person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "somebody"
