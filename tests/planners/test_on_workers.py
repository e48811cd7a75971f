"""Every recipe on real workers: the values are those that the same code gives here."""

import asyncio

import pandas as pd
import pytest

from nadg_kernel import Grid, RunState, sample_reviews
from nadg_kernel.planners.modelling import ModelPlanner
from nadg_kernel.planners.scripted import ScriptedModel
from tests.planners.test_foreign_data import lexicon
from tests.support.recipe_code import run_plan

COMMANDS = {
    "Analyze customer sentiment from reviews, generate a summary report, and create data visualizations": ["report"],
    "Profile the table, compute summary statistics, and find missing values": ["profile"],
    "Average rating by product, monthly rating, top 10 words, outliers in the rating": [
        "group",
        "time_series",
        "word_frequencies",
        "outliers",
    ],
}


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    with Grid(home=tmp_path_factory.mktemp("grid"), planner="recipes") as grid:
        yield grid


def same(here, there):
    if isinstance(here, pd.DataFrame):
        pd.testing.assert_frame_equal(here, there)
    else:
        assert here == there


@pytest.mark.parametrize("command", COMMANDS)
def test_recipes_on_workers(grid, command):
    data = {"reviews": sample_reviews()}
    plan = grid.plan(command, data=data)
    assert not [problem for problem in plan.problems if problem.blocks]
    run = grid.run(plan.approve(by="test"))
    run.wait(120)
    assert run.state == RunState.SUCCEEDED
    here = run_plan(plan, data)
    for name in COMMANDS[command]:
        same(here[name].result, run[name].value)
    if "charts" in plan.ids:
        assert len(run["charts"].displays) == len(here["charts"].displays) >= 2


def test_a_csv_that_nobody_made_for_this(grid, tmp_path):
    path = tmp_path / "lexicon.csv"
    lexicon().head(500).to_csv(path, index=False)
    run = grid.run(grid.plan("Sentiment, then a report and charts", data={"words": path}).approve(by="test"))
    run.wait(120)
    assert run.state == RunState.SUCCEEDED
    scored = pd.concat(run["sentiment"].value)
    clear = scored[scored["mean"].abs() > 1]
    assert ((clear["sentiment_score"] > 0) == (clear["mean"] > 0)).all()


@pytest.mark.parametrize("command", ["Count the primes up to 50000", "Estimate pi with 100000 samples"])
def test_map_and_reduce(grid, command):
    plan = grid.plan(command)
    run = grid.run(plan.approve(by="test"))
    run.wait(120)
    assert run[plan.ids[-1]].value == run_plan(plan, {})[plan.ids[-1]].result


def test_a_plan_that_fails_is_repaired_and_only_its_branch_runs_again(grid):
    """A scripted model stands for Gemini: split, code, and after the failure one change to the failed subtask."""
    split = {
        "goal": "g",
        "subtasks": [
            {"id": "base", "title": "Base", "kind": "python", "inputs": [], "depends_on": []},
            {"id": "fine", "title": "Fine", "kind": "python", "inputs": ["base"], "depends_on": ["base"]},
            {"id": "bad", "title": "Bad", "kind": "python", "inputs": ["base"], "depends_on": ["base"]},
            {"id": "last", "title": "Last", "kind": "python", "inputs": ["bad"], "depends_on": ["bad"]},
        ],
    }
    code = {
        "base": "result = 20",
        "fine": "result = inputs['base'] + 1",
        "bad": "result = inputs['base'] / zero",
        "last": "result = inputs['bad'] * 2",
    }

    def reply(prompt):
        if prompt.startswith("You plan"):
            return split
        if prompt.startswith("A plan for"):
            assert "NameError" in prompt
            return {"why": "zero was not defined", "changes": [{"action": "edit", "id": "bad", "code": "result = 10"}]}
        asked = prompt.rpartition("The subtask to write:")[2]
        return {"code": next(text for name, text in code.items() if f'"id": "{name}"' in asked)}

    planner = ModelPlanner(ScriptedModel(reply), "scripted")
    plan = grid.plan("Divide", planner=planner)
    assert [(item.code, item.subtask, item.blocks) for item in plan.problems] == [("free_name", "bad", False)]
    run = grid.run(plan.approve(by="test"))
    run.wait(60)
    states = dict(run.frame().set_index("id")["state"])
    assert states == {"base": "succeeded", "fine": "succeeded", "bad": "failed", "last": "skipped"}

    finished = [name for name, state in states.items() if state == "succeeded"]
    found = asyncio.run(planner.repair(plan, "bad", run["bad"].error["traceback"], frozen=finished))
    assert found.changed == {"bad", "last"}
    assert "-bad code| result = inputs['base'] / zero" in found.diff()
    run.revise(found.plan.approve(by="test"))
    run.wait(60)
    assert run.state is RunState.SUCCEEDED
    assert run["last"].value == 20
    assert grid.attempts(run=run.id)["subtask"].value_counts().to_dict() == {"base": 1, "fine": 1, "bad": 2, "last": 1}
