'''From a command to a draft plan: recipes offline, a language model through the same seam.

A planner is any object with a `name` and `draft` (base.py). Another package offers one like this, with its factory as
an entry point of the group `nadg_kernel.planners`:

    [project.entry-points."nadg_kernel.planners"]
    shout = "my_package:make_planner"

    from nadg_kernel import Plan, Subtask


    class Shouting:
        """Answers every command with one subtask."""

        name = "shout"

        async def draft(self, command, briefing, tell=None):
            code = f"result = {command.text.upper()!r}"
            subtask = Subtask(id="shout", title="Shout", code=code)
            plan = Plan(command=command.text, subtasks=(subtask,), draft=(subtask,), data=command.data)
            return plan.with_context(briefing.context)


    def make_planner(settings):
        return Shouting()

`Grid(planner="shout")`, or `NADG_PLANNER=shout`, then uses it; `Grid(planner=Shouting())` needs no entry point. A
planner around a language model is shorter still: `ModelPlanner(model, "name")` of modelling.py, whose Model has
`generate` and `count`; scripted.py shows one. `PlannerError` is the only error that a planner raises.
'''
