"""How Python values become bytes and back without pickle: JSON, Arrow IPC, npy, MIME bundles.

This file is the same, byte for byte, in the package and in worker-node/ (`make sync-wire`). It runs inside the
sandboxed task too, so it imports only the standard library until a value needs more, and never the package.

    type                                        format   what comes back
    None, bool, int, float, str, list, dict     json     equal (tuples come back as lists)
    bytes, bytearray                            bytes    bytes
    pandas.DataFrame, pyarrow.Table             arrow    DataFrame, dtypes and index intact
    pandas.Series                               series   Series with its name
    numpy.ndarray (no objects), numpy scalars   npy      equal
    figures, objects with rich representations  mime     the bundle {mime type: content}
    list or dict that holds any of these        list, dict
    anything else                               json     its text, and a note that says so
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timezone
from typing import Any

JSON_TYPES = (type(None), bool, int, float, str)
PLOTLY_MIME = "application/vnd.plotly.v1+json"
TEXT_LIMIT = 10_000
"""Characters kept of an object that is only known by its text."""
NOTE_LIMIT = 500
ITEM_LEVELS = 40
"""Lists in lists that hold more than JSON."""
INLINE_LEVELS = 100
"""Nesting of JSON that stands in the wire's own JSON: its parsers stop at 200."""
_SERIES_NAME = b"nadg_series_name"
_BEYOND_ARROW = b"nadg_beyond_arrow"


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
    bundle = _own_bundle(value)
    if bundle is not None:
        return _mime(bundle)
    text = repr(value)
    cut = text[:TEXT_LIMIT]
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return Encoded(format="json", data=_dumps(cut).encode(), note=f"kept as text: {kind} has no lossless form")


def decode(encoded: Encoded) -> Any:
    """Turn bytes back into a value. Raises ValueDecodingError when they are not what the format says."""
    try:
        if encoded.format == "list":
            return [decode(item) for item in encoded.items]
        if encoded.format == "dict":
            return {key: decode(item) for key, item in zip(encoded.keys, encoded.items, strict=True)}
        return _DECODERS[encoded.format](encoded.data)
    except ValueDecodingError:
        raise
    except Exception as error:  # whatever a parser raises on bytes from elsewhere becomes one kind of error
        message = f"{len(encoded.data)} bytes are not {encoded.format!r}: {error}"
        raise ValueDecodingError(message) from error


def mime_bundle(value: object) -> dict[str, Any]:
    """The rich representations of a value, `text/plain` always among them, as Jupyter would ask for them."""
    special = _figure_bundle(value)
    if special is not None:
        return special
    own = _own_bundle(value)
    if own is not None:
        return own
    text = value if isinstance(value, str) else repr(value)
    return {"text/plain": text[:TEXT_LIMIT]}


def to_ref(encoded: Encoded, inline_bytes: int, keep: Callable[[str, bytes], None]) -> dict[str, Any]:
    """The wire's ValueRef for a value, as a dict; `keep(sha256, data)` is called for each leaf too large to inline.

    All inline leaves of one value together are at most 16 times `inline_bytes`, so that no list outgrows a request.
    """
    return _to_ref(encoded, inline_bytes, [16 * inline_bytes], keep)


def _to_ref(encoded: Encoded, inline_bytes: int, left: list[int], keep: Callable[[str, bytes], None]) -> dict[str, Any]:
    ref: dict[str, Any] = {"format": encoded.format, "size": encoded.size, "note": encoded.note[:NOTE_LIMIT]}
    if encoded.format in {"list", "dict"}:
        ref["items"] = [_to_ref(item, inline_bytes, left, keep) for item in encoded.items]
        if encoded.format == "dict":
            ref["value"] = list(encoded.keys)
        return ref
    ref["sha256"] = encoded.digest()
    if len(encoded.data) > min(inline_bytes, left[0]):
        keep(ref["sha256"], encoded.data)
        return ref
    left[0] -= len(encoded.data)
    if encoded.format == "json" and (plain := _strict_json(encoded.data)) is not _NOT_STRICT:
        ref["value"] = plain
    else:
        ref["data"] = base64.b64encode(encoded.data).decode("ascii")
    return ref


def from_ref(ref: Mapping[str, Any], fetch: Callable[[str], bytes]) -> Encoded:
    """Read a ValueRef given as a dict; `fetch(sha256)` gives the bytes of a blob. Raises ValueDecodingError."""
    try:
        return _from_ref(ref, fetch)
    except RecursionError as error:
        raise ValueDecodingError("a value is nested too deeply") from error


def _from_ref(ref: Mapping[str, Any], fetch: Callable[[str], bytes]) -> Encoded:
    form = ref.get("format", "json")
    note = ref.get("note") or ""
    if form in {"list", "dict"}:
        items = tuple(_from_ref(item, fetch) for item in ref.get("items") or ())
        keys = tuple(str(key) for key in ref.get("value") or ()) if form == "dict" else ()
        if form == "dict" and len(keys) != len(items):
            raise ValueDecodingError("a dict has as many keys as items")
        return Encoded(format=form, items=items, keys=keys, note=note)
    if form not in _DECODERS:
        message = f"unknown format {form!r}"
        raise ValueDecodingError(message)
    if ref.get("data") is not None:
        try:
            data = base64.b64decode(ref["data"], validate=True)
        except ValueError as error:
            raise ValueDecodingError("inline data is not base64") from error
    elif ref.get("value") is None and ref.get("sha256") and not (form == "json" and ref.get("size") == len(b"null")):
        data = fetch(ref["sha256"])
    elif form == "text" and isinstance(ref.get("value"), str):
        data = ref["value"].encode()
    elif form not in {"json", "mime"}:
        message = f"a value of format {form!r} came without its bytes"
        raise ValueDecodingError(message)
    else:
        data = _dumps(ref.get("value")).encode()
    return Encoded(format=form, data=data, note=note, sha256=hashlib.sha256(data).hexdigest())


def _json(value: object) -> Encoded:
    try:
        return Encoded(format="json", data=_dumps(value).encode())
    except (ValueError, RecursionError) as error:
        message = f"a value has no JSON form: {error}"
        raise ValueEncodingError(message) from error


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


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


_NOT_STRICT = object()


def _strict_json(data: bytes) -> Any:
    def refuse(_constant: str) -> Any:
        raise ValueError

    try:
        value = json.loads(data, parse_constant=refuse)
        if b"\\ud" in data:  # a surrogate; half a pair has no UTF-8 form
            json.dumps(value, ensure_ascii=False).encode()
        if data.count(b"[") + data.count(b"{") > INLINE_LEVELS and _levels(value) > INLINE_LEVELS:
            return _NOT_STRICT
    except (ValueError, RecursionError):
        return _NOT_STRICT
    return value


def _levels(value: object) -> int:
    """How deep a JSON value is nested."""
    level, layer = 0, [value]
    while layer:
        level += 1
        inner = [item for item in layer if isinstance(item, (list, dict))]
        layer = [part for item in inner for part in (item.values() if isinstance(item, dict) else item)]
    return level


def _by_library(value: object) -> Encoded | None:
    """Formats of libraries that are loaded already: a value of a library's type cannot exist without it."""
    np, pd, pa = (sys.modules.get(name) for name in ("numpy", "pandas", "pyarrow"))
    if pd is not None and isinstance(value, pd.DataFrame):
        return _arrow(value)
    if pd is not None and isinstance(value, pd.Series):
        return _series(value)
    if pd is not None and isinstance(value, pd.Index):
        return _series(value.to_series(index=range(len(value)), name=value.name))
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
    figure = _figure_bundle(value)
    return _mime(figure) if figure is not None else None


def _arrow(frame: Any) -> Encoded:
    note = ""
    if frame.columns.nlevels == 1 and frame.columns.inferred_type.startswith("mixed"):
        note = "column labels of mixed types were kept as text"
        frame = frame.set_axis([str(label) for label in frame.columns], axis=1)
    return Encoded(format="arrow", data=table_bytes(_table(frame, "the frame")), note=note)


def _series(series: Any) -> Encoded:
    name = series.name
    note = "" if isinstance(name, JSON_TYPES) else "the name of the series was kept as text"
    table = _table(series.to_frame(name="values"), f"the series {name!r}")
    metadata = {**(table.schema.metadata or {}), _SERIES_NAME: _dumps(name if not note else str(name)).encode()}
    return Encoded(format="series", data=table_bytes(table.replace_schema_metadata(metadata)), note=note)


def _table(frame: Any, what: str) -> Any:
    import pyarrow as pa

    try:
        table = pa.Table.from_pandas(frame)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, AttributeError) as error:
        reason = " ".join(str(part) for part in error.args).rstrip(".") or type(error).__name__
        message = f"{what} has no Arrow form: {reason}. Give each column one simple type, and each its own name"
        raise ValueEncodingError(message) from error
    beyond = _beyond_arrow(frame)
    if not beyond:
        return table
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _BEYOND_ARROW: _dumps(beyond).encode()})


def _beyond_arrow(frame: Any) -> dict[str, Any]:
    """What Arrow drops of a frame and `_to_pandas` puts back: an index's frequency, text kept as Python objects."""
    beyond: dict[str, Any] = {}
    levels = frame.index.levels if frame.index.nlevels > 1 else [frame.index]
    # Of periods it is the type, and is kept.
    freqs = [None if str(level.dtype).startswith("period") else getattr(level, "freqstr", None) for level in levels]
    if any(freqs):
        beyond["freqs"] = freqs
    objects: dict[str, str] = {}
    for place in [place for place, dtype in enumerate(frame.dtypes) if str(dtype) == "object"]:
        kinds = {type(cell) for cell in frame.iloc[:, place]}
        if (str in kinds and kinds <= {str, float}) or kinds == {str, type(None)}:
            objects[str(place)] = "nan" if float in kinds else "None"
    if objects:
        beyond["objects"] = objects
    return beyond


def _to_pandas(table: Any) -> Any:
    frame = table.to_pandas()
    for place, dtype in enumerate(frame.dtypes):
        zone: Any = getattr(dtype, "tz", None)
        if type(zone).__name__ == "_FixedOffset":  # older pyarrow makes pytz's own of a plain offset
            offset = timezone(zone.utcoffset(None))
            frame.isetitem(place, frame.iloc[:, place].dt.tz_convert(offset))
    beyond = json.loads((table.schema.metadata or {}).get(_BEYOND_ARROW, b"{}"))
    for place, missing in beyond.get("objects", {}).items():
        column = frame.iloc[:, int(place)]
        cells = column.astype(object)
        cells[column.isna()] = float("nan") if missing == "nan" else None
        frame.isetitem(int(place), cells)
    for place, freq in enumerate(beyond.get("freqs", ())):
        if freq is not None and len(frame):
            with suppress(ValueError):  # a custom calendar has no form in words; the index is right without it
                frame.index = _with_freq(frame.index, place, freq)
    return frame


def _with_freq(index: Any, place: int, freq: str) -> Any:
    level = index.levels[place] if index.nlevels > 1 else index
    level = type(level)(level, freq=freq)
    return index.set_levels(level, level=place, verify_integrity=False) if index.nlevels > 1 else level


def table_bytes(table: Any) -> bytes:
    """A pyarrow Table as an Arrow IPC stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _npy(array: Any) -> Encoded:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return Encoded(format="npy", data=buffer.getvalue())


def _mime(bundle: Mapping[str, Any]) -> Encoded:
    return Encoded(format="mime", data=_dumps(dict(bundle)).encode())


def _figure_bundle(value: object) -> dict[str, Any] | None:
    kind = type(value)
    if kind.__module__.startswith("plotly.") and hasattr(value, "to_json"):
        figure = json.loads(value.to_json())
        return {PLOTLY_MIME: figure, "text/plain": f"plotly figure with {len(figure.get('data', ()))} traces"}
    if kind.__module__.startswith("matplotlib.") and hasattr(value, "savefig"):
        buffer = io.BytesIO()
        value.savefig(buffer, format="png", bbox_inches="tight")
        return {"image/png": base64.b64encode(buffer.getvalue()).decode("ascii"), "text/plain": repr(value)}
    return None


_REPRS = (
    ("_repr_html_", "text/html"),
    ("_repr_markdown_", "text/markdown"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
    ("_repr_latex_", "text/latex"),
)


def _own_bundle(value: object) -> dict[str, Any] | None:
    """What the object itself offers by IPython's protocol; None if it offers nothing richer than text."""
    bundle: dict[str, Any] = {}
    if callable(whole := getattr(value, "_repr_mimebundle_", None)):
        answer = whole()
        bundle.update(answer[0] if isinstance(answer, tuple) else answer or {})
    for method, mime in _REPRS:
        if mime not in bundle and callable(single := getattr(value, method, None)):
            content = single()
            content = content[0] if isinstance(content, tuple) else content
            if content is not None:
                bundle[mime] = base64.b64encode(content).decode("ascii") if isinstance(content, bytes) else content
    if not bundle:
        return None
    bundle.setdefault("text/plain", repr(value)[:TEXT_LIMIT])
    return bundle


def _read_table(data: bytes) -> Any:
    # Loaded for its effect: without it Arrow does not know periods and intervals, and gives bare numbers for an index.
    import pandas.core.arrays.arrow.extension_types  # noqa: F401
    import pyarrow as pa

    table = pa.ipc.open_stream(data).read_all()
    table.validate(full=True)  # bytes from elsewhere can lie about offsets and lengths, which would be read unchecked
    return table


def _read_series(data: bytes) -> Any:
    table = _read_table(data)
    name = json.loads((table.schema.metadata or {}).get(_SERIES_NAME, b"null"))
    return _to_pandas(table)["values"].rename(name)


def _read_npy(data: bytes) -> Any:
    import numpy as np

    array = np.load(io.BytesIO(data), allow_pickle=False)
    return array[()] if array.ndim == 0 else array


_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "json": json.loads,
    "text": lambda data: data.decode("utf-8"),
    "bytes": bytes,
    "arrow": lambda data: _to_pandas(_read_table(data)),
    "series": _read_series,
    "npy": _read_npy,
    "mime": json.loads,
}
