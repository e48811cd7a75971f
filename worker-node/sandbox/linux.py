"""The system calls that Python's standard library does not offer, by ctypes."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
# Named types spare the calls that each task makes a conversion in Python. A pointer takes ints and bytes.
_prctl = _libc.prctl
_prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
_syscall = _libc.syscall
_syscall.argtypes = [ctypes.c_long, *[ctypes.c_void_p] * 4]
_syscall.restype = ctypes.c_long

PR_SET_PDEATHSIG = 1
PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
CLOSE_RANGE_ALL = 0xFFFFFFFF
_CLOSE_RANGE = 436  # the same on every architecture, like all numbers from 424 on


def prctl(option: int, second: int = 0, third: int = 0) -> int:
    """Call prctl; raises OSError."""
    answer: int = _prctl(option, second, third, 0, 0)
    if answer < 0:
        raise _error(f"prctl({option})")
    return answer


def syscall(
    number: int, first: int | bytes = 0, second: int | bytes = 0, third: int | bytes = 0, fourth: int | bytes = 0
) -> int:
    """Call a system call by its number; ints go as 64-bit words, bytes as their address; raises OSError."""
    answer: int = _syscall(number, first, second, third, fourth)
    if answer < 0:
        raise _error(f"system call {number}")
    return answer


def close_from(lowest: int) -> None:
    """Close every descriptor from `lowest` on, those opened behind Python's back too."""
    try:
        syscall(_CLOSE_RANGE, lowest, CLOSE_RANGE_ALL, 0)
    except OSError:  # a kernel before 5.9
        os.closerange(lowest, 65_536)


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")
