"""Finds a spawned task's descendants by a variable in their environment, where /proc shows it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

MARK = "NADG_TASK_PROCESS"


def kill_marked(value: str, *, spare: int = 0) -> None:
    """Kill every process whose environment holds the mark, those that left their group too. Linux only."""
    if sys.platform != "linux":
        return
    wanted = f"{MARK}={value}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != spare:
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
