"""The error tree: what a person can meet, each saying what happened and what to do next.

NadgError
├── SettingsError              a setting is missing or malformed
├── DataError                  attached data cannot be read or does not fit
├── PlanError
│   ├── EditError              an edit that would corrupt the plan; the plan is unchanged
│   ├── PlanFileError          a plan file cannot be read, or was changed since its approval
│   ├── PlanNotApproved        a draft was asked to run
│   └── PlanHasProblems        approval refused: running would be impossible
├── PlannerError               the planner could not give a draft
├── WorkerError
│   ├── WorkerRefused          the worker answered, and said no
│   ├── WorkerUnreachable      no answer, or an answer that is not ours
│   ├── ProtocolMismatch       the worker speaks another protocol version
│   └── DeployError            a worker could not be deployed, or its host said no
├── StoreError
│   ├── StaleEpoch             another owner took the run over
│   └── RunNotFound            no such run in this store
├── RunFailed                  a result was asked for that does not exist because its subtask did not succeed
└── MissingExtra               an optional package is needed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nadg_kernel.model import Problem


class NadgError(Exception):
    """Base of every error that this package raises on purpose."""


class SettingsError(NadgError):
    """A setting is missing or malformed. The message names it and never shows a secret's value."""


class DataError(NadgError):
    """Attached data cannot be read, is empty, or does not fit what the plan expects."""


class PlanError(NadgError):
    """Something about a plan is wrong."""


class EditError(PlanError):
    """An edit was refused; the plan that it was asked of is unchanged."""


class PlanFileError(PlanError):
    """A plan file is not readable, or does not match the approval that it carries."""


class PlanNotApproved(PlanError):  # noqa: N818 - the design's own word
    """A draft was asked to run."""

    def __init__(self, command: str = "") -> None:
        """Keep the command so that the message says which plan."""
        about = f" for {command[:60]!r}" if command else ""
        super().__init__(f"the plan{about} is a draft: look at it, then run plan.approve()")


class PlanHasProblems(PlanError):  # noqa: N818
    """Approval was refused because running would be impossible.

    `problems` holds the blocking ones, each with the subtask and line where it is.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Build the message from the problems themselves."""
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        noun = "problem blocks" if len(self.problems) == 1 else "problems block"
        super().__init__(f"{len(self.problems)} {noun} approval:\n{lines}")


class PlannerError(NadgError):
    """The planner could not give a draft. The command is kept; another planner can be asked."""


class WorkerError(NadgError):
    """A worker could not be used. The message names it by id or origin, never by token."""


class WorkerRefused(WorkerError):  # noqa: N818
    """The worker answered and said no (status 4xx or 503), with its own reason."""

    def __init__(self, worker: str, status: int, reason: str) -> None:
        """Keep status and reason for the scheduler's decision."""
        self.status, self.reason = status, reason
        super().__init__(f"worker {worker} refused ({status}): {reason}")


class WorkerUnreachable(WorkerError):  # noqa: N818
    """The worker did not answer, or what answered does not speak the protocol."""


class ProtocolMismatch(WorkerError):  # noqa: N818
    """The worker speaks another protocol version than this package."""

    def __init__(self, worker: str, theirs: int, ours: int) -> None:
        """Say both versions and which side to update."""
        older = "worker" if theirs < ours else "nadg-kernel"
        super().__init__(f"worker {worker} speaks protocol {theirs}, this package {ours}: update the {older}")


class DeployError(WorkerError):
    """A worker could not be deployed, or its host said no. The message says what to do and never holds a token."""


class StoreError(NadgError):
    """The store could not read or write."""


class StaleEpoch(StoreError):  # noqa: N818
    """A write of an old owner was rejected: the run was taken over elsewhere."""

    def __init__(self, run_id: str, epoch: int, current: int) -> None:
        """Say which run and both epochs."""
        self.run_id, self.epoch, self.current = run_id, epoch, current
        super().__init__(f"run {run_id} is owned by epoch {current} now; this is epoch {epoch} and may not write")


class RunNotFound(StoreError):  # noqa: N818
    """No run with this id in this store."""

    def __init__(self, run_id: str) -> None:
        """Say where ids can be found."""
        super().__init__(f"no run {run_id!r} in this store; grid.runs() lists what there is")


class RunFailed(NadgError):  # noqa: N818
    """A result was asked for that does not exist because its subtask did not succeed."""


class MissingExtra(NadgError):  # noqa: N818
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        """Say the one command that helps."""
        super().__init__(f"{package} is not installed: pip install 'nadg-kernel[{extra}]'")
