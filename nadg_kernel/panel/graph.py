"""Where each subtask stands in the drawn graph: columns by longest path, lanes near their dependencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg_kernel.model.render import layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nadg_kernel.model import Plan


def places(plan: Plan) -> dict[str, tuple[int, int]]:
    """Subtask id -> (column, lane), both from 0. On a cycle the edges that point backwards are ignored."""
    lanes: dict[str, int] = {}
    out: dict[str, tuple[int, int]] = {}
    needs = {item.id: item.depends_on for item in plan.subtasks}
    for column, names in enumerate(layers(plan)):
        for lane, name in enumerate(sorted(names, key=lambda name: _pull(needs[name], lanes))):
            lanes[name] = lane
            out[name] = (column, lane)
    return out


def _pull(needs: Sequence[str], lanes: dict[str, int]) -> float:
    """The mean lane of what it depends on, so that lines cross less; subtasks without any keep the plan's order."""
    found = [lanes[need] for need in needs if need in lanes]
    return sum(found) / len(found) if found else 0.0
