"""The framing between a worker and its tasks: length, kind, payload; every length is checked before it is believed."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEAD = struct.Struct(">IB")


class Kind(IntEnum):
    """What a frame carries."""

    HEADER = 1
    """To the task: limits, code, inputs (JSON)."""
    INPUT = 2
    """To the task: sha256 (64 bytes, hex) and the blob's bytes."""
    GO = 3
    """To the task: everything was sent."""
    PROGRESS = 10
    """From the task: {fraction, text}."""
    DISPLAY = 11
    """From the task: a ValueRef of format `mime`."""
    BLOB = 12
    """From the task: sha256 (64 bytes, hex) and the bytes of a leaf that is too large to inline."""
    STDOUT = 13
    """From a spawned task: text. A forked one writes to its own pipe."""
    END = 14
    """From the task: how it ended (JSON)."""


SHA_CHARS = 64


class ChannelError(ValueError):
    """The other side sent what the protocol does not allow."""


def pack(kind: Kind, payload: bytes) -> bytes:
    """One frame."""
    return HEAD.pack(len(payload), kind) + payload


class Frames:
    """Cuts a byte stream into frames. `limits` gives the kinds that may come and the bytes that one may have."""

    def __init__(self, limits: Mapping[Kind, int]) -> None:
        self._limits = dict(limits)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """The frames that are complete now. Raises ChannelError on an unknown kind or one that is too long."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= HEAD.size:
            length, number = HEAD.unpack_from(buffer)
            limit = self._limits.get(number)
            if limit is None:
                message = f"a frame of the unknown kind {number}"
                raise ChannelError(message)
            if length > limit:
                message = f"a {Kind(number).name.lower()} of {length} bytes; at most {limit} are allowed"
                raise ChannelError(message)
            end = HEAD.size + length
            if len(buffer) < end:
                return
            payload = bytes(memoryview(buffer)[HEAD.size : end])
            del buffer[:end]
            yield Kind(number), payload
