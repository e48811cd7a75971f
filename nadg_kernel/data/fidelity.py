"""Whether data arrives on a worker exactly as it is here, proved by decoding its bytes and comparing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from nadg_kernel import values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nadg_kernel.values import Encoded


def changes(value: object, encoded: Encoded) -> Iterator[str]:
    """In words, what would be different after the way to a worker; nothing if the value arrives as it is.

    JSON, text, bytes and arrays are exact by their format; frames and series are decoded and compared.
    """
    if encoded.note:
        yield encoded.note
    elif encoded.format == "mime":
        yield f"a {type(value).__name__} would arrive as its picture or HTML only: attach the data behind it"
    elif encoded.format in {"list", "dict"}:
        inner = list(value.values()) if isinstance(value, dict) else list(value)  # type: ignore[call-overload]
        for place, (item, part) in enumerate(zip(inner, encoded.items, strict=True)):
            where = repr(encoded.keys[place]) if encoded.keys else str(place)
            yield from (f"item {where}: {text}" for text in changes(item, part))
    elif encoded.format in {"arrow", "series"}:
        yield from _table_changes(value, encoded)


def _table_changes(value: Any, encoded: Encoded) -> Iterator[str]:
    import pandas as pd

    try:
        back = values.decode(encoded)
    except values.ValueDecodingError as error:
        yield f"what a worker would receive cannot be read: {error}. Give each column one simple type"
        return
    if isinstance(value, pd.DataFrame):
        if type(value) is not pd.DataFrame:
            yield f"a {type(value).__qualname__} would arrive as a plain DataFrame: attach pandas.DataFrame(...) of it"
        yield from frame_changes(value, back)
    elif isinstance(value, pd.Series):
        yield from _index_changes(value.index, back.index)
        yield from _column_changes("the series", value, back)


def frame_changes(before: Any, after: Any) -> Iterator[str]:
    """In words, where two frames differ in labels, index, dtypes or values."""
    if not before.columns.equals(after.columns) or list(before.columns.names) != list(after.columns.names):
        yield f"the column labels {list(before.columns)[:5]} would arrive as {list(after.columns)[:5]}: use text"
        return
    yield from _index_changes(before.index, after.index)
    for place, label in enumerate(before.columns):
        yield from _column_changes(f"column {label!r}", before.iloc[:, place], after.iloc[:, place])


def _index_changes(before: Any, after: Any) -> Iterator[str]:
    same = before.nlevels == after.nlevels and list(before.names) == list(after.names) and before.equals(after)
    if not same or not all(map(_same_dtype, _dtypes(before), _dtypes(after))):
        yield f"the index ({', '.join(map(str, _dtypes(before)))}) would arrive changed: use reset_index() first"
    elif getattr(before, "freq", None) != getattr(after, "freq", None):
        yield f"the index would lose its frequency {before.freq}: use reset_index() first"


def _dtypes(index: Any) -> list[Any]:
    return list(index.dtypes) if index.nlevels > 1 else [index.dtype]


def _column_changes(what: str, before: Any, after: Any) -> Iterator[str]:
    if not _same_dtype(before.dtype, after.dtype):
        yield f"{what} is {before.dtype} and would arrive as {after.dtype}: convert it first"
    elif before.dtype == object:
        if (kinds := _kinds(before)) != _kinds(after):
            differ = next((a, b) for a, b in zip(before, after, strict=True) if type(a) is not type(b))
            yield (
                f"{what} holds {'Python objects' if len(kinds) > 1 else kinds.pop()}; "
                f"{differ[0]!r:.60} would arrive as {differ[1]!r:.60}"
            )
        elif not _equal_objects(before, after):
            yield f"{what} holds Python objects that would arrive changed: convert it to one simple type"
    elif not before.reset_index(drop=True).equals(after.astype(before.dtype).reset_index(drop=True)):
        yield f"{what} ({before.dtype}) would arrive with other values"


def _same_dtype(before: Any, after: Any) -> bool:
    """Equal, or the same kind of text kept in another memory layout."""
    if before == after:
        return True
    pd = sys.modules["pandas"]
    if isinstance(before, pd.StringDtype) and isinstance(after, pd.StringDtype):
        # Only what stands for a missing value shows in results; pandas 2.2 has one kind only.
        return getattr(before, "na_value", pd.NA) is getattr(after, "na_value", pd.NA) or before == after
    if isinstance(before, pd.DatetimeTZDtype) and isinstance(after, pd.DatetimeTZDtype):
        offset = before.tz.utcoffset(None)  # None for a zone of places, which has a name
        return bool(before.unit == after.unit and offset is not None and offset == after.tz.utcoffset(None))
    return False


def _kinds(series: Any) -> set[str]:
    return {type(cell).__name__ for cell in series}


def _equal_objects(before: Any, after: Any) -> bool:
    for mine, theirs in zip(before, after, strict=True):
        if type(mine) is not type(theirs):
            return False
        if mine is not theirs:
            same = mine == theirs
            if not (isinstance(same, bool) and same) and not (mine != mine and theirs != theirs):  # noqa: PLR0124 - NaN
                return False
    return True
