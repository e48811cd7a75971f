"""Data frames and series as Arrow IPC, with what Arrow drops of them put back."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timezone
from typing import Any

from .encoded import JSON_TYPES, Encoded, ValueEncodingError, dumps

_SERIES_NAME = b"nadg_series_name"
_BEYOND_ARROW = b"nadg_beyond_arrow"


def encode_frame(frame: Any) -> Encoded:
    """A DataFrame as Arrow IPC. Raises ValueEncodingError where Arrow has no form for it."""
    note = ""
    if frame.columns.nlevels == 1 and frame.columns.inferred_type.startswith("mixed"):
        note = "column labels of mixed types were kept as text"
        frame = frame.set_axis([str(label) for label in frame.columns], axis=1)
    return Encoded(format="arrow", data=table_bytes(_table(frame, "the frame")), note=note)


def encode_series(series: Any) -> Encoded:
    """A Series as Arrow IPC with its name. Raises ValueEncodingError where Arrow has no form for it."""
    name = series.name
    note = "" if isinstance(name, JSON_TYPES) else "the name of the series was kept as text"
    table = _table(series.to_frame(name="values"), f"the series {name!r}")
    metadata = {**(table.schema.metadata or {}), _SERIES_NAME: dumps(name if not note else str(name)).encode()}
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
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _BEYOND_ARROW: dumps(beyond).encode()})


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


def _read_table(data: bytes) -> Any:
    # Loaded for its effect: without it Arrow does not know periods and intervals, and gives bare numbers for an index.
    import pandas.core.arrays.arrow.extension_types  # noqa: F401
    import pyarrow as pa

    table = pa.ipc.open_stream(data).read_all()
    table.validate(full=True)  # bytes from elsewhere can lie about offsets and lengths, which would be read unchecked
    return table


def read_frame(data: bytes) -> Any:
    """A DataFrame from Arrow IPC."""
    return _to_pandas(_read_table(data))


def read_series(data: bytes) -> Any:
    """A Series from Arrow IPC."""
    table = _read_table(data)
    name = json.loads((table.schema.metadata or {}).get(_SERIES_NAME, b"null"))
    return _to_pandas(table)["values"].rename(name)
