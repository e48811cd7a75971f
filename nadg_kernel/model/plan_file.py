"""Plan files: their JSON read field by field, so that an error says where it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nadg_kernel.errors import PlanFileError
from nadg_kernel.model import edits
from nadg_kernel.model.building import subtask_from_json
from nadg_kernel.model.edits import Edit
from nadg_kernel.model.records import Approval, DataSchema, Subtask

FORMAT = "nadg-plan/1"


def read_plan(raw: object) -> dict[str, Any]:
    """What the content of a plan file says, by the fields of Plan. Raises PlanFileError that says where."""
    if not isinstance(raw, Mapping):
        message = f"a plan is a JSON object, not {type(raw).__name__}"
        raise PlanFileError(message)
    form = raw.get("format", FORMAT)
    if form != FORMAT:
        message = f"the plan's format is {form!r}; this version reads {FORMAT!r}"
        raise PlanFileError(message)
    where = "the plan"
    try:
        where = "data"
        data = {str(name): _schema(schema) for name, schema in dict(raw.get("data") or {}).items()}
        subtasks: list[Subtask] = []
        for number, item in enumerate(_items(raw, "subtasks"), 1):
            where = f"subtask {number}"
            subtasks.append(subtask_from_json(item))
        inferred = [
            edits.with_inputs(new, edits.default_inputs(new, tuple(data)), tuple(subtasks))
            if "inputs" not in item
            else new
            for item, new in zip(_items(raw, "subtasks"), subtasks, strict=True)
        ]
        where = "draft"
        draft = tuple(subtask_from_json(item) for item in _items(raw, "draft"))
        where = "edits"
        log = tuple(Edit.from_json(item) for item in _items(raw, "edits"))
        where = "approval"
        approval = None if raw.get("approval") is None else Approval.from_json(raw["approval"])
        where = "command"
        return {
            "command": _text(raw, "command"),
            "goal": _text(raw, "goal"),
            "assumptions": tuple(map(str, _items(raw, "assumptions"))),
            "questions": tuple(map(str, _items(raw, "questions"))),
            "planner": dict(raw.get("planner") or {}),
            "data": data,
            "subtasks": tuple(inferred),
            "draft": draft,
            "edits": log,
            "approval": approval,
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        message = f"{where}: {reason}"
        raise PlanFileError(message) from error


@contextmanager
def reading(path: str | Path) -> Iterator[object]:
    """A file's JSON; a PlanFileError within names the file. Raises it also when there is no file or no JSON."""
    source = Path(path)
    try:
        raw = json.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"cannot read {source}: {error.strerror or error}"
        raise PlanFileError(message) from error
    except ValueError as error:
        message = f"{source} is not JSON: {error}"
        raise PlanFileError(message) from error
    try:
        yield raw
    except PlanFileError as error:
        message = f"{source}: {error}"
        raise PlanFileError(message) from error


def _schema(raw: Mapping[str, Any]) -> DataSchema:
    values = dict(raw)
    return DataSchema(
        kind=str(values.get("kind", "frame")),
        columns=tuple(map(str, values.get("columns") or ())),
        dtypes=tuple(map(str, values.get("dtypes") or ())),
        rows=values.get("rows"),
        size=values.get("size"),
    )


def _items(raw: Mapping[str, Any], name: str) -> list[Any]:
    value = raw.get(name) or []
    if not isinstance(value, list):
        message = f"{name} must be a list"
        raise TypeError(message)
    return value


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name, "")
    if not isinstance(value, str):
        message = f"must be text, not {type(value).__name__}"
        raise TypeError(message)
    return value
