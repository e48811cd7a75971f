"""Store: the journal and the registry. One contract, kept by every store and held by one test suite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from nadg_kernel.model import Event, Plan, RunState


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who drives a run. On the same host a dead process is known at once by pid, start time and boot id."""

    name: str
    host: str
    pid: int
    started: float
    boot_id: str

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return {"name": self.name, "host": self.host, "pid": self.pid, "started": self.started, "boot_id": self.boot_id}


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """A run as the store knows it."""

    run_id: str
    command: str
    state: RunState
    plan_digest: str
    epoch: int
    owner: Mapping[str, Any] | None
    heartbeat_at: datetime | None
    created_at: datetime
    ended_at: datetime | None = None
    rehearsal: bool = False


PROBLEM = "problem"
"""The detail of a worker that says why its row cannot be used."""


@dataclass(frozen=True, kw_only=True)
class WorkerRow:
    """A registered worker. `generation` rises with each rotation of its token; the token itself is never stored."""

    worker_id: str
    url: str
    status: str = "active"
    generation: int = 1
    labels: tuple[str, ...] = ()
    capacity: int = 1
    total_tasks: int = 0
    last_ping: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """Why it is shown and never asked, sent anything or written: a row made by hand may make no sense."""
        return str(self.details.get(PROBLEM) or "")


FRAMES = ("history", "attempts", "runs", "edits", "workers", "shards")
"""Frames that `query` knows. history: one row per subtask and run; attempts: one per attempt."""


class Store(Protocol):
    """Journal and registry.

    Ordering: `append` is atomic and keeps the order given; `seq` of a run rises by one. Missing rows: `claim`, `read`
    and `get_plan` raise RunNotFound or return None as said. Conflicts: a write of an epoch that is not the run's
    current one raises StaleEpoch and writes nothing. An event that is there already (same run, epoch and seq) is
    written once. What `append` returned from is durable.
    """

    async def open(self) -> None:
        """Make it ready, creating or migrating what is missing. Idempotent."""

    async def create_run(self, run_id: str, plan: Plan, owner: Owner, *, rehearsal: bool = False) -> int:
        """Record a new run with its plan and give its first epoch, 1."""

    async def append(self, run_id: str, epoch: int, events: Sequence[Event]) -> int:
        """Write events durably, all or none; gives the last seq. Raises StaleEpoch, RunNotFound."""

    def read(self, run_id: str, after: int = 0) -> AsyncIterator[Event]:
        """Events with seq greater than `after`, in order. Raises RunNotFound."""

    async def claim(self, run_id: str, owner: Owner) -> int:
        """Take a run over: gives the new epoch. Raises RunNotFound.

        Refused (StoreError naming the owner) while another's heartbeat is fresh (20 s); on the same host a dead owner
        is known at once by pid, start time and boot id.
        """

    async def beat(self, run_id: str, epoch: int) -> None:
        """Renew the owner's heartbeat. Raises StaleEpoch."""

    async def get_run(self, run_id: str) -> RunRow | None:
        """The run, or None."""

    async def unfinished(self) -> list[RunRow]:
        """Runs that have not ended, newest first."""

    async def put_plan(self, run_id: str, epoch: int, plan: Plan) -> None:
        """Record a revision of a run's plan, beside the event `plan_revised`."""

    async def get_plan(self, run_id: str) -> Plan | None:
        """The newest plan of a run, or None."""

    async def workers(self) -> list[WorkerRow]:
        """All registered workers, by id."""

    async def upsert_workers(self, rows: Sequence[WorkerRow]) -> None:
        """Register or update workers in one write."""

    async def remove_worker(self, worker_id: str) -> bool:
        """Forget a worker; its history stays. False if there was none."""

    async def cached(self, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Cache key -> {run_id, attempt_id, result} of the newest success, for the keys that have one."""

    def query(self, frame: str, filters: Mapping[str, Any] | None = None) -> AsyncIterator[Any]:
        """Batches (pyarrow.RecordBatch) of a frame, newest first.

        Filters, all pushed into SQL: since, until (aware datetimes), state, outcome, worker, run, subtask, text
        (substring of title, command or error), limit.
        """

    async def prune(self, older_than: datetime, *, results_only: bool = False) -> dict[str, int]:
        """Delete ended runs (or only their results) that ended before a time; gives counts by table."""

    async def close(self) -> None:
        """Finish writes and release the file or connection. Idempotent."""
