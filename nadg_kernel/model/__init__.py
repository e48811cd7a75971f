"""The nouns of a plan and a run as frozen records. No I/O here: everything is a function from values to values."""

from nadg_kernel.model.edits import Edit
from nadg_kernel.model.events import Event, EventType
from nadg_kernel.model.plan import Context, Plan
from nadg_kernel.model.problems import Problem
from nadg_kernel.model.records import (
    NEEDS_CODE,
    Approval,
    Artifact,
    Command,
    DataSchema,
    Limits,
    Map,
    Outcome,
    Permissions,
    Result,
    RunState,
    Shard,
    Subtask,
    SubtaskState,
)

__all__ = [
    "NEEDS_CODE",
    "Approval",
    "Artifact",
    "Command",
    "Context",
    "DataSchema",
    "Edit",
    "Event",
    "EventType",
    "Limits",
    "Map",
    "Outcome",
    "Permissions",
    "Plan",
    "Problem",
    "Result",
    "RunState",
    "Shard",
    "Subtask",
    "SubtaskState",
]
