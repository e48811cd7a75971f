"""Cut an encoded value into the shards of a map, without turning frames into pandas and back."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nadg_kernel import values

if TYPE_CHECKING:
    from collections.abc import Callable

    from nadg_kernel.model import Map
    from nadg_kernel.values import Encoded


def split_value(encoded: Encoded, over: Map) -> list[Encoded]:
    """The shards of a value in order: frames and series by rows, lists and dicts by items, arrays by the first axis.

    `over.rows` is the size of a shard, `over.shards` their number; never more shards than rows and at least one. What
    cannot be split is one shard. Raises ValueDecodingError when the bytes are not what their format says.
    """
    cut = _CUTTERS.get(encoded.format)
    if cut is None:
        return [encoded]
    try:
        return cut(encoded, over)
    except values.ValueDecodingError:
        raise
    except Exception as error:  # what a parser raises on bytes from elsewhere
        raise values.ValueDecodingError(f"this {encoded.format!r} value cannot be split: {error}") from error


def bounds(count: int, over: Map) -> list[tuple[int, int]]:
    """Begin and end of each shard over `count` rows: as equal as can be, the larger ones first."""
    if count <= 1:
        return [(0, count)]
    if over.rows is not None:
        edges = [*range(0, count, max(1, over.rows)), count]
    else:
        wanted = max(1, min(over.shards or 1, count))
        size, more = divmod(count, wanted)
        edges = [place * size + min(place, more) for place in range(wanted + 1)]
    return list(pairwise(edges))


def _cut_table(encoded: Encoded, over: Map) -> list[Encoded]:
    import pyarrow as pa

    table = pa.ipc.open_stream(encoded.data).read_all()
    pieces = bounds(table.num_rows if table.num_columns else 1, over)
    if len(pieces) == 1:
        return [encoded]
    return [replace(encoded, data=values.table_bytes(_slice(table, begin, end)), sha256="") for begin, end in pieces]


def _slice(table: Any, begin: int, end: int) -> Any:
    """Rows with their labels: an index that is only a range stands in the metadata and moves with the slice."""
    piece = table.slice(begin, end - begin)
    metadata = dict(table.schema.metadata or {})
    if b"pandas" not in metadata:
        return piece
    pandas = json.loads(metadata[b"pandas"])
    for index in pandas.get("index_columns", ()):
        if isinstance(index, dict) and index.get("kind") == "range":
            start, step = index["start"], index["step"]
            index["start"], index["stop"] = start + begin * step, start + end * step
    return piece.replace_schema_metadata({**metadata, b"pandas": json.dumps(pandas).encode()})


def _cut_array(encoded: Encoded, over: Map) -> list[Encoded]:
    import numpy as np

    array = np.load(io.BytesIO(encoded.data), allow_pickle=False)
    if array.ndim == 0:
        return [encoded]
    return [values.encode(array[begin:end]) for begin, end in bounds(len(array), over)]


def _cut_json(encoded: Encoded, over: Map) -> list[Encoded]:
    value = values.decode(encoded)
    if isinstance(value, list):
        return [values.encode(value[begin:end]) for begin, end in bounds(len(value), over)]
    if isinstance(value, dict):
        items = list(value.items())
        return [values.encode(dict(items[begin:end])) for begin, end in bounds(len(items), over)]
    return [encoded]


def _cut_items(encoded: Encoded, over: Map) -> list[Encoded]:
    return [
        replace(encoded, items=encoded.items[begin:end], keys=encoded.keys[begin:end], sha256="")
        for begin, end in bounds(len(encoded.items), over)
    ]


_CUTTERS: dict[str, Callable[[Encoded, Map], list[Encoded]]] = {
    "arrow": _cut_table,
    "series": _cut_table,
    "npy": _cut_array,
    "json": _cut_json,
    "list": _cut_items,
    "dict": _cut_items,
}
