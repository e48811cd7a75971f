"""The system calls that Python's standard library does not offer, by ctypes."""

from __future__ import annotations

import ctypes
import os
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)

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


def prctl(option: int, *arguments: int) -> int:
    """Call prctl; raises OSError."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    answer: int = _libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(value) for value in padded))
    if answer < 0:
        raise _error(f"prctl({option})")
    return answer


def syscall(number: int, *arguments: Any) -> int:
    """Call a system call by its number; ints go as 64-bit words; raises OSError."""
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    answer: int = _libc.syscall(ctypes.c_long(number), *words)
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
