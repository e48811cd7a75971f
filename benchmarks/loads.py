"""The shards that `dispatch` sends through every engine: as code for a worker, and as a function of the same input."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

WORKERS = 2
IN_FLIGHT = 8
MEGABYTES = 10


@dataclass(frozen=True)
class Load:
    """One kind of shard: the code for a worker, the same as a function of its input, and how many of them."""

    name: str
    code: str
    call: Callable[[bytes], object]
    data: bytes
    count: int


def trivial(_data: bytes) -> int:
    """Nothing but the way there and back."""
    return 1


def burn(_data: bytes) -> int:
    """100 ms of CPU."""
    end = time.process_time() + 0.1
    turns = 0
    while time.process_time() < end:
        turns += 1
    return turns


def reverse(data: bytes) -> bytes:
    """10 MB in, 10 MB out."""
    return data[::-1]


BURN = """
import time
end = time.process_time() + 0.1
turns = 0
while time.process_time() < end:
    turns += 1
result = turns
"""
LOADS = (
    Load("trivial", "result = 1", trivial, b"", 400),
    Load("100 ms of CPU", BURN, burn, b"", 40),
    Load(f"{MEGABYTES} MB in and out", 'result = inputs["data"][::-1]', reverse, os.urandom(MEGABYTES * 2**20), 12),
)


class Memory:
    """Blobs in memory: the disk is not what is compared here."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        """Keep bytes by their digest."""
        digest = hashlib.sha256(data).hexdigest()
        self._data[digest] = data
        return digest

    def get(self, sha256: str) -> bytes:
        """The bytes."""
        return self._data[sha256]

    def has(self, sha256: str) -> bool:
        """Whether they are here."""
        return sha256 in self._data


class Rate:
    """Shards a second with `IN_FLIGHT` in flight, and the median time of one alone, in ms."""

    def __init__(self, per_second: float, alone_ms: float) -> None:
        """Take both."""
        self.per_second, self.alone_ms = per_second, alone_ms
