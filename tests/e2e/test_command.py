"""From the command to results through `nadg run`; every number is recomputed from the rows."""

from __future__ import annotations

import csv
import io
import json
import re
from importlib import metadata

import pandas as pd
import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from nadg_kernel import Plan, sample_reviews
from tests.e2e.conftest import COMMAND, PLOTLY, Quick

pytestmark = pytest.mark.xdist_group("e2e-command")  # they share one run


def frame_of(value):
    assert value["row_count"] == len(value["rows"])
    return pd.DataFrame(value["rows"], columns=value["columns"])


def label(score):
    return "positive" if score >= 0.05 else "negative" if score <= -0.05 else "neutral"


def scored(texts):
    analyzer = SentimentIntensityAnalyzer()
    return [analyzer.polarity_scores(text)["compound"] for text in texts]


def tables(markdown):
    """Heading -> the table below it, cells as text."""
    out = {}
    for part in re.split(r"^## ", markdown, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        lines = [line for line in body.splitlines() if line.startswith("|")]
        rows = [[cell.strip().replace("\\", "") for cell in line.strip("|").split(" | ")] for line in lines]
        if rows:
            out[heading] = pd.DataFrame(rows[2:], columns=rows[0])
    return out


def shown(value):
    """A number as the report writes it."""
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def figures(run, subtask):
    return [bundle[PLOTLY] for bundle in run[subtask]["displays"] if PLOTLY in bundle]


@pytest.fixture(scope="module")
def run(module_nadg):
    sample_reviews().to_csv(module_nadg.folder / "reviews.csv", index=False)
    return module_nadg(
        "run", COMMAND, "--data", "reviews=reviews.csv", "--approve", "--json", "out.json",
        "--save-plan", "plan.json", "--html", "out.html", report="out.json",
    )  # fmt: skip


@pytest.fixture
def quick_there(module_nadg, monkeypatch, capsys):
    return Quick(module_nadg.folder, monkeypatch, capsys)


@pytest.fixture(scope="module")
def reviews():
    return sample_reviews()


def test_it_succeeds(run):
    assert run.code == 0, run.out + run.err
    assert run.report["state"] == "succeeded"
    assert run.states == {"sentiment": "succeeded", "report": "succeeded", "charts": "succeeded"}
    assert run.err == ""


def test_json_has_the_fields_that_were_promised(run):
    assert set(run.report) == {"run_id", "state", "subtasks"}
    fields = {"id", "title", "state", "worker", "seconds", "result", "displays", "stdout", "error"}
    for item in run.report["subtasks"]:
        assert set(item) == fields
        assert item["worker"].startswith("local-")
        assert item["seconds"] > 0
        assert item["error"] is None


def test_every_review_has_its_sentiment(run, reviews):
    found = frame_of(run["sentiment"]["result"])
    assert found["review"].tolist() == reviews["review"].tolist()
    expected = scored(reviews["review"])
    assert found["sentiment_score"].tolist() == pytest.approx(expected)
    assert found["sentiment"].tolist() == [label(score) for score in expected]
    assert len(found) >= 300


def test_report_has_real_numbers(run, reviews):
    report = run["report"]["result"]
    found = tables(report)
    assert f"{len(reviews):,} rows" in report
    assert f"{reviews['date'].min():%Y-%m-%d} to {reviews['date'].max():%Y-%m-%d}" in report
    scores = pd.Series(scored(reviews["review"]))
    counts = scores.map(label).value_counts()
    by_label = found["Rows by sentiment"].set_index("sentiment")
    assert by_label["rows"].astype(int).to_dict() == counts.to_dict()
    assert by_label["share"].to_dict() == {name: f"{100 * n / len(reviews):.1f}%" for name, n in counts.items()}
    numbers = found["Numbers"].set_index("column")
    for name, column in (("rating", reviews["rating"].astype(float)), ("sentiment_score", scores)):
        assert numbers.loc[name, "mean"] == shown(column.mean())
        assert numbers.loc[name, "std"] == shown(column.std())
        assert numbers.loc[name, "median"] == shown(column.median())
        assert [numbers.loc[name, "min"], numbers.loc[name, "max"]] == [shown(column.min()), shown(column.max())]
        assert numbers.loc[name, "count"] == str(len(column))


@pytest.mark.parametrize("column", ["product", "region"])
def test_report_compares_groups(run, reviews, column):
    found = next(table for heading, table in tables(run["report"]["result"]).items() if heading == f"By {column}")
    found = found.set_index(column)
    counts = reviews[column].fillna("(missing)").value_counts()
    assert found["rows"].astype(int).to_dict() == counts.to_dict()
    values = {"mean rating": reviews["rating"], "mean sentiment_score": pd.Series(scored(reviews["review"]))}
    assert set(found.columns) == {"rows", *values}
    for name, column_values in values.items():
        means = column_values.groupby(reviews[column].fillna("(missing)")).mean()
        assert found[name].to_dict() == {group: shown(value) for group, value in means.items()}


def test_charts_show_the_data(run, reviews):
    found = figures(run, "charts")
    assert len(found) >= 2
    counts = pd.Series(scored(reviews["review"])).map(label).value_counts()
    first = found[0]["data"][0]
    assert first["type"] == "bar"
    assert dict(zip(first["x"], first["y"], strict=True)) == counts.to_dict()
    assert all(figure["layout"]["title"]["text"] for figure in found)


def test_a_person_reads_plan_progress_and_results(run):
    for words in (
        COMMAND,
        "Permissions: none",
        "succeeded  Summary report",
        "# Summary report",
        "Approved plan written",
    ):
        assert words in run.out
    assert "\x1b" not in run.out


def test_the_page_shows_what_a_terminal_cannot(run, module_nadg):
    page = (module_nadg.folder / "out.html").read_text("utf-8")
    assert page.count("Plotly.newPlot") >= 2 or page.count("<script") >= 2
    assert "Summary report" in page
    assert "chart: " in run.out


def test_the_saved_plan_is_approved(run, module_nadg):
    plan = Plan.load(module_nadg.folder / "plan.json")
    assert plan.approved
    assert plan.ids == ("sentiment", "report", "charts")


def test_it_runs_again_on_new_rows_without_asking(run, quick_there, reviews):
    new = reviews.head(40).assign(rating=1)
    new.to_csv(quick_there.folder / "new.csv", index=False)
    again = quick_there("run", "--plan", "plan.json", "--data", "reviews=new.csv", "--json", "-", workers=1)
    assert again.code == 0, again.err
    again.report = json.loads(again.out)
    assert frame_of(again["sentiment"]["result"])["rating"].tolist() == [1] * 40
    assert "40 rows" in again["report"]["result"]
    assert "succeeded" in again.err, "with --json - people read stderr"


def test_history_keeps_it(run, quick_there):
    rows = json.loads(quick_there("history", "--json").out)
    assert {row["subtask"] for row in rows} == {"sentiment", "report", "charts"}
    assert run.report["run_id"] in {row["run_id"] for row in rows}
    limited = json.loads(quick_there("history", "--json", "--limit", "2", "--state", "succeeded").out)
    assert len(limited) == 2
    table = quick_there("history", "--text", "Charts")
    assert "charts" in table.out
    assert "Summary report" not in table.out


def test_a_table_that_the_project_did_not_make(quick):
    """The summaries of the installed distributions, as their authors wrote them."""
    rows = [(d.name, d.version, d.metadata.get("Summary")) for d in metadata.distributions()]
    text = io.StringIO()
    csv.writer(text).writerows([("name", "version", "summary"), *sorted({row for row in rows if row[2]})])
    (quick.folder / "packages.csv").write_text(text.getvalue(), encoding="utf-8")
    frame = pd.read_csv(quick.folder / "packages.csv")
    run = quick(
        "run",
        COMMAND,
        "--data",
        "packages=packages.csv",
        "--approve",
        "--json",
        "out.json",
        workers=1,
        report="out.json",
    )
    assert run.code == 0, run.err
    found = frame_of(run["sentiment"]["result"])
    assert len(found) == len(frame) > 100
    assert found["sentiment"].tolist() == [label(score) for score in scored(frame["summary"])]
    assert f"{len(frame):,} rows" in run["report"]["result"]
    assert len(figures(run, "charts")) >= 2


def test_figures_of_a_bundled_table_without_text(quick):
    """plotly's gapminder data: grouping and charts, no sentence in it."""
    import plotly.data

    frame = plotly.data.gapminder()
    frame.to_csv(quick.folder / "world.csv", index=False)
    command = "Show the mean lifeExp by continent and draw charts of it"
    run = quick(
        "run", command, "--data", "world=world.csv", "--approve", "--json", "out.json", workers=1, report="out.json"
    )
    assert run.code == 0, run.err
    grouped = next(
        item for item in run.report["subtasks"] if isinstance(item["result"], dict) and "columns" in item["result"]
    )
    found = frame_of(grouped["result"])
    means = frame.groupby("continent")["lifeExp"].mean()
    (column,) = [name for name in found.columns if "lifeExp" in name and "mean" in name]
    assert dict(zip(found["continent"], found[column], strict=True)) == pytest.approx(means.to_dict())
