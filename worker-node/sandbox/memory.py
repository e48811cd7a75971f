"""Makes the zygote cheap to fork: its code run in beforehand, its memory in few and large pages, no holes in it."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import TYPE_CHECKING

from sandbox import heap

if TYPE_CHECKING:
    from collections.abc import Callable

_ROUNDS = 12  # the interpreter specialises code after eight calls
_HUGE = 1 << 21
_MADV_COLLAPSE = 25
_REHEARSALS = ("result = {'a': 1}\nprint(end='')", "result = [1.5, None]", "1 / 0", "def f(:")
_libc = ctypes.CDLL(None, use_errno=True)


def settle(rehearse: Callable[[str], None]) -> None:
    """Rehearse tasks, then put all that is there out of the collector's sight: pages stay shared with the children."""
    # An entry that is overwritten would let go of a name on some library's page.
    sys._clear_type_cache()  # noqa: SLF001
    for _ in range(_ROUNDS):
        for code in _REHEARSALS:
            rehearse(code)
    heap.fill_holes()
    gc.freeze()
    _collapse()


def _collapse() -> None:
    """Ask for huge pages below the heap: fewer page tables to copy per fork. Kernels before 6.1 cannot."""
    with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:  # noqa: PTH123
        rows = [line.split() for line in maps]
    for row in rows:
        anonymous = len(row) < 6 or row[5] == "[heap]"  # noqa: PLR2004 - the sixth field is the file
        if "w" not in row[1] or not anonymous:
            continue
        start, end = (int(word, 16) for word in row[0].split("-"))
        for at in range(-(-start // _HUGE) * _HUGE, end - _HUGE + 1, _HUGE):
            _libc.madvise(ctypes.c_void_p(at), ctypes.c_size_t(_HUGE), _MADV_COLLAPSE)
