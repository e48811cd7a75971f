"""Each recipe on two tables, its numbers worked out again by other means."""

import json
import math
import os
import re
import statistics as st
import subprocess
import sys
import tempfile
from collections import Counter

import numpy as np
import pandas as pd
import plotly.data
import pytest

from nadg_kernel.model import Command, Context, DataSchema
from nadg_kernel.planners.base import Briefing
from nadg_kernel.planners.recipes import RecipesPlanner, library, suggest
from nadg_kernel.samples import sample_reviews
from tests.support.recipe_code import run_code, run_plan, schema_of


async def planned(command, data, **context):
    schemas = {name: value if isinstance(value, DataSchema) else schema_of(value) for name, value in data.items()}
    return await RecipesPlanner().draft(Command(text=command, data=schemas), Briefing(context=Context(**context)))


async def ran(command, **data):
    return run_plan(await planned(command, data), data)


def sensors(rows=300):
    rng = np.random.default_rng(5)
    hours = pd.date_range("2026-01-01", periods=rows, freq="h", tz="UTC")
    temperature = 20 + 5 * np.sin(np.arange(rows) / 12) + rng.normal(0, 0.2, rows)
    frame = pd.DataFrame({"timestamp": hours, "sensor": ["a", "b", "c"] * (rows // 3), "temperature": temperature})
    frame.loc[[10, 200], "temperature"] = [90.0, -60.0]
    frame.loc[[5, 6], "temperature"] = np.nan
    return frame.assign(humidity=100 - 2 * frame["temperature"])


def words_of(texts):
    common = set(
        re.search(r"COMMON = \((.*?)\)", library()["word_frequencies"].code, re.DOTALL)[1].replace('"', " ").split()
    )
    found = (re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower()) for text in texts)
    return Counter(word for line in found for word in line if len(word) > 1 and word not in common)


@pytest.mark.parametrize(
    "frame",
    [sample_reviews(), pd.DataFrame({"message": ["The cat sat", "Cats and a cat; THE cat's", None, "don't don't"]})],
    ids=["reviews", "messages"],
)
async def test_word_frequencies(frame):
    table = (await ran("Top 20 words", texts=frame))["word_frequencies"].result
    expected = words_of(frame[frame.columns[-1]].dropna())
    assert dict(zip(table["word"], table["count"], strict=True)) == dict(
        sorted(expected.items(), key=lambda pair: (-pair[1], pair[0]))[:20]
    )


async def test_time_series_per_month():
    frame = sample_reviews()
    table = (await ran("Average rating per month", reviews=frame))["time_series"].result
    by_month = {
        month: [r for r, d in zip(frame["rating"], frame["date"], strict=True) if d.month == month]
        for month in range(1, 13)
    }
    assert [when.month for when in table["period"]] == list(range(1, 13))
    assert list(table["rows"]) == [len(by_month[m]) for m in range(1, 13)]
    assert list(table["rating_mean"]) == pytest.approx([st.fmean(by_month[m]) for m in range(1, 13)])
    assert list(table["change"])[1:] == pytest.approx(list(np.diff([st.fmean(by_month[m]) for m in range(1, 13)])))


async def test_time_series_per_day_and_sensor():
    frame = sensors()
    out = await ran("Maximum temperature per sensor and day, then plot it", readings=frame)
    table = out["time_series"].result
    for name, day, count, value, _ in table.itertuples(index=False):
        rows = frame[(frame["sensor"] == name) & (frame["timestamp"].dt.strftime("%F") == f"{day:%F}")]
        assert count == len(rows)
        assert value == max(rows["temperature"].dropna())
    assert len(out["charts"].result) >= 2


async def test_charts_show_the_tables_of_other_subtasks():
    frame = sample_reviews()
    out = await ran("Monthly rating, average rating by product, then charts", reviews=frame)
    figures = {name: bundle["application/vnd.plotly.v1+json"] for name, bundle in out["charts"].result.items()}
    (line,) = figures["time_series"]["data"]
    assert line["type"] == "scatter"
    assert line["y"] == pytest.approx(list(out["time_series"].result["rating_mean"]))
    (bars,) = figures["group"]["data"]
    assert bars["x"] == list(out["group"].result["product"])
    assert bars["y"] == pytest.approx(list(out["group"].result["rating_mean"]))


async def test_figures_stand_on_light_and_dark_pages():
    """No background of their own, and no text or line that one of both would hide."""
    out = await ran("Monthly rating, correlation of the numeric columns, then charts", reviews=sample_reviews())
    figures = [item for done in out.values() for item in done.displays if type(item).__module__.startswith("plotly.")]
    assert len(figures) >= 4
    for figure in figures:
        layout = figure.layout
        assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
        assert layout.font.color == "#767676"
        assert layout.xaxis.gridcolor == layout.yaxis.linecolor == "rgba(128,128,128,0.25)"
        assert layout.title.text


async def test_outliers_of_sensors():
    frame = sensors()
    out = await ran("Find outliers in temperature and chart them", readings=frame)
    marked = out["outliers"].result
    assert list(marked.index[marked["outlier"]]) == [10, 200]
    assert marked["distance"].idxmax() in (10, 200)
    assert any("outlier" in title for title in out["charts"].result)


async def test_outliers_of_tips():
    frame = plotly.data.tips()
    marked = (await ran("Which total_bill values are outliers?", tips=frame))["outliers"].result
    low, high = np.percentile(frame["total_bill"], [25, 75])
    fence = 1.5 * (high - low)
    expected = [not low - fence <= value <= high + fence for value in frame["total_bill"]]
    assert list(marked["outlier"]) == expected


@pytest.mark.parametrize("frame", [sensors(), plotly.data.iris()], ids=["sensors", "iris"])
async def test_correlation(frame):
    table = (await ran("Correlation of the numeric columns", table=frame))["correlation"].result.set_index("column")
    for a in table.index:
        for b in table.columns:
            both = frame[[a, b]].dropna() if a != b else frame[[a]].dropna().assign(other=lambda f: f.iloc[:, 0])
            assert table.loc[a, b] == pytest.approx(st.correlation(*(list(both.iloc[:, k]) for k in (0, 1))))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (sensors(), {"temperature": 2, "humidity": 2, "timestamp": 0, "sensor": 0}),
        (pd.DataFrame({"a": ["x", " ", None], "b": pd.array([1, None, 3], dtype="Int64")}), {"a": 2, "b": 1}),
    ],
    ids=["sensors", "blanks"],
)
async def test_missing_values(frame, expected):
    table = (await ran("Which values are missing?", table=frame))["missing_values"].result
    assert dict(zip(table["column"], table["missing"], strict=True)) == expected
    assert list(table["share"]) == pytest.approx([count / len(frame) for count in table["missing"]])


async def test_join_reviews_with_prices():
    reviews = sample_reviews()
    prices = pd.DataFrame({"product": sorted(set(reviews["product"]))[:5], "price": [1.0, 2.0, 3.0, 4.0, 5.0]})
    out = await ran(
        "Join the reviews with the prices, then the average price by region", reviews=reviews, prices=prices
    )
    joined = out["join"].result
    assert len(joined) == sum(product in set(prices["product"]) for product in reviews["product"])
    lookup = dict(zip(prices["product"], prices["price"], strict=True))
    assert all(lookup[p] == price for p, price in zip(joined["product"], joined["price"], strict=True))
    for region, count, mean in out["group"].result.itertuples(index=False):
        values = joined[joined["region"] == region]["price"]
        assert (count, mean) == (len(values), pytest.approx(math.fsum(values) / len(values)))


async def test_join_of_different_types():
    left = pd.DataFrame({"order_id": [1, 2, 3], "amount": [1.0, 2.0, 3.0]})
    right = pd.DataFrame({"order_id": ["2", "3", "4"], "amount": [5.0, 6.0, 7.0]})
    joined = (await ran("Left join of orders with payments", orders=left, payments=right))["join"].result
    assert list(joined["order_id"]) == ["1", "2", "3"]
    assert list(joined["amount_2"].fillna(0)) == [0.0, 5.0, 6.0]


@pytest.mark.parametrize(("limit", "count", "largest"), [("100", 25, 97), ("1 million", 78_498, 999_983), ("2", 1, 2)])
async def test_primes(limit, count, largest):
    out = await ran(f"Count the primes up to {limit}")
    assert out["primes"].result == {"primes": count, "largest": largest}
    assert sum(part["count"] for shard in out["primes_in_range"].result for part in shard) == count


@pytest.mark.parametrize("samples", [1001, 3_000_000])
async def test_pi(samples):
    found = (await ran(f"Estimate pi with {samples} samples"))["pi"].result
    assert found["samples"] == samples
    assert abs(found["pi"] - math.pi) < 5 * found["standard_error"]


TESTS = """
from shop.price import total

def test_total():
    assert total([1, 2]) == 3

def test_wrong():
    assert total([1]) == 2
"""
PROJECT = {
    "shop/__init__.py": "",
    "shop/price.py": "def total(items):\n    return sum(items)\n",
    "tests/test_price.py": TESTS,
    "tests/test_broken.py": "import nowhere\n",
    "README.md": "A shop.\n",
}
OTHER = {"test_one.py": "def test_one():\n    pass\n", "notes.txt": "ü"}
FOUND = {
    ("tests/test_price.py", "passed"): 1,
    ("tests/test_price.py", "failed"): 1,
    ("tests/test_broken.py", "error"): 1,
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (PROJECT, FOUND),
        (OTHER, {("test_one.py", "passed"): 1}),
    ],
    ids=["project", "one file"],
)  # fmt: skip
async def test_suite_split_by_file(files, expected, tmp_path, monkeypatch):
    """In processes of their own, as on a worker: pytest inside pytest shares too much."""
    plan = await planned("Run the tests", {"project": DataSchema(kind="folder", rows=len(files))})
    assert [item.map.over if item.map else None for item in plan.subtasks] == [None, "test_files", None]
    assert plan["test_run"].inputs == ("test_files", "project")
    names = run_code(plan["test_files"].code, {"project": files}).result
    shards = [
        _in_a_process(plan["test_run"].code, {"test_files": [name], "project": files}, tmp_path) for name in names
    ]
    table = run_code(plan["tests"].code, {"test_run": shards}).result
    assert Counter(zip(table["file"], table["outcome"], strict=True)) == expected
    assert all(row.message for row in table.itertuples() if row.outcome in {"failed", "error"})


def _in_a_process(code, inputs, folder):
    lines = [
        "import json, sys",
        f"inputs = json.loads({json.dumps(json.dumps(inputs))})",
        "progress = display = lambda *a: None",
        code,
        "print('\\nRESULT' + json.dumps(result))",
    ]
    place = tempfile.mkdtemp(dir=folder)
    command = [sys.executable, "-c", "\n".join(lines)]
    bare = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the many plugins here take seconds to load
    done = subprocess.run(command, cwd=place, env=bare, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.rpartition("RESULT")[2])


@pytest.mark.parametrize("labels", [frozenset({"model:test"}), frozenset({"cpu"})])
async def test_text_by_section(labels):
    plan = await planned("Write an essay about the sea", {}, labels=labels)
    assert [(item.id, item.kind) for item in plan.subtasks] == [
        ("outline", "python"),
        ("section", "prompt"),
        ("article", "python"),
    ]
    assert plan["section"].map.over == "outline"
    assert "{outline}" in plan["section"].code
    blocking = {problem.code for problem in plan.problems if problem.blocks}
    assert blocking == (set() if "model:test" in labels else {"no_model"})
    outline = run_code(plan["outline"].code, {}).result
    assert {item["topic"] for item in outline} == {"the sea"}
    texts = [f"Text {number}" for number in range(len(outline))]
    article = run_code(plan["article"].code, {"outline": outline, "section": texts}).result
    assert article.startswith("## Introduction\n\nText 0\n\n## ")


async def test_suggestions_can_be_added_and_run():
    frame = sample_reviews()
    plan = await planned("Profile the table", {"reviews": frame})
    found = suggest({"reviews": schema_of(frame)})
    assert [item.recipe for item in found][:1] == ["outliers"] or found[0].recipe == "sentiment"
    assert {"sentiment", "group", "report", "charts", "word_frequencies", "time_series"} <= {
        item.recipe for item in found
    }
    assert all(item.title and item.why for item in found)
    for item in found:
        plan = item.add_to(plan, by="test")
    assert len(plan) == 1 + len(found)
    assert not [problem for problem in plan.problems if problem.blocks]
    results = run_plan(plan, {"reviews": frame})
    assert set(results) == set(plan.ids)


def test_no_suggestions_without_fitting_columns():
    found = {item.recipe for item in suggest({"notes": DataSchema(columns=("a",), dtypes=("int64",), rows=3)})}
    assert "sentiment" not in found
    assert "time_series" not in found
    assert suggest({}) == []
