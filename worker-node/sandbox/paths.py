"""Which folders of this system a task needs to read: the interpreter, its libraries, time zones, certificates."""

from __future__ import annotations

import glob
import os
import site
import sys
import sysconfig
from pathlib import Path

_SYSTEM = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/usr/share/zoneinfo"]
_FILES = [
    "/etc/localtime",
    "/etc/ld.so.cache",
    "/etc/mime.types",
    "/etc/ssl",
    "/etc/pki",
    "/usr/share/ca-certificates",
    "/usr/share/fonts",
    "/usr/share/mime",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/proc/stat",
    "/proc/version",
    "/proc/filesystems",
    "/sys/devices/system/cpu",
]
NULL = "/dev/null"
_PROGRAMS = ["/usr/bin", "/bin", "/usr/local/bin"]
_NETWORK = ["/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"]


def libraries() -> list[str]:
    """Folders with code: readable, and executable in the sense of mmap."""
    own = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    lib = [f"{prefix}/{name}" for prefix in {sys.prefix, sys.base_prefix} for name in ("lib", "lib64", "share")]
    packages = [*site.getsitepackages(), *(entry for entry in sys.path if entry.endswith("-packages"))]
    found = [os.path.realpath(path) for path in [*own, *lib, *packages, *_SYSTEM]]
    return sorted({path for path in found if path != "/" and os.path.isdir(path)})  # noqa: PTH112


def files() -> list[str]:
    """Files and folders to read only."""
    return [*_FILES, f"{sys.prefix}/pyvenv.cfg"]


def programs() -> list[str]:
    """Folders with programs, for tasks that may start some."""
    real = os.path.realpath(sys.executable)
    return [*_PROGRAMS, f"{sys.prefix}/bin", f"{sys.base_prefix}/bin", real]


def network() -> list[str]:
    """Files that name resolution reads."""
    return _NETWORK


def gpu_devices() -> list[str]:
    """Device nodes of graphics processors, with the calls on them."""
    return sorted(glob.glob("/dev/nvidia*") + glob.glob("/dev/dri"))  # noqa: PTH207 - strings all the way


def gpu_files() -> list[str]:
    """What their drivers read."""
    return ["/proc/driver/nvidia", "/sys/bus/pci", "/sys/devices", "/sys/class/drm", "/sys/module/nvidia"]


def interpreter_roots() -> list[Path]:
    """What must be reachable for the interpreter to work at all, other roots than the system's left out."""
    return sorted({Path(sys.prefix), Path(os.path.realpath(sys.base_prefix))})
