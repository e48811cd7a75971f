"""What a panel's state and its messages are made of: pages, offers, files, results, a run as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nadg_kernel.model import RunState


class Step(StrEnum):
    """The panel's pages, in the order of the work."""

    COMMAND = "command"
    REVIEW = "review"
    RUN = "run"
    RESULTS = "results"
    WORKERS = "workers"
    HISTORY = "history"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Data that can be attached: a frame of the notebook, or a file that the person named (`path`)."""

    name: str
    text: str
    """Its size in words, such as `3,708 x 5`."""
    columns: tuple[str, ...] = ()
    path: str = ""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A subtask that fits the attached data; `values` are what `Plan.add` takes."""

    title: str
    reason: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlanFile:
    """A plan on disk that can be opened again."""

    path: str
    text: str


@dataclass(frozen=True, kw_only=True)
class ResultItem:
    """One subtask's result, safe to show. `key` changes when the result may have."""

    subtask: str
    title: str
    state: str
    key: str
    bundles: tuple[Mapping[str, Any], ...] = field(default=(), compare=False)


@dataclass(frozen=True, kw_only=True)
class RunSnapshot:
    """A run as the panel shows it, as JSON values: a row for each subtask, and the output of the one that is shown."""

    run_id: str
    state: RunState
    revision: int = 0
    reason: str = ""
    elapsed_s: float = 0.0
    notice: str = ""
    subtasks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    output: Mapping[str, Any] = field(default_factory=dict)
