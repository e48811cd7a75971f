"""Gives each task random numbers of its own: the generators that a fork would copy are seeded anew."""

from __future__ import annotations

import ctypes
import os
import random
import sys
from typing import Any

_WORDS = 624
"""Of a Mersenne Twister's state; its position in them follows, and this one means: make new ones first."""
_AT_THE_END = _WORDS.to_bytes(4, sys.byteorder)
_STATE_BYTES = 4 * _WORDS


class Seeds:
    """Python's generator and, where numpy is loaded, its global one."""

    def __init__(self) -> None:
        self._numpy: Any = sys.modules.get("numpy.random")
        self._address = _state_address(self._numpy) if self._numpy is not None else 0

    def renew(self) -> None:
        """Seed them from the system's randomness."""
        random.seed()
        if self._address:
            ctypes.memmove(self._address, os.urandom(_STATE_BYTES) + _AT_THE_END, _STATE_BYTES + 4)
        elif self._numpy is not None:
            self._numpy.seed(int.from_bytes(os.urandom(4), "little"))


def _state_address(numpy_random: Any) -> int:
    """Where numpy's state lies, if writing there does what seeding does; else 0.

    `numpy.random.seed` touches fifty times as many pages, for every task.
    """
    kept = numpy_random.get_state()
    try:
        address = int(numpy_random.mtrand._rand._bit_generator.ctypes.state_address)  # noqa: SLF001
    except AttributeError:
        return 0
    words = os.urandom(_STATE_BYTES)
    before = ctypes.string_at(address, _STATE_BYTES + 4)
    if before != kept[1].tobytes() + kept[2].to_bytes(4, sys.byteorder):
        return 0
    ctypes.memmove(address, words + _AT_THE_END, _STATE_BYTES + 4)
    state = numpy_random.get_state()
    return address if state[1].tobytes() == words and state[2] == _WORDS else 0
