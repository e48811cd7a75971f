"""A report as the last subtask of a plan: the results as capped text, and a worker's model that writes about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg_kernel.errors import EditError
from nadg_kernel.model.edits import fresh_id
from nadg_kernel.planners.prompting import filled

if TYPE_CHECKING:
    from nadg_kernel.model import Plan

TIMEOUT_S = 300


def with_report(plan: Plan, by: str | None = None) -> Plan:
    """The plan with a report over what no other subtask reads. Raises EditError for a plan without subtasks."""
    read = {name for item in plan.subtasks for name in item.depends_on}
    ends = [name for name in plan.ids if name not in read]
    if not ends:
        raise EditError("there is nothing to report on: the plan has no subtask that is not read by another")
    taken = {*plan.data, *plan.ids}
    gathered = fresh_id("results_as_text", taken)
    written = fresh_id("written_report", {*taken, gathered})
    plan = plan.add(
        id=gathered,
        title="Results as text",
        code=filled("gather.py"),
        inputs=ends,
        depends_on=ends,
        by=by,
    )
    return plan.add(
        id=written,
        title="Report",
        instruction="A model on a worker writes a report over the results.",
        prompt=filled("written", command=plan.command, gathered=gathered),
        inputs=[gathered],
        depends_on=[gathered],
        timeout_s=TIMEOUT_S,
        by=by,
    )
