"""A run as JSON: what `nadg run --json` writes, for programs that read results without this package."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nadg_kernel.display import safe_bundle
from nadg_kernel.errors import NadgError
from nadg_kernel.values import ValueDecodingError, decode

if TYPE_CHECKING:
    import pandas as pd

    from nadg_kernel.results import ResultView
    from nadg_kernel.run import Run
    from nadg_kernel.values import Encoded

MAX_ROWS = 10_000
"""Rows of a frame, and items of an array, that go into the JSON; `row_count` says how many there are."""
MAX_BYTES = 1_000_000
"""Bytes of a binary value that go into the JSON."""


def run_json(run: Run) -> dict[str, Any]:
    """`{"run_id", "state", "subtasks": [...]}`; docs/cli.md describes each field."""
    return {
        "run_id": run.id,
        "state": str(run.state),
        "subtasks": [_subtask(run[name], run.progress.subtasks[name]) for name in run.progress.subtasks],
    }


def to_text(report: Mapping[str, Any]) -> str:
    """The report as JSON text; characters that UTF-8 cannot hold are escaped."""
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def _subtask(view: ResultView, progress: Any) -> dict[str, Any]:
    out = {"id": view.id, "title": progress.title, "state": str(view.state), "worker": progress.worker or None}
    out["seconds"] = progress.seconds
    result, error = _result(view), _error(view, progress)
    return out | {"result": result, "displays": _displays(view), "stdout": view.stdout, "error": error}


def _result(view: ResultView) -> Any:
    if not view.state.good:
        return None
    try:
        return encoded_json(view.encoded())
    except (NadgError, KeyError, ValueDecodingError) as error:
        return {"unreadable": str(error)}


def _displays(view: ResultView) -> list[Any]:
    try:
        return [plain_json(bundle) for bundle in view.displays]
    except (KeyError, ValueDecodingError) as error:
        return [{"text/plain": f"this output cannot be read: {error}"}]


def _error(view: ResultView, progress: Any) -> dict[str, Any] | None:
    if view.error is not None:
        return {name: plain_json(value) for name, value in view.error.items()}
    if view.state.good or not (progress.reason or view.state.final):
        return None
    return {"type": str(view.state), "message": progress.reason, "traceback": ""}


def encoded_json(value: Encoded) -> Any:
    """A result as JSON values. Frames of a map's shards with the same columns become one frame again."""
    if value.format == "list" and value.items:
        parts = [_decoded(item) for item in value.items]
        if all(item.format == "arrow" for item in value.items) and len({tuple(part.columns) for part in parts}) == 1:
            import pandas as pd

            return frame_json(pd.concat(parts))
        return [plain_json(part) for part in parts]
    return plain_json(_decoded(value))


def _decoded(value: Encoded) -> Any:
    plain = decode(value)
    return safe_bundle(plain) if value.format == "mime" and isinstance(plain, dict) else plain


def frame_json(frame: pd.DataFrame) -> dict[str, Any]:
    """`{"columns", "rows", "row_count"}`: rows as lists, at most MAX_ROWS. An index that says something comes first."""
    if _telling(frame.index):
        frame = frame.copy(deep=False)
        for place, name in enumerate(frame.index.names):
            frame.insert(place, _free(frame, name, place), frame.index.get_level_values(place), allow_duplicates=True)
    head = frame.iloc[:MAX_ROWS]
    rows = [[plain_json(cell) for cell in row] for row in head.itertuples(index=False, name=None)]
    return {"columns": [str(name) for name in frame.columns], "rows": rows, "row_count": len(frame)}


def frame_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """One JSON object per row."""
    columns = [str(name) for name in frame.columns]
    rows = frame.itertuples(index=False, name=None)
    return [dict(zip(columns, map(plain_json, row), strict=True)) for row in rows]


def _telling(index: Any) -> bool:
    return index.nlevels > 1 or index.name is not None or not str(index.dtype).startswith(("int", "uint"))


def _free(frame: pd.DataFrame, name: object, place: int) -> str:
    wanted = f"index_{place}" if name is None else str(name)
    return wanted if wanted not in frame.columns else f"index_{wanted}"


def plain_json(value: Any) -> Any:
    """A value as JSON has it: missing values null, times ISO 8601, bytes base64, what is left its text."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_json(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        kept = base64.b64encode(value[:MAX_BYTES]).decode()
        return {"base64": kept, "size": len(value)}
    return _foreign(value)


def _foreign(value: Any) -> Any:
    """Values of pandas and numpy, and dates."""
    import numpy as np
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return frame_json(value)
    if isinstance(value, pd.Series):
        return frame_json(value.to_frame("value" if value.name is None else value.name))
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.generic):
        return plain_json(value.item()) if not isinstance(value, (np.datetime64, np.timedelta64)) else str(value)
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    return str(value)


def _array(value: Any) -> Any:
    if value.size <= MAX_ROWS:
        return plain_json(value.tolist())
    return {
        "array": plain_json(value.ravel()[:MAX_ROWS].tolist()),
        "shape": list(value.shape),
        "dtype": str(value.dtype),
    }
