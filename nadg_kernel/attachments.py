"""What a plan needs besides itself: its data, checked against what was approved, and what its workers offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg_kernel.data import Attached, attach
from nadg_kernel.errors import DataError
from nadg_kernel.model import Context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nadg_kernel.engines.base import Blobs, WorkerState
    from nadg_kernel.model import Plan


def attach_all(data: Mapping[str, object] | None, blobs: Blobs) -> dict[str, Attached]:
    """Each value as attached data. Raises DataError for a name that is no Python name, and for what cannot be read."""
    out = {}
    for name, value in (data or {}).items():
        if not str(name).isidentifier():
            message = f"data names are Python names, not {name!r}"
            raise DataError(message)
        out[name] = value if isinstance(value, Attached) else attach(name, value, blobs)
    return out


def needed(plan: Plan, attached: Mapping[str, Attached]) -> dict[str, Attached]:
    """The data that the plan names. Raises DataError where it is missing, or is not what the plan was approved on."""
    out = {}
    for name, schema in plan.data.items():
        if name not in attached:
            message = f"the plan needs the data {name!r}: grid.run(plan, data={{{name!r}: ...}})"
            raise DataError(message)
        item = attached[name]
        if differences := schema.differences(item.schema):
            message = f"{name!r} is not what the plan was approved on: {'; '.join(differences)}"
            raise DataError(message)
        if blocking := [problem for problem in item.problems if problem.blocks]:
            raise DataError("; ".join(str(problem) for problem in blocking))
        out[name] = item
    return out


def surroundings(attached: Mapping[str, Attached], workers: Sequence[WorkerState]) -> Context:
    """What a plan over this data is checked against while these are the workers."""
    states = [state for state in workers if state.modules is not None]
    modules = frozenset().union(*(state.modules or () for state in states)) if states else None
    labels = frozenset().union(*(state.labels for state in states)) if states else None
    problems = tuple(problem for item in attached.values() for problem in item.problems)
    return Context(modules=modules, labels=labels, data_problems=problems, attached=dict(attached))
