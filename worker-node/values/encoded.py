"""A value as bytes, and what can go wrong with it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

JSON_TYPES = (type(None), bool, int, float, str)
TEXT_LIMIT = 10_000
"""Characters kept of an object that is only known by its text."""


class ValueEncodingError(TypeError):
    """A value has no lossless form. The message names the column or key and says what to change."""


class ValueDecodingError(ValueError):
    """Bytes are not what their format says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """A value as bytes: `data` for a leaf, `items` for a list or dict (then `keys` are the dict's)."""

    format: str
    data: bytes = b""
    items: tuple[Encoded, ...] = ()
    keys: tuple[str, ...] = ()
    note: str = ""
    sha256: str = field(default="", compare=False)

    @property
    def size(self) -> int:
        """Bytes in all, items included."""
        return len(self.data) + sum(item.size for item in self.items)

    def digest(self) -> str:
        """SHA-256 of a leaf's bytes (hex)."""
        return self.sha256 or hashlib.sha256(self.data).hexdigest()


def dumps(value: object) -> str:
    """JSON text without spaces."""
    return json.dumps(value, separators=(",", ":"))
