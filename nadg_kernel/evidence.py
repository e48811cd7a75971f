"""What a planner may be told of a run and of data: failures, shapes, results as text, and rows only if allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import DataError, NadgError
from nadg_kernel.values import ValueDecodingError, decode, from_ref

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nadg_kernel.data import Attached
    from nadg_kernel.engines.base import Blobs
    from nadg_kernel.run import Run

COLUMNS_SHOWN = 50
CELL_CHARACTERS = 200
MOST_SAMPLE_ROWS = 50


def failure_text(error: Mapping[str, Any]) -> str:
    """What a failed attempt told: its traceback, or its type and message where there is none, and its hint."""
    head = f"{error.get('type', 'failed')}: {error.get('message', '')}"
    trace, hint = str(error.get("traceback") or "").strip(), str(error.get("hint") or "").strip()
    return "\n".join(filter(None, (trace, "" if head in trace else head, hint)))


def input_shapes(run: Run, subtask: str) -> str:
    """One line per input of a subtask's first failed shard: its type, size, columns; never its values."""
    failed = run.progress.subtasks[subtask].failed
    try:
        inputs = run.inputs(subtask, failed.number if failed is not None else 0)
    except (NadgError, KeyError, ValueDecodingError) as error:
        return f"they cannot be read here: {error}"
    return "\n".join(f"{name}: {shape(value)}" for name, value in inputs.items()) or "it has none"


def shape(value: object) -> str:
    """What a value is, without what is in it."""
    kind = type(value).__name__
    columns = getattr(value, "dtypes", None)
    if hasattr(value, "columns") and columns is not None:
        pairs = [f"{name} {dtype}" for name, dtype in list(columns.items())[:COLUMNS_SHOWN]]
        more = f", {len(columns) - COLUMNS_SHOWN} more" if len(columns) > COLUMNS_SHOWN else ""
        return f"{kind}, {len(value)} rows x {len(columns)} columns ({', '.join(pairs)}{more})"  # type: ignore[arg-type]
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{kind} of shape {value.shape}, {value.dtype}"
    if isinstance(value, (list, tuple)):
        inner = sorted({type(item).__name__ for item in value})
        return f"{kind} of {len(value)} ({', '.join(inner)})"
    if isinstance(value, dict):
        keys = ", ".join(repr(key) for key in list(value)[:COLUMNS_SHOWN])
        return f"{kind} of {len(value)} (keys: {keys})"
    if isinstance(value, (str, bytes)):
        return f"{kind} of length {len(value)}"
    return kind


def result_shapes(run: Run) -> str:
    """One line per subtask that succeeded: what its result is; never its values."""
    lines = []
    for name, item in run.progress.subtasks.items():
        if not item.state.good:
            continue
        try:
            told = shape(run[name].value)
        except (NadgError, KeyError, ValueDecodingError) as error:
            told = f"it cannot be read here: {error}"
        lines.append(f"{name}: {told}")
    return "\n".join(lines)


def result_text(run: Run, subtask: str) -> str:
    """A subtask's state and what it gave, as plain text: of a table its first rows."""
    view = run[subtask]
    shown = [str(bundle["text/plain"]) for bundle in view.bundles() if bundle.get("text/plain")]
    return "\n".join([f"({view.state})", *shown])


def sample_rows(attached: Mapping[str, Attached], samples: int | Mapping[str, int], blobs: Blobs) -> dict[str, str]:
    """Name -> first rows as text, of the data for which the person allowed some: a number for all, or one by name.

    Tables as CSV, lists and arrays one item a line, text its first lines; long cells are cut. Raises DataError for a
    name that is not attached and for a number that is none.
    """
    wanted = dict(samples) if not isinstance(samples, int) else dict.fromkeys(attached, samples)
    out = {}
    for name, rows in wanted.items():
        if name not in attached:
            message = f"samples: there is no data {name!r} (there is: {', '.join(attached) or 'none'})"
            raise DataError(message)
        if not _is_count(rows):
            message = f"samples: {rows!r} is no number of rows"
            raise DataError(message)
        if rows and (text := _sample(attached[name], min(rows, MOST_SAMPLE_ROWS), blobs)):
            out[name] = text
    return out


def _sample(item: Attached, rows: int, blobs: Blobs) -> str:
    from nadg_kernel.data import split_value
    from nadg_kernel.model import Map

    encoded = from_ref(item.ref, blobs.get)
    if item.schema.kind == "text":
        return "\n".join(str(_cut(line)) for line in str(decode(encoded)).splitlines()[:rows])
    if item.rows is None or item.schema.kind == "folder":
        return ""
    value = decode(split_value(encoded, Map(over=item.name, rows=rows))[0])
    if hasattr(value, "to_csv"):
        short = value.astype(str) if value.ndim == 1 else value.map(_cut)
        return str(short.to_csv(index=False)).rstrip("\n")
    listed = [f"{key}: {inner}" for key, inner in value.items()] if isinstance(value, dict) else [*map(str, value)]
    return "\n".join(str(_cut(text)) for text in listed)


def _is_count(rows: object) -> bool:
    return isinstance(rows, int) and not isinstance(rows, bool) and rows >= 0


def _cut(value: object) -> object:
    text = str(value)
    return value if len(text) <= CELL_CHARACTERS else f"{text[:CELL_CHARACTERS]}…"
