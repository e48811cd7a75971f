"""Python values to bytes: the smallest form that loses nothing."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import Any

from .bundles import figure_bundle, own_bundle
from .encoded import JSON_TYPES, TEXT_LIMIT, Encoded, ValueEncodingError, dumps
from .tables import encode_frame, encode_series, table_bytes

ITEM_LEVELS = 40
"""Lists in lists that hold more than JSON."""


def encode(value: object) -> Encoded:
    """Turn a value into bytes. Raises ValueEncodingError where nothing lossless exists and guessing would mislead."""
    return _encode(value, 0)


def _encode(value: object, level: int) -> Encoded:
    if isinstance(value, JSON_TYPES):
        return _json(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Encoded(format="bytes", data=bytes(value))
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return _container(value, dict(value), "dict", tuple(value), level)
    if isinstance(value, (list, tuple)):
        return _container(value, list(value), "list", (), level)
    special = _by_library(value)
    if special is not None:
        return special
    bundle = own_bundle(value)
    if bundle is not None:
        return _mime(bundle)
    text = repr(value)
    cut = text[:TEXT_LIMIT]
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return Encoded(format="json", data=dumps(cut).encode(), note=f"kept as text: {kind} has no lossless form")


def _json(value: object) -> Encoded:
    try:
        return Encoded(format="json", data=dumps(value).encode())
    except (ValueError, RecursionError) as error:
        message = f"a value has no JSON form: {error}"
        raise ValueEncodingError(message) from error


def _container(
    value: object, plain: dict[str, Any] | list[Any], form: str, keys: tuple[str, ...], level: int
) -> Encoded:
    message = f"a {type(value).__name__} is nested too deeply, or contains itself"
    try:
        if _is_json(plain):
            return _json(plain)
    except RecursionError as error:
        raise ValueEncodingError(message) from error
    if level >= ITEM_LEVELS:
        raise ValueEncodingError(message)
    encoded = tuple(_encode(item, level + 1) for item in (plain.values() if isinstance(plain, dict) else plain))
    try:
        "".join(keys).encode()
    except UnicodeEncodeError as error:
        message = "a key holds half a surrogate pair, which has no UTF-8 form: use other keys"
        raise ValueEncodingError(message) from error
    return Encoded(format=form, items=encoded, keys=keys)


def _is_json(value: object) -> bool:
    if isinstance(value, JSON_TYPES):
        # numpy's float64 is a float: it must keep its own format only where that matters, and JSON is exact for it
        return True
    if isinstance(value, (list, tuple)):
        return all(_is_json(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return False


def _by_library(value: object) -> Encoded | None:
    """Formats of libraries that are loaded already: a value of a library's type cannot exist without it."""
    np, pd, pa = (sys.modules.get(name) for name in ("numpy", "pandas", "pyarrow"))
    if pd is not None and isinstance(value, pd.DataFrame):
        return encode_frame(value)
    if pd is not None and isinstance(value, pd.Series):
        return encode_series(value)
    if pd is not None and isinstance(value, pd.Index):
        return encode_series(value.to_series(index=range(len(value)), name=value.name))
    if pa is not None and isinstance(value, pa.Table):
        return Encoded(format="arrow", data=table_bytes(value))
    if np is not None and isinstance(value, np.generic) and not isinstance(value, (np.void, np.object_)):
        plain = value.item()
        return _json(plain) if isinstance(plain, JSON_TYPES) else _npy(np.asarray(value))
    if np is not None and isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            message = "a numpy array of Python objects has no lossless form: give it a numeric or string dtype"
            raise ValueEncodingError(message)
        if isinstance(value, np.ma.MaskedArray):
            message = "a masked array would lose its mask: use .filled(...), or a pandas column with missing values"
            raise ValueEncodingError(message)
        return _npy(value)
    figure = figure_bundle(value)
    return _mime(figure) if figure is not None else None


def _npy(array: Any) -> Encoded:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return Encoded(format="npy", data=buffer.getvalue())


def _mime(bundle: Mapping[str, Any]) -> Encoded:
    return Encoded(format="mime", data=dumps(dict(bundle)).encode())
