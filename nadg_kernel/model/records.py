"""The small records that plans and runs are made of."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from nadg_kernel.wire import Outcome

__all__ = [
    "NEEDS_CODE",
    "Artifact",
    "Command",
    "DataSchema",
    "Limits",
    "Map",
    "Outcome",
    "Permissions",
    "Result",
    "RunState",
    "Shard",
    "Subtask",
    "SubtaskState",
]

NEEDS_CODE = "# needs code"
"""A code line that starts like this says that a person still has to write it; it blocks approval while it stands."""

Kind = Literal["python", "prompt"]


class SubtaskState(StrEnum):
    """The states of a subtask, the same words in Python, SQL and the UI."""

    WAITING = "waiting"
    HELD = "held"
    READY = "ready"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    CACHED = "cached"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more happens to the subtask unless somebody asks."""
        return self in _FINAL

    @property
    def good(self) -> bool:
        """Whether dependents may start."""
        return self in {SubtaskState.SUCCEEDED, SubtaskState.CACHED}


_FINAL = frozenset(
    {
        SubtaskState.SUCCEEDED,
        SubtaskState.CACHED,
        SubtaskState.FAILED,
        SubtaskState.SKIPPED,
        SubtaskState.CANCELLED,
    }
)


class RunState(StrEnum):
    """The states of a run."""

    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Shard(NamedTuple):
    """The unit of dispatch: a subtask's id and its number from 0."""

    subtask: str
    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one attempt may use: seconds, megabytes, kilobytes, a count. Bounds are those of the wire's Limits."""

    timeout_s: float = 60
    memory_mb: int = 2048
    disk_mb: int = 256
    output_kb: int = 1024
    processes: int = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Permissions:
    """What one attempt may do besides computing."""

    network: bool = False
    processes: bool = False
    gpu: bool = False

    @property
    def granted(self) -> tuple[str, ...]:
        """The names of those that are on."""
        return tuple(spec.name for spec in fields(self) if getattr(self, spec.name))


@dataclass(frozen=True, kw_only=True, slots=True)
class Map:
    """Run the subtask once per shard of `over` (a data name or subtask id): `shards` pieces, or pieces of `rows` rows.

    The code sees its piece as `inputs[over]`. A dependent receives the list of results in shard order.
    """

    over: str
    shards: int | None = None
    rows: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Subtask:
    """One piece of work. `code` is the Python source, or the prompt's template for kind `prompt`.

    `inputs` names data or subtasks; only these are sent. `labels` are what a worker must offer. `cache` None means:
    on, except for prompts and subtasks with network permission.
    """

    id: str
    title: str = ""
    instruction: str = ""
    kind: Kind = "python"
    code: str = ""
    inputs: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    map: Map | None = None
    limits: Limits = field(default_factory=Limits)
    permissions: Permissions = field(default_factory=Permissions)
    labels: tuple[str, ...] = ()
    priority: int = 0
    hold: bool = False
    cache: bool | None = None
    repeatable: bool = False
    retries: int = 0

    @property
    def name(self) -> str:
        """What to call it on screen."""
        return self.title or self.id

    @property
    def needs_code(self) -> bool:
        """Whether a person still has to write it."""
        return any(line.lstrip().startswith(NEEDS_CODE) for line in self.code.splitlines())

    @property
    def cacheable(self) -> bool:
        """Whether its result may come from the cache."""
        if self.cache is not None:
            return self.cache
        return self.kind == "python" and not self.permissions.network

    def to_json(self) -> dict[str, Any]:
        """The plan file's form: the code under `code` or `prompt` by kind."""
        out: dict[str, Any] = {"id": self.id, "title": self.title, "instruction": self.instruction, "kind": self.kind}
        out["prompt" if self.kind == "prompt" else "code"] = self.code
        out["inputs"], out["depends_on"] = list(self.inputs), list(self.depends_on)
        out["map"] = None if self.map is None else _plain(self.map)
        out["limits"], out["permissions"] = _plain(self.limits), _plain(self.permissions)
        out["labels"] = list(self.labels)
        out |= {"priority": self.priority, "hold": self.hold, "cache": self.cache}
        out |= {"repeatable": self.repeatable, "retries": self.retries}
        return out


def _plain(record: Any) -> dict[str, Any]:
    return {spec.name: getattr(record, spec.name) for spec in fields(record)}


def subtask_from_json(raw: Mapping[str, Any]) -> Subtask:
    """Read a subtask. Raises TypeError or ValueError with the field's name; unknown fields are refused.

    Without `inputs` they are what the code mentions (see `mentioned_inputs`), resolved by the plan that it joins.
    """
    values = dict(raw)
    if "prompt" in values:
        values.setdefault("kind", "prompt")
        values["code"] = values.pop("prompt")
    known = {spec.name for spec in fields(Subtask)}
    if unknown := sorted(set(values) - known):
        message = f"unknown field {unknown[0]!r} (known: {', '.join(sorted(known))})"
        raise ValueError(message)
    return build_subtask(values)


_TYPES: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "title": (str,),
    "instruction": (str,),
    "kind": (str,),
    "code": (str,),
    "priority": (int,),
    "hold": (bool,),
    "cache": (bool, type(None)),
    "repeatable": (bool,),
    "retries": (int,),
}


def build_subtask(values: Mapping[str, Any], base: Subtask | None = None) -> Subtask:
    """A subtask from plain values over `base`, each value checked. Raises TypeError or ValueError naming the field."""
    clean: dict[str, Any] = {}
    for name, value in values.items():
        if name in _TYPES:
            wrong_bool = isinstance(value, bool) and bool not in _TYPES[name]
            if not isinstance(value, _TYPES[name]) or wrong_bool:
                wanted = " or ".join("null" if kind is type(None) else kind.__name__ for kind in _TYPES[name])
                message = f"{name} must be {wanted}, not {type(value).__name__}"
                raise TypeError(message)
            clean[name] = value
        elif name in {"inputs", "depends_on", "labels"}:
            clean[name] = _names(name, value)
        elif name == "map":
            clean[name] = None if value is None else _record(Map, name, value)
        elif name in {"limits", "permissions"}:
            kind = Limits if name == "limits" else Permissions
            clean[name] = _record(kind, name, value, None if base is None else getattr(base, name))
        else:
            message = f"a subtask has no field {name!r}"
            raise ValueError(message)
    if clean.get("kind", "python") not in {"python", "prompt"}:
        message = f"kind must be 'python' or 'prompt', not {clean['kind']!r}"
        raise ValueError(message)
    if base is not None:
        return replace(base, **clean)
    if "id" not in clean:
        message = "a subtask needs an id"
        raise ValueError(message)
    return Subtask(**clean)


def _names(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        message = f"{name} must be a list of names, not {value!r}"
        raise TypeError(message)
    items = tuple(value)
    if not all(isinstance(item, str) for item in items):
        message = f"{name} must be a list of names, not {list(items)!r}"
        raise TypeError(message)
    return tuple(dict.fromkeys(items))


_FIELD_TYPES: dict[type, dict[str, tuple[type, ...]]] = {
    Map: {"over": (str,), "shards": (int, type(None)), "rows": (int, type(None))},
    Limits: {
        "timeout_s": (int, float),
        "memory_mb": (int,),
        "disk_mb": (int,),
        "output_kb": (int,),
        "processes": (int,),
    },
    Permissions: {"network": (bool,), "processes": (bool,), "gpu": (bool,)},
}


def _record(kind: Any, name: str, value: object, base: Any = None) -> Any:
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        message = f"{name} must be a mapping, not {type(value).__name__}"
        raise TypeError(message)
    for key, item in value.items():
        wanted = _FIELD_TYPES[kind].get(key)
        if wanted is None:
            message = f"{name} has no field {key!r} (known: {', '.join(_FIELD_TYPES[kind])})"
            raise ValueError(message)
        if not isinstance(item, wanted) or (isinstance(item, bool) and bool not in wanted):
            message = f"{name}.{key} must be {wanted[0].__name__}, not {item!r}"
            raise TypeError(message)
    if base is not None:
        return replace(base, **value)
    if kind is Map and "over" not in value:
        message = "map needs `over`: the data name or subtask id to split"
        raise ValueError(message)
    return kind(**value)


def mentioned_inputs(code: str, names: Iterable[str]) -> tuple[str, ...]:
    """Which of `names` the code reads as `inputs["name"]` or `inputs.get("name")`, in the order of `names`.

    Code that uses `inputs` in any other way may read them all, and code that does not parse might: both give all.
    """
    candidates = tuple(names)
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return candidates
    constant: set[str] = set()
    plain_uses = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "inputs":
            plain_uses += 1
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript) and _is_inputs(node.value):
            key = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_inputs(node.func.value):
            key = node.args[0] if node.func.attr == "get" and node.args else None
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            constant.add(key.value)
            plain_uses -= 1
    if plain_uses > 0:
        return candidates
    return tuple(name for name in candidates if name in constant)


def _is_inputs(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "inputs"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSchema:
    """What the plan knows of a piece of attached data; its rows are not part of an approval.

    `kind` is frame, text, json, bytes, array or folder. `dtypes` are as pandas prints them, text always `str`.
    """

    kind: str = "frame"
    columns: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    rows: int | None = None
    size: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The plan file's form."""
        out: dict[str, Any] = {"kind": self.kind, "columns": list(self.columns), "dtypes": list(self.dtypes)}
        return out | {"rows": self.rows, "size": self.size}

    def differences(self, other: DataSchema) -> list[str]:
        """In words, how `other` (new data) departs from this schema; empty when a plan approved on this may run."""
        if self.kind != other.kind:
            return [f"is {other.kind}, the plan was approved on {self.kind}"]
        mine, theirs = (
            dict(zip(self.columns, self.dtypes, strict=False)),
            dict(zip(other.columns, other.dtypes, strict=False)),
        )
        out = [f"column {name!r} is missing" for name in mine if name not in theirs]
        out += [f"column {name!r} is new" for name in theirs if name not in mine]
        out += [
            f"column {name!r} is {theirs[name]}, was {kind}"
            for name, kind in mine.items()
            if name in theirs and theirs[name] != kind
        ]
        if not out and self.columns != other.columns:
            out.append("columns are in another order")
        return out


@dataclass(frozen=True, kw_only=True)
class Command:
    """What the person typed, with the schemas of the named data attached to it."""

    text: str
    data: Mapping[str, DataSchema] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """A file that the code left in its working directory, kept by digest."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an attempt gave. `value` and `displays` are ValueRefs as dicts (wire.py); decode them with `values`."""

    value: Mapping[str, Any] | None = None
    displays: tuple[Mapping[str, Any], ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    stdout: str = ""
    stderr: str = ""
    truncated: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The journal's form."""
        return {
            "value": None if self.value is None else dict(self.value),
            "displays": [dict(item) for item in self.displays],
            "artifacts": [_plain(item) for item in self.artifacts],
            "stdout": self.stdout,
            "stderr": self.stderr,
            "truncated": list(self.truncated),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Result:
        """Read the journal's form."""
        return cls(
            value=raw.get("value"),
            displays=tuple(raw.get("displays") or ()),
            artifacts=tuple(Artifact(**item) for item in raw.get("artifacts") or ()),
            stdout=raw.get("stdout") or "",
            stderr=raw.get("stderr") or "",
            truncated=tuple(raw.get("truncated") or ()),
        )
