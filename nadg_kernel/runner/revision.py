"""What a new plan changes in a run: which subtasks start anew, and which attempts are overtaken by that."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nadg_kernel.model import Plan, Subtask

_FREE = frozenset({"title", "instruction", "priority", "hold"})
"""Fields that may change without anything running again."""


def changed(old: Plan, new: Plan) -> tuple[str, ...]:
    """Ids that are new, gone, or do something else than before."""
    before = {item.id: item for item in old.subtasks}
    after = {item.id: item for item in new.subtasks}
    names = [name for name in before if name not in after]
    names += [name for name, item in after.items() if name not in before or _does(item) != _does(before[name])]
    return tuple(names)


def reset(plan: Plan, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `names` that are in the plan, with all that depends on them, in the plan's order."""
    found: set[str] = set()
    for name in names:
        if name in plan.ids and name not in found:
            found |= {name, *plan.descendants(name)}
    return tuple(name for name in plan.ids if name in found)


def _does(item: Subtask) -> dict[str, object]:
    return {name: value for name, value in item.to_json().items() if name not in _FREE}
