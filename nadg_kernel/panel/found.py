"""What a notebook and the disk offer the panel: frames by their names, saved plans."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nadg_kernel.display import clean_text
from nadg_kernel.panel.approval import count_text
from nadg_kernel.panel.records import Offer, PlanFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nadg_kernel.model import DataSchema

SHOWN_COLUMNS = 8
SHOWN_PLANS = 20
_BY_ITSELF = re.compile(r"\d{8}-\d{6}-")
"""How the files of plans begin that no person named."""


def frames_in(namespace: Mapping[str, Any]) -> tuple[Offer, ...]:
    """The pandas frames of a namespace, by name. Nothing is imported: without pandas there are no frames."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return ()
    found = [
        (name, value)
        for name, value in list(namespace.items())  # a copy: cells go on defining names meanwhile
        if name.isidentifier() and not name.startswith("_") and isinstance(value, pandas.DataFrame)
    ]
    return tuple(
        Offer(name=name, text=f"{len(frame):,} x {frame.shape[1]:,}", columns=_columns(frame.columns))
        for name, frame in sorted(found, key=lambda pair: pair[0])
    )


def offer_of_file(name: str, path: str, schema: DataSchema) -> Offer:
    """A file that was read, as an offer."""
    if schema.kind == "frame":
        text = f"{schema.rows or 0:,} x {len(schema.columns):,}"
    else:
        text = schema.kind if schema.size is None else f"{schema.kind}, {schema.size:,} bytes"
    return Offer(name=name, text=text, columns=_columns(schema.columns), path=path)


def name_of_file(path: str, taken: tuple[str, ...]) -> str:
    """A Python name made from a file's name that is not taken."""
    stem = path.replace("\\", "/").rstrip("/").rpartition("/")[2].partition(".")[0]
    name = "".join(letter if letter.isalnum() or letter == "_" else "_" for letter in stem).strip("_") or "data"
    name = name if name.isidentifier() else f"data_{name}"
    number, out = 2, name
    while out in taken:
        out, number = f"{name}_{number}", number + 1
    return out


def file_of_name(name: str, folder: Path) -> Path:
    """The file of a plan that a person named: a path as it is, anything else in this folder."""
    with_end = name if name.endswith(".json") else f"{name}.json"
    path = type(folder)(with_end).expanduser()
    return path.absolute() if "/" in name or "\\" in name else folder / with_end


def saved_plans(folder: Path) -> tuple[PlanFile, ...]:
    """Plans in a folder, newest first; files that are no plans are left out."""
    files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    return tuple(plan for path in files[:SHOWN_PLANS] if (plan := _plan_file(path)) is not None)


def _plan_file(path: Path) -> PlanFile | None:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        command, count = raw["command"], len(raw["subtasks"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # someone else's file
    changed = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    words = clean_text(str(command), 70).replace("\n", " ")
    name = "" if _BY_ITSELF.match(path.stem) else f"{clean_text(path.stem, 60)} · "
    return PlanFile(path=str(path), text=f"{name}{changed:%d %b %H:%M} · {count_text(count, 'subtask')} · {words}")


def _columns(names: Any) -> tuple[str, ...]:
    return tuple(clean_text(str(name), 60) for name in list(names)[:SHOWN_COLUMNS])
