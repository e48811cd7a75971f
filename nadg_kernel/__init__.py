"""NADG, the NEXUS-AI Distributed Grid: plan with a model, review, run on confined workers, keep the history.

Names load on first use, so that importing the package costs almost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nadg_kernel.autoscaling import Autoscale
    from nadg_kernel.budget import Budget
    from nadg_kernel.errors import (
        DataError,
        DeployError,
        EditError,
        MissingExtra,
        NadgError,
        PlanError,
        PlanFileError,
        PlanHasProblems,
        PlannerError,
        PlanNotApproved,
        ProtocolMismatch,
        RunFailed,
        RunNotFound,
        SettingsError,
        StaleEpoch,
        StoreError,
        WorkerError,
        WorkerRefused,
        WorkerUnreachable,
    )
    from nadg_kernel.grid import Grid
    from nadg_kernel.magics import load_ipython_extension
    from nadg_kernel.model import Command, Edit, Outcome, Plan, Problem, Result, RunState, Subtask, SubtaskState
    from nadg_kernel.run import Run
    from nadg_kernel.samples import sample_reviews

__version__ = "0.1.0"

_HOME = {
    "Budget": "budget",
    "Autoscale": "autoscaling",
    "Grid": "grid",
    "Run": "run",
    "sample_reviews": "samples",
    "load_ipython_extension": "magics",
    **dict.fromkeys(
        ["Command", "Edit", "Outcome", "Plan", "Problem", "Result", "RunState", "Subtask", "SubtaskState"], "model"
    ),
    **dict.fromkeys(
        [
            "DataError",
            "DeployError",
            "EditError",
            "MissingExtra",
            "NadgError",
            "PlanError",
            "PlanFileError",
            "PlanHasProblems",
            "PlanNotApproved",
            "PlannerError",
            "ProtocolMismatch",
            "RunFailed",
            "RunNotFound",
            "SettingsError",
            "StaleEpoch",
            "StoreError",
            "WorkerError",
            "WorkerRefused",
            "WorkerUnreachable",
        ],
        "errors",
    ),
}

__all__ = [
    "Autoscale",
    "Budget",
    "Command",
    "DataError",
    "DeployError",
    "Edit",
    "EditError",
    "Grid",
    "MissingExtra",
    "NadgError",
    "Outcome",
    "Plan",
    "PlanError",
    "PlanFileError",
    "PlanHasProblems",
    "PlanNotApproved",
    "PlannerError",
    "Problem",
    "ProtocolMismatch",
    "Result",
    "Run",
    "RunFailed",
    "RunNotFound",
    "RunState",
    "SettingsError",
    "StaleEpoch",
    "StoreError",
    "Subtask",
    "SubtaskState",
    "WorkerError",
    "WorkerRefused",
    "WorkerUnreachable",
    "__version__",
    "load_ipython_extension",
    "sample_reviews",
]


def __getattr__(name: str) -> Any:
    """Import the module that a public name lives in (PEP 562)."""
    if name not in _HOME:
        message = f"module 'nadg_kernel' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f"nadg_kernel.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__
