"""Plans, planners and data that several tests of the panel share."""

from __future__ import annotations

import pandas as pd

from nadg_kernel.model import Plan, Subtask

COMMAND = "profile the reviews"
REVIEWS = pd.DataFrame({"text": ["good", "bad"], "rating": [5, 1]})


class Scripted:
    """A planner that answers with a plan, or raises."""

    name = "scripted"

    def __init__(self, *subtasks, error=None):
        self.subtasks, self.error = subtasks, error
        self.asked = []

    async def draft(self, command, briefing, tell=None):
        self.asked.append(command)
        if self.error:
            raise self.error
        return Plan(command=command.text, subtasks=self.subtasks, draft=self.subtasks, data=command.data)


ONE = Subtask(id="count", title="Count", code='print("hello")\nresult = len(inputs["reviews"])', inputs=("reviews",))
TWO = Subtask(
    id="double", title="Double", code='result = inputs["count"] * 2', inputs=("count",), depends_on=("count",)
)
