"""The first command of the project, planned and executed: the numbers that come out are those of the data."""

import pandas as pd
import pytest

from nadg_kernel.model import Command, Context, Map
from nadg_kernel.planners.base import Briefing
from nadg_kernel.planners.recipes import RecipesPlanner, library
from nadg_kernel.samples import sample_reviews, sample_reviews_path
from tests.support.make_reviews import write
from tests.support.recipe_code import run_plan, schema_of

COMMAND = "Analyze customer sentiment from reviews, generate a summary report, and create data visualizations"
BRIEFING = Briefing(context=Context(modules=frozenset({"pandas", "numpy", "plotly", "vaderSentiment"})))


async def plan_for(command, **data):
    schemas = {name: schema_of(frame) for name, frame in data.items()}
    return await RecipesPlanner().draft(Command(text=command, data=schemas), BRIEFING)


async def test_plan_of_the_first_command():
    plan = await plan_for(COMMAND, reviews=sample_reviews())
    assert plan.ids == ("sentiment", "report", "charts")
    assert plan["sentiment"].map == Map(over="reviews", shards=2)
    assert plan["report"].depends_on == plan["charts"].depends_on == ("sentiment",)
    assert plan.problems == ()
    assert plan.draft == plan.subtasks
    assert any("'review' of 'reviews' is taken as the text" in text for text in plan.assumptions)
    assert plan.approve(by="test").approved


async def test_results_of_the_first_command():
    frame = sample_reviews()
    ran = run_plan(await plan_for(COMMAND, reviews=frame), {"reviews": frame})
    scored = pd.concat(ran["sentiment"].result)
    pd.testing.assert_frame_equal(scored[list(frame.columns)], frame)
    assert scored["sentiment_score"].between(-1, 1).all()
    assert set(scored["sentiment"]) == {"positive", "neutral", "negative"}
    assert ran["report"].result.startswith("# Summary report")
    assert ran["report"].displays[0]._repr_markdown_() == ran["report"].result
    assert len(ran["charts"].displays) == len(ran["charts"].result) >= 2
    assert all(bundle["application/vnd.plotly.v1+json"]["data"] for bundle in ran["charts"].result.values())


async def test_the_same_command_gives_the_same_plan():
    first, second = [await plan_for(COMMAND, reviews=sample_reviews()) for _ in range(2)]
    assert first == second
    assert first.digest == second.digest


def test_sample_reviews_are_what_they_say():
    frame = sample_reviews()
    assert len(frame) == 420
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()}["rating"] == "int64"
    assert pd.api.types.is_datetime64_any_dtype(frame["date"])
    assert frame["rating"].between(1, 5).all()
    assert frame["review"].is_unique
    assert not frame.isna().any().any()
    assert "made up" in (sample_reviews_path().parent / "README.md").read_text("utf-8")


def test_sample_reviews_come_from_their_generator():
    assert sample_reviews_path().read_text("utf-8") == write()


@pytest.mark.parametrize("name", sorted(library()))
def test_recipes_are_complete(name):
    recipe = library()[name]
    assert recipe.name == name
    assert "# include" not in recipe.code
    if recipe.kind == "prompt":
        assert "{SOURCE}" in recipe.code
        return
    compile(recipe.code, name, "exec")
    for constant in (*recipe.columns, *recipe.choices, *recipe.counts):
        assert f"\n{constant} = " in f"\n{recipe.code}"
