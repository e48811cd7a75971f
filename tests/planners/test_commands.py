"""Every command of tests/commands.toml gives the recipes and edges that stand there."""

import ast
import tomllib
from pathlib import Path

import pytest

from nadg_kernel.model import Command, Context, DataSchema
from nadg_kernel.planners.base import Briefing
from nadg_kernel.planners.recipes import RecipesPlanner

CORPUS = tomllib.loads((Path(__file__).parents[1] / "commands.toml").read_text("utf-8"))
SCHEMAS = {
    name: DataSchema(columns=tuple(columns), dtypes=tuple(columns.values()), rows=1000)
    for name, columns in CORPUS["schemas"].items()
}
CONTEXT = Context(modules=frozenset({"pandas", "numpy", "plotly", "vaderSentiment"}), labels=frozenset({"model:test"}))


def labels(plan):
    """Subtask id -> the name it has in the corpus."""
    counts, out = {}, {}
    for item in plan.subtasks:
        name = "code" if item.needs_code else plan.planner["recipes"][item.id]
        counts[name] = counts.get(name, 0) + 1
        out[item.id] = name if counts[name] == 1 else f"{name}_{counts[name]}"
    return out


def constants(code):
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(code).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper()
        and isinstance(node.value, (ast.Constant, ast.List))
    }  # fmt: skip


def test_the_corpus_is_large_enough():
    assert len(CORPUS["commands"]) >= 40
    assert len({command["text"] for command in CORPUS["commands"]}) >= 40
    assert len(SCHEMAS) >= 4


@pytest.mark.parametrize("case", CORPUS["commands"], ids=[case["text"][:60] for case in CORPUS["commands"]])
async def test_command(case):
    data = {name: SCHEMAS[name] for name in case["data"]}
    plan = await RecipesPlanner().draft(Command(text=case["text"], data=data), Briefing(context=CONTEXT, capacity=2))
    names = labels(plan)
    assert sorted(names.values()) == sorted(case["gives"])
    assert sorted(f"{names[a]} -> {names[b.id]}" for b in plan.subtasks for a in b.depends_on) == sorted(case["edges"])
    by_name = {name: plan[subtask] for subtask, name in names.items()}
    for place, wanted in case.get("sets", {}).items():
        name, constant = place.split(".")
        assert constants(by_name[name].code)[constant] == wanted, place
    for words in case.get("asks", []):
        assert words in " ".join(plan.questions)
    for words in case.get("assumes", []):
        assert words in " ".join(plan.assumptions)
    allowed = {"needs_code", *([] if data else ["unknown_input"])}
    assert {problem.code for problem in plan.problems if problem.blocks} <= allowed
    assert any(problem.code == "needs_code" for problem in plan.problems) == any("code" in n for n in names.values())
