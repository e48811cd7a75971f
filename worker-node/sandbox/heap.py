"""Where the zygote's objects lie: what libraries load, in one heap that huge pages cover; what follows, side by side.

A fork copies an entry for each small page, and each page that is written to afterwards: few pages and few places to
write to are what makes it cheap.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_POOL, _STEP, _SMALL = 1 << 14, 16, 512
"""Small objects of one size (a multiple of _STEP up to _SMALL bytes) share a pool of _POOL bytes."""
_MOST = 100_000
_THRESHOLD = 16 << 20
_RAW = 0
_libc = ctypes.CDLL(None)
_libc.malloc.argtypes, _libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
_libc.free.argtypes = [ctypes.c_void_p]
_fillers: list[list[object]] = []


class _Arenas(ctypes.Structure):
    """PyObjectArenaAllocator."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ("context", "allocate", "free"))


class _Allocator(ctypes.Structure):
    """PyMemAllocatorEx."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ("context", "malloc", "calloc", "realloc", "free"))


class Gathered:
    """While this context lasts, Python's arenas come from malloc's heap instead of lying all over the address space."""

    def __enter__(self) -> None:
        """Set it."""
        # Freed once, blocks below this size come from the heap, as in any process that works with arrays.
        _libc.free(_libc.malloc(_THRESHOLD))
        raw, self._usual = _Allocator(), _Arenas()
        ctypes.pythonapi.PyMem_GetAllocator(_RAW, ctypes.byref(raw))
        ctypes.pythonapi.PyObject_GetArenaAllocator(ctypes.byref(self._usual))
        arenas = _Arenas(context=raw.context, allocate=raw.malloc, free=raw.free)
        ctypes.pythonapi.PyObject_SetArenaAllocator(ctypes.byref(arenas))

    def __exit__(self, *_: object) -> None:
        """Give tasks the usual arenas: their memory goes back to the system. One from before is then kept for good."""
        ctypes.pythonapi.PyObject_SetArenaAllocator(ctypes.byref(self._usual))


def fill_holes() -> None:
    """Take every free place between the objects of loaded libraries.

    Else each object that a child makes lands on another page that it shares with the zygote, and the kernel copies
    that page.
    """
    gc.collect()
    _libc.malloc_trim(0)
    _fillers.extend(_fill(size) for size in range(_STEP, _SMALL + 1, _STEP))


def _fill(size: int) -> list[object]:
    """Make objects of one size until they fill a whole pool in order: then no used pool has a place left."""
    kept: list[object] = []
    side_by_side = last = 0
    for made in _objects(size):
        side_by_side = side_by_side + 1 if id(made) - last == size else 0
        last = id(made)
        kept.append(made)
        if side_by_side >= _POOL // size - 2:
            break
    return kept


def _objects(size: int) -> Iterator[object]:
    empty = sys.getsizeof(b"")
    for number in range(_MOST):
        yield object() if size == _STEP else float(number) if size < empty else bytes(size - empty)
