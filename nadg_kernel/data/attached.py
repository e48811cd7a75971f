"""One piece of attached data: its schema for the plan, its bytes for the workers, what is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nadg_kernel import values
from nadg_kernel.data.fidelity import changes
from nadg_kernel.data.files import FILE_KINDS, Folder, read_file
from nadg_kernel.data.folders import module_names
from nadg_kernel.model import DataSchema, Problem
from nadg_kernel.wire import INLINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATH_CHARS = 4096
_SHOWN_CHANGES = 10
_TEXT_DTYPES = ("str", "string", "large_string")


class Keeper(Protocol):
    """Where bytes go: the engines' `Blobs`."""

    def put(self, data: bytes) -> str:
        """Keep bytes and give their SHA-256."""


@dataclass(frozen=True, kw_only=True)
class Attached:
    """Data by name. `ref` is a ValueRef as a dict: each leaf is inline (64 KB at most) or in the blobs.

    `rows` is what a map would split: rows, items or files; None for what cannot be split. Where a problem blocks, `ref`
    may stand for nothing, and the plan cannot be approved.
    """

    name: str
    schema: DataSchema
    ref: Mapping[str, Any] = field(repr=False)
    problems: tuple[Problem, ...] = ()
    rows: int | None = None
    modules: frozenset[str] = frozenset()
    """Of a folder: what subtasks that have it as an input can import from it."""


def attach(name: str, value: object, blobs: Keeper) -> Attached:
    """Take data for a plan: a frame, series, array, text, bytes, JSON value, or the path of a file or folder.

    A path is a `pathlib.Path`, or text that ends like a file that can be read (`reviews.csv`), begins with `~`, `./` or
    `../`, or holds a separator and exists. Other text is the data itself.

    Raises DataError for a file that is missing, empty, not UTF-8, ragged, or of an unknown type. What would not arrive
    on a worker exactly as it is here becomes a problem that blocks approval.
    """
    if isinstance(value, Path) or (isinstance(value, str) and _looks_like_path(value)):
        value = read_file(value)
    found = list(_notable(name, value))
    content: object = dict(value) if isinstance(value, Folder) else value
    try:
        encoded = values.encode(content)
    except values.ValueEncodingError as error:
        schema = _schema(value, None)
        found.append(_problem(name, str(error)))
        return Attached(name=name, schema=schema, ref={"format": "json", "value": None}, problems=tuple(found))
    lost = list(changes(content, encoded))
    found += [_problem(name, text) for text in lost[:_SHOWN_CHANGES]]
    if len(lost) > _SHOWN_CHANGES:
        found.append(_problem(name, f"{len(lost) - _SHOWN_CHANGES} more columns would arrive changed"))
    ref = values.to_ref(encoded, INLINE_BYTES, lambda _sha256, data: _keep(blobs, data))
    schema = _schema(value, encoded.size)
    modules = module_names(value) if isinstance(value, Folder) else frozenset()
    return Attached(name=name, schema=schema, ref=ref, problems=tuple(found), rows=schema.rows, modules=modules)


def _keep(blobs: Keeper, data: bytes) -> None:
    blobs.put(data)


def _problem(name: str, message: str, *, blocks: bool = True) -> Problem:
    return Problem(code="data", message=f"{name}: {message}", blocks=blocks)


def _looks_like_path(text: str) -> bool:
    if not 0 < len(text) < _PATH_CHARS or "\n" in text or "\0" in text or text != text.strip():
        return False
    if text.startswith(("~", "./", "../", ".\\", "..\\")):
        return True
    if "://" in text:
        return False
    path = Path(text)
    if path.suffix.lower() in FILE_KINDS and (" " not in path.suffix):
        return " " not in text or path.exists()
    return ("/" in text or "\\" in text) and path.exists()


def _notable(name: str, value: object) -> Iterator[Problem]:
    """What a person should know although nothing is lost."""
    if isinstance(value, Folder):
        for path, why in value.skipped[:_SHOWN_CHANGES]:
            yield _problem(name, f"left out {path}: {why}", blocks=False)
        if len(value.skipped) > _SHOWN_CHANGES:
            yield _problem(name, f"left out {len(value.skipped) - _SHOWN_CHANGES} more files", blocks=False)
    pd = sys.modules.get("pandas")
    if pd is not None and isinstance(value, pd.DataFrame | pd.Series) and len(value) == 0:
        yield _problem(name, "has no rows", blocks=False)


def _schema(value: object, size: int | None) -> DataSchema:
    np, pd, pa = (sys.modules.get(module) for module in ("numpy", "pandas", "pyarrow"))
    if pa is not None and isinstance(value, pa.Table):
        value = value.to_pandas()
    if pd is not None and isinstance(value, pd.DataFrame):
        columns = tuple(str(column) for column in value.columns)
        dtypes = tuple(dtype_name(value.iloc[:, place]) for place in range(len(columns)))
        return DataSchema(kind="frame", columns=columns, dtypes=dtypes, rows=len(value), size=size)
    if pd is not None and isinstance(value, pd.Series):
        label = "" if value.name is None else str(value.name)
        return DataSchema(kind="array", columns=(label,), dtypes=(dtype_name(value),), rows=len(value), size=size)
    if pd is not None and isinstance(value, pd.Index):
        return _schema(value.to_series(), size)
    if np is not None and isinstance(value, np.ndarray):
        rows = len(value) if value.ndim else None
        return DataSchema(kind="array", dtypes=(str(value.dtype),), rows=rows, size=size)
    if isinstance(value, Folder):
        return DataSchema(kind="folder", rows=len(value), size=size)
    if isinstance(value, str):
        return DataSchema(kind="text", size=size)
    if isinstance(value, bytes | bytearray | memoryview):
        return DataSchema(kind="bytes", size=size)
    return DataSchema(kind="json", rows=len(value) if isinstance(value, list | tuple | dict) else None, size=size)


def dtype_name(series: Any) -> str:
    """A column's dtype as pandas prints it; every way to hold text is `str`, so that plans fit all pandas versions."""
    from pandas.api.types import infer_dtype

    shown = str(series.dtype)
    if shown.partition("[")[0] in _TEXT_DTYPES:
        return "str"
    if shown == "object" and infer_dtype(series, skipna=True) == "string":
        return "str"
    return shown
