"""Makes the zygote cheap to fork: its code run in beforehand, its memory in few and large pages, no holes in it."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_ROUNDS = 12  # the interpreter specialises code after eight calls
_HUGE = 1 << 21
_MADV_COLLAPSE = 25
_REHEARSALS = ("result = {'a': 1}\nprint(end='')", "result = [1.5, None]", "1 / 0", "def f(:")
_POOL, _STEP, _SMALL = 1 << 14, 16, 512
"""Small objects of one size (a multiple of _STEP up to _SMALL bytes) share a pool of _POOL bytes."""
_MOST = 100_000
_libc = ctypes.CDLL(None, use_errno=True)
_fillers: list[list[object]] = []


def settle(rehearse: Callable[[str], None]) -> None:
    """Rehearse tasks, then put all that is there out of the collector's sight: pages stay shared with the children."""
    # An entry that is overwritten would let go of a name on some library's page.
    sys._clear_type_cache()  # noqa: SLF001
    for _ in range(_ROUNDS):
        for code in _REHEARSALS:
            rehearse(code)
    gc.collect()
    _libc.malloc_trim(0)
    _fill_holes()
    gc.freeze()
    _collapse()


def _fill_holes() -> None:
    """Take every free place between the objects of loaded libraries.

    Else each small object that a child makes lands on another page that it shares with the zygote, and the kernel
    copies that page. From here on new objects lie side by side.
    """
    _fillers.extend(_fill(size) for size in range(_STEP, _SMALL + 1, _STEP))


def _fill(size: int) -> list[object]:
    """Make objects of one size until they fill a whole pool in order: then no used pool has a place left."""
    kept: list[object] = []
    empty = sys.getsizeof(b"")
    side_by_side = last = 0
    while side_by_side < _POOL // size - 2 and len(kept) < _MOST:
        made = object() if size == _STEP else float(len(kept)) if size < empty else bytes(size - empty)
        side_by_side = side_by_side + 1 if id(made) - last == size else 0
        last = id(made)
        kept.append(made)
    return kept


def _collapse() -> None:
    """Ask for huge pages below the heap: fewer page tables to copy per fork. Kernels before 6.1 cannot."""
    with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:  # noqa: PTH123
        rows = [line.split() for line in maps]
    for row in rows:
        anonymous = len(row) < 6 or row[5] == "[heap]"  # noqa: PLR2004 - the sixth field is the file
        if "w" not in row[1] or not anonymous:
            continue
        start, end = (int(word, 16) for word in row[0].split("-"))
        start, end = -(-start // _HUGE) * _HUGE, end // _HUGE * _HUGE
        if end > start:
            _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_COLLAPSE)
