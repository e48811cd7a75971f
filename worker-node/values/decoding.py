"""Bytes back to Python values; whatever they are, they either become a value or one kind of error."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from .encoded import Encoded, ValueDecodingError
from .tables import read_frame, read_series

if TYPE_CHECKING:
    from collections.abc import Callable


def decode(encoded: Encoded) -> Any:
    """Turn bytes back into a value. Raises ValueDecodingError when they are not what the format says."""
    try:
        if encoded.format == "list":
            return [decode(item) for item in encoded.items]
        if encoded.format == "dict":
            return {key: decode(item) for key, item in zip(encoded.keys, encoded.items, strict=True)}
        return DECODERS[encoded.format](encoded.data)
    except ValueDecodingError:
        raise
    except Exception as error:  # whatever a parser raises on bytes from elsewhere becomes one kind of error
        message = f"{len(encoded.data)} bytes are not {encoded.format!r}: {error}"
        raise ValueDecodingError(message) from error


def _read_npy(data: bytes) -> Any:
    import numpy as np

    array = np.load(io.BytesIO(data), allow_pickle=False)
    return array[()] if array.ndim == 0 else array


DECODERS: dict[str, Callable[[bytes], Any]] = {
    "json": json.loads,
    "text": lambda data: data.decode("utf-8"),
    "bytes": bytes,
    "arrow": read_frame,
    "series": read_series,
    "npy": _read_npy,
    "mime": json.loads,
}
