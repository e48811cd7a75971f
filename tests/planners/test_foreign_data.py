"""Sentiment, report and charts on tables that nobody made for this project."""

from pathlib import Path

import pandas as pd
import plotly.data
import pytest
import vaderSentiment

from nadg_kernel.model import Command, DataSchema
from nadg_kernel.planners.base import Briefing
from nadg_kernel.planners.recipes import RecipesPlanner
from tests.support.recipe_code import run_plan, schema_of

LEXICON = Path(vaderSentiment.__file__).parent / "vader_lexicon.txt"
COMMAND = "Analyze the sentiment, generate a summary report, and create data visualizations"


def lexicon():
    """People's ratings of single words, -4 to 4, that the sentiment package ships."""
    rows = [line.split("\t")[:3] for line in LEXICON.read_text("utf-8").splitlines() if line.strip()]
    frame = pd.DataFrame(rows, columns=["token", "mean", "spread"]).astype({"mean": "float64", "spread": "float64"})
    return frame[frame["token"].str.fullmatch("[a-z]{3,}")].reset_index(drop=True)


async def results(command, **data):
    schemas = {name: schema_of(frame) for name, frame in data.items()}
    return run_plan(await RecipesPlanner().draft(Command(text=command, data=schemas), Briefing()), data)


async def test_sentiment_agrees_with_what_people_said(tmp_path):
    path = tmp_path / "lexicon.csv"
    lexicon().to_csv(path, index=False)
    frame = pd.read_csv(path, keep_default_na=False)
    out = await results(COMMAND, words=frame)
    scored = pd.concat(out["sentiment"].result)
    clear = scored[scored["mean"].abs() > 1]
    assert len(clear) > 3000
    assert ((clear["sentiment_score"] > 0) == (clear["mean"] > 0)).all()
    assert f"{len(frame):,} rows" in out["report"].result
    assert len(out["charts"].result) >= 2


@pytest.mark.parametrize("name", ["tips", "gapminder", "iris", "stocks", "wind", "medals_long", "election", "carshare"])
async def test_views_of_any_table(name):
    frame = getattr(plotly.data, name)()
    out = await results("Profile the table, compute summary statistics, write a report and make charts", data=frame)
    assert len(out["charts"].result) >= 2
    assert f"{len(frame):,} rows" in out["report"].result
    assert list(out["profile"].result["column"]) == [str(column) for column in frame.columns]


async def test_lines_of_text():
    plan = await RecipesPlanner().draft(
        Command(text=COMMAND, data={"notes": DataSchema(kind="text", size=60)}), Briefing()
    )
    assert not [problem for problem in plan.problems if problem.blocks]
    out = run_plan(plan, {"notes": "I love it.\n\nThis is awful.\nIt is a lamp.\n"})
    assert list(out["sentiment"].result["sentiment"]) == ["positive", "negative", "neutral"]
    assert len(out["charts"].result) >= 2


async def test_a_series_and_columns_without_names():
    out = await results("Sentiment and a report", texts=pd.DataFrame({0: ["great", "awful"], 1: [1, 2]}))
    assert list(out["sentiment"].result["sentiment"]) == ["positive", "negative"]
    schema = DataSchema(kind="array", columns=("",), dtypes=("str",), rows=2)
    plan = await RecipesPlanner().draft(Command(text="Sentiment, then charts", data={"texts": schema}), Briefing())
    assert not [problem for problem in plan.problems if problem.blocks]
    out = run_plan(plan, {"texts": pd.Series(["great", "awful"])})
    assert list(out["sentiment"].result["sentiment"]) == ["positive", "negative"]


async def test_data_without_columns_is_said():
    data = {"tree": DataSchema(kind="json", rows=3)}
    plan = await RecipesPlanner().draft(Command(text="Analyze the sentiment", data=data), Briefing())
    assert "tree has no columns" in " ".join(plan.questions)
    assert [problem.code for problem in plan.problems if problem.blocks] == ["needs_code"]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"review": pd.Series([], dtype="str")}),
        pd.DataFrame({"review": [None, "", "  ", "good"]}),
        pd.DataFrame({"review": ["fine | <b>bold</b> \n new line"], "rating": [float("nan")]}),
        pd.DataFrame({"review": ["good"] * 3, "rating": pd.array([1, None, 3], dtype="Int64")}, index=[7, 7, 9]),
        pd.DataFrame({"review": ["good", "bad"], "seen": pd.to_datetime(["2026-01-01", None]).tz_localize("UTC")}),
        pd.DataFrame({"review": ["good"] * 250, "tags": [["a", "b"]] * 250}),
    ],
    ids=["empty", "missing", "markup", "nullable", "times", "lists"],
)
async def test_awkward_rows(frame):
    out = await results(COMMAND, reviews=frame)
    parts = out["sentiment"].result
    scored = pd.concat(parts) if isinstance(parts, list) else parts
    assert len(scored) == len(frame)
    assert "<b>" not in out["report"].result.replace("\\<b\\>", "")
    assert len(out["charts"].result) >= 2
