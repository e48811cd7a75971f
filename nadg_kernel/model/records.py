"""The small records that plans and runs are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from nadg_kernel.wire import Outcome

__all__ = [
    "NEEDS_CODE",
    "Approval",
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
class Approval:
    """Who approved the plan, when, and the digest of what was approved."""

    by: str
    at: datetime
    digest: str

    def to_json(self) -> dict[str, str]:
        """The plan file's form."""
        return {"by": self.by, "at": self.at.isoformat(), "digest": self.digest}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Approval:
        """Read the plan file's form. Raises KeyError, TypeError or ValueError."""
        return cls(by=str(raw["by"]), at=datetime.fromisoformat(raw["at"]), digest=str(raw["digest"]))


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
