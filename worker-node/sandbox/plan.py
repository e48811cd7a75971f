"""What the worker tells the zygote and a task, as JSON: one place for the names of the fields."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ZygotePlan:
    """How the zygote confines its tasks. Sent once, first."""

    root: str
    """Folder that holds one folder per slot."""
    off: list[str]
    """Layers that are switched off (tests only)."""
    preload: list[str]
    uid_base: int | None
    """Slot n runs as this user id plus n; None keeps the worker's own."""

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Fork:
    """Asks the zygote for one task process."""

    slot: int
    tree: bool = False
    """It may start processes: give it a supervisor that ends them all."""
    network: bool = False
    proxy_port: int = 0
    gpu: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How a process of the zygote's ended, when it did not end as a task does."""

    pid: int
    status: int
    """As waitpid gives it."""
    seconds: float = field(default=0.0)
    memory_mb: float = field(default=0.0)


WORK, TMP = "work", "tmp"
"""Folders of a slot: the task's working directory, whose files become artifacts, and its HOME and TMPDIR."""
