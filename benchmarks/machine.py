"""The machine that figures hold for, in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def load() -> float | None:
    """How many processes wanted a processor over the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def busy() -> bool:
    """Whether others leave us less than half of the machine."""
    return (load() or 0.0) > cores() / 2


def machine() -> str:
    """Processor, cores, Python, kernel and load average, one line each."""
    average = ", ".join(f"{value:.2f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    lines = {
        "processor": _processor(),
        "cores": f"{cores()} of {os.cpu_count()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "kernel": f"{platform.system()} {platform.release()} ({platform.machine()})",
        "load average": f"{average} (1, 5, 15 minutes)",
    }
    return "\n".join(f"  {name:14}{value}" for name, value in lines.items())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.processor() or "unknown"
