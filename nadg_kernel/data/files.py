"""Files of a person as values; what is wrong with one is said with its place and a way out."""

from __future__ import annotations

import codecs
import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FOLDER_FILES = 10_000
FOLDER_FILE_BYTES = 16 * 1024 * 1024
FOLDER_BYTES = 256 * 1024 * 1024
"""Bounds of an attached folder: what is beyond them is left out, and named."""
_WIDE_CHARACTERS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SCALARS = (type(None), bool, int, float, str)


class Folder(dict[str, Any]):
    """A folder's files by relative path (forward slashes): text where it is UTF-8, bytes otherwise.

    `skipped` names what was left out, and why.
    """

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self.skipped: list[tuple[str, str]] = []


def read_file(path: str | Path) -> Any:
    """Read a file by its suffix, or a folder. Raises DataError that says what is wrong with it, where, and what to do.

    CSV and TSV (UTF-8, one header line; `,` `;` or tab) and Parquet give frames; JSON and JSONL a frame if they are
    records of plain fields, else the JSON value; text gives str; a folder a Folder.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _read_folder(path)
    reader = FILE_KINDS.get(path.suffix.lower())
    if reader is None and path.exists():
        known = " ".join(sorted(FILE_KINDS))
        kind = f"files of type {path.suffix!r}" if path.suffix else "files without a suffix"
        raise DataError(f"{path}: {kind} are not read here (known: {known}). Load it yourself and attach the value")
    data = _bytes_of(path)
    if not data.strip():
        raise DataError(f"{path} is empty")
    assert reader is not None  # noqa: S101 - a missing file was refused above
    return reader(path, data)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file (looked from {Path.cwd()})") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _text_of(path: Path, data: bytes) -> str:
    """The text of a UTF-8 file, without a byte order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # After a byte order mark Python counts from behind it.
        at = error.start + (len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0)
        line = data.count(b"\n", 0, at) + 1
        likely = "utf-16" if data.startswith(_WIDE_CHARACTERS) else "cp1252"
        raise DataError(
            f"{path} is not UTF-8: byte {at} (line {line}) is 0x{data[at]:02x}. If it is {likely}, convert it with "
            f"`iconv -f {likely} -t utf-8`, or read it yourself (`encoding={likely!r}`) and attach the value"
        ) from None


def _read_csv(path: Path, data: bytes) -> Any:
    text = _text_of(path, data)
    head = text.lstrip("\r\n").split("\n", 1)[0]
    separators = [mark for mark in (",", ";", "\t") if mark in head]
    return _table(path, text, separators[0] if separators else ",")


def _read_tsv(path: Path, data: bytes) -> Any:
    return _table(path, _text_of(path, data), "\t")


def _table(path: Path, text: str, separator: str) -> Any:
    import pandas as pd

    rows = _check_rows(path, text, separator)
    try:
        frame = pd.read_csv(io.StringIO(text), sep=separator, low_memory=False, index_col=False)
    except (ValueError, csv.Error) as error:  # pandas' parser errors are ValueErrors
        raise DataError(f"{path} is no table that can be read: {str(error).strip()}") from None
    if rows == 0:
        columns = ", ".join(map(str, frame.columns))
        raise DataError(f"{path} has a header ({columns}) and no rows")
    return frame


def _check_rows(path: Path, text: str, separator: str) -> int:
    """Count the rows below the header. Raises DataError with the line of the first that has another number of fields.

    pandas fills short rows with missing values without a word.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    width, count, began = 0, -1, 1
    try:
        for row in reader:
            began, line = reader.line_num + 1, began
            if not row:
                continue
            if count < 0:
                width = len(row)
            elif len(row) != width:
                raise DataError(f"{path} is ragged: line {line} has {_fields(len(row))}, the header has {width}")
            count += 1
    except csv.Error as error:
        if "field limit" in str(error):
            return max(count, 1)  # longer than this check reads; pandas reads it, or says why not
        raise DataError(f"{path} is no table that can be read: line {began}: {error}") from None
    return count


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"


def _read_parquet(path: Path, data: bytes) -> Any:
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(io.BytesIO(data), engine="pyarrow")
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path} is no Parquet file that can be read: {str(error).strip()}") from None


def _read_json(path: Path, data: bytes) -> Any:
    value = _json(path, _text_of(path, data))
    return _records(value) if isinstance(value, list) else value


def _read_jsonl(path: Path, data: bytes) -> Any:
    lines = _text_of(path, data).split("\n")
    items = [_json(path, line, number) for number, line in enumerate(lines, 1) if line.strip()]
    return _records(items)


def _json(path: Path, text: str, line: int | None = None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is not JSON: line {line or error.lineno}, column {error.colno}: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        raise DataError(f"{path} is JSON that cannot be read: {error}") from None


def _records(items: list[Any]) -> Any:
    """A frame of records whose fields are plain values; anything else stays the list that it is."""
    if not items or not all(isinstance(item, dict) for item in items):
        return items
    if not all(isinstance(field, _SCALARS) for item in items for field in item.values()):
        return items
    import pandas as pd

    names = list(dict.fromkeys(name for item in items for name in item))
    return pd.DataFrame({name: _column([item.get(name) for item in items]) for name in names})


def _column(cells: Sequence[Any]) -> Any:
    """Whole numbers with gaps stay whole numbers: as floats the large ones would change."""
    import pandas as pd

    given = [cell for cell in cells if cell is not None]
    if len(given) < len(cells) and given and all(type(cell) is int for cell in given):
        try:
            return pd.array(list(cells), dtype="Int64")
        except OverflowError:
            return list(cells)
    return list(cells)


def _read_folder(folder: Path) -> Folder:
    out = Folder()
    total = 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() and not path.is_symlink():
            continue
        if why := _unwanted(folder, path, len(out)):
            out.skipped.append((name, why))
            continue
        size = path.stat().st_size
        if total + size > FOLDER_BYTES:
            out.skipped.append((name, f"the folder is larger than {FOLDER_BYTES // 2**20} MB"))
            continue
        data = _bytes_of(path)
        total += len(data)
        out[name] = _text_or_bytes(data)
    if not out:
        raise DataError(f"{folder} is a folder without files that can be sent")
    return out


def _unwanted(folder: Path, path: Path, taken: int) -> str:
    if any(part.startswith(".") for part in path.relative_to(folder).parts):
        return "hidden"
    if path.is_symlink():
        return "a link"
    if not path.is_file():
        return "no plain file"
    if path.stat().st_size > FOLDER_FILE_BYTES:
        return f"larger than {FOLDER_FILE_BYTES // 2**20} MB"
    if taken >= FOLDER_FILES:
        return f"the folder has more than {FOLDER_FILES} files"
    return ""


def _text_or_bytes(data: bytes) -> str | bytes:
    if b"\0" in data:
        return data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


FILE_KINDS: dict[str, Callable[[Path, bytes], Any]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".tab": _read_tsv,
    ".parquet": _read_parquet,
    ".pq": _read_parquet,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    **dict.fromkeys((".txt", ".md", ".rst", ".log", ".html", ".xml"), _text_of),
    **dict.fromkeys((".yaml", ".yml", ".toml", ".ini", ".py", ".sql"), _text_of),
}
"""Suffix -> reader: all file types there are."""
