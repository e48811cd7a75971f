"""The example in the package's documentation works as it stands."""

import textwrap

import nadg_kernel.planners
from nadg_kernel.model import Command, DataSchema
from nadg_kernel.planners import registry
from nadg_kernel.planners.base import Briefing
from nadg_kernel.settings import load_settings


def example():
    text = nadg_kernel.planners.__doc__
    start = text.index("    from nadg_kernel import Plan")
    return textwrap.dedent(text[start : text.index("`Grid(planner=")])


async def test_example(monkeypatch):
    code = example()
    assert len(code.strip().splitlines()) <= 20
    names = {}
    exec(code, names)  # noqa: S102 - the documentation's own code

    class Point:
        name, value = "shout", "my_package:make_planner"

        @staticmethod
        def load():
            return names["make_planner"]

    monkeypatch.setattr(registry, "entry_points", lambda group: [Point] if group == registry.GROUP else [])
    planner = registry.make_planner(None, load_settings({"NADG_PLANNER": "recipes"}))
    assert planner.name == "recipes"
    planner = registry.make_planner("shout", load_settings({}))
    plan = await planner.draft(Command(text="hello", data={"t": DataSchema(rows=1)}), Briefing())
    assert plan["shout"].code == "result = 'HELLO'"
    assert plan.problems == ()
    assert plan.approve(by="test").approved
