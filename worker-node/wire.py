"""Worker protocol, version 1: what crosses between the control side and a worker, defined once.

This file is the same, byte for byte, in the package and in worker-node/ (`make sync-wire`). It imports
pydantic and the standard library only.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

PROTOCOL = 1
AUTH_HEADER = "X-NADG-AUTH"
INLINE_BYTES = 64 * 1024
"""Values up to this size travel inside the request or answer; larger ones as blobs."""
KEEPALIVE_S = 10.0
"""A comment line at least this often on a stream: proxies are assumed to cut silent ones at 60 s."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
AttemptId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    LOST = "lost"


class Status(StrEnum):
    """The coarse word for an attempt that the first NADG worker used; `outcome` says it exactly."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class Wire(BaseModel):
    """Base of all messages: unknown fields are kept out of the model but not refused, so that minor versions mix."""

    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="constants")


class ValueRef(Wire):
    """A value by content.

    `format` says how the bytes are read (see values). Exactly one of these is set: `value` (format `json`, inline),
    `data` (base64 of the bytes, inline), `items` (formats `list` and `dict`, whose keys are in
    `value`), or none of them: then `sha256` names a blob.
    """

    format: Literal["json", "text", "bytes", "arrow", "series", "npy", "mime", "list", "dict"] = "json"
    value: JsonValue = None
    data: str | None = None
    items: list[ValueRef] | None = None
    sha256: Sha256 | None = None
    size: int = Field(default=0, ge=0, description="bytes")
    note: str = Field(default="", max_length=500, description="what was lost on the way, in words; empty if nothing")


class FileRef(Wire):
    """A file in the working directory: an input file, or an artifact that the code left there."""

    path: str = Field(max_length=500, description="relative, forward slashes, no `..`")
    sha256: Sha256
    size: int = Field(ge=0, description="bytes")


class Limits(Wire):
    """What one attempt may use."""

    timeout_s: float = Field(default=60, gt=0, le=86_400)
    memory_mb: int = Field(default=2048, ge=64, le=1_048_576)
    disk_mb: int = Field(default=256, ge=1, le=1_048_576)
    output_kb: int = Field(default=1024, ge=1, le=65_536, description="stdout and stderr, each")
    processes: int = Field(default=16, ge=1, le=1024, description="counts only with the permission `processes`")


class Permissions(Wire):
    """What one attempt may do besides computing. All false by default."""

    network: bool = False
    processes: bool = False
    gpu: bool = False


class ExecuteRequest(Wire):
    """One attempt. `{"task": "<python>", "task_id": 1}` alone is enough."""

    task: str = Field(description="Python source, or the prompt's template for kind `prompt`")
    task_id: int | str | None = None
    attempt_id: AttemptId | None = None
    kind: Literal["python", "prompt"] = "python"
    inputs: dict[Name, ValueRef] = Field(default_factory=dict, max_length=1000)
    files: list[FileRef] = Field(default_factory=list, max_length=1000)
    limits: Limits = Field(default_factory=Limits)
    permissions: Permissions = Field(default_factory=Permissions)
    shard: int = Field(default=0, ge=0)
    shards: int = Field(default=1, ge=1)
    protocol: int = PROTOCOL


class ErrorDetail(Wire):
    """What went wrong inside the code: the person's own frames only, line numbers as in the text that they wrote."""

    type: str = Field(default="", max_length=200)
    message: str = Field(default="", max_length=10_000)
    line: int | None = None
    traceback: str = Field(default="", max_length=40_000)
    hint: str = Field(default="", max_length=2_000)


class Usage(Wire):
    """What an attempt used; None is unknown."""

    seconds: float | None = None
    cpu_s: float | None = None
    memory_mb: float | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None


class ExecuteResponse(Wire):
    """How one attempt ended. `status` is one of completed, failed, timed_out, cancelled; `outcome` is exact."""

    task_id: int | str | None = None
    status: Status
    output: str = Field(description="stdout")
    error: str | None = Field(default=None, description="one line, or None")
    executed_at: str = Field(description="ISO 8601, UTC")
    outcome: Outcome
    attempt_id: str
    worker_id: str
    boot_id: str
    protocol: int = PROTOCOL
    stderr: str = ""
    result: ValueRef | None = None
    displays: list[ValueRef] = Field(default_factory=list, description="each of format `mime`")
    artifacts: list[FileRef] = Field(default_factory=list)
    detail: ErrorDetail | None = None
    usage: Usage = Field(default_factory=Usage)
    truncated: list[str] = Field(default_factory=list, description="what was cut at its limit: stdout, stderr, ...")
    layers: list[str] = Field(default_factory=list, description="sandbox layers that were active for this attempt")


EventType = Literal["started", "stdout", "stderr", "progress", "display", "artifact", "gap", "finished"]


class WireEvent(Wire):
    """One event of an attempt's stream; as SSE: `id`, `event: <type>`, `data: <this as JSON>`.

    `data` by type: started {worker_id, at}; stdout, stderr {text}; progress {fraction, text}; display ValueRef;
    artifact FileRef; gap {lost} (how many evicted events are missing); finished ExecuteResponse.
    """

    id: int = Field(ge=1)
    type: EventType
    boot_id: str
    data: dict[str, Any] = Field(default_factory=dict)


class AttemptState(Wire):
    """Answer of GET /attempts/{attempt_id}."""

    attempt_id: str
    status: Status
    boot_id: str
    last_event_id: int = 0
    answer: ExecuteResponse | None = None


class Health(Wire):
    """Answer of GET /health. Public: no secret, no path."""

    status: Literal["ok", "draining", "refusing"]
    reason: str = ""
    worker_id: str
    boot_id: str
    uptime_s: float
    protocol: int = PROTOCOL
    version: str = ""
    running: int
    capacity: int
    labels: list[str] = Field(default_factory=list)
    sandbox: dict[str, str] = Field(default_factory=dict, description='layer -> "active" or "unavailable: why"')
    weak: bool = False


class StatusReport(Wire):
    """Answer of GET /status (authorised)."""

    health: Health
    python: str
    packages: dict[str, str] = Field(description="distribution -> version")
    modules: list[str] = Field(description="top-level names that `import` finds, standard library left out")
    preloaded: list[str] = Field(default_factory=list)
    limits: Limits = Field(description="the highest that this worker accepts")
    max_body_bytes: int
    counters: dict[str, int] = Field(default_factory=dict)
    recent_seconds: list[float] = Field(default_factory=list, description="durations of the last attempts")


class Refusal(Wire):
    """Body of every answer that is not 2xx."""

    error: str
    hint: str = ""
    missing: list[str] = Field(default_factory=list, description="424: hashes of the blobs to PUT first")
