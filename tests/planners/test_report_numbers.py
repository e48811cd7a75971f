"""Every number in a report is the data's: each is computed again here, with other code than the recipe's."""

import math
import re
import statistics as st
from collections import Counter

import pandas as pd
import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from nadg_kernel.model import Command
from nadg_kernel.planners.base import Briefing
from nadg_kernel.planners.recipes import RecipesPlanner
from nadg_kernel.samples import sample_reviews
from tests.support.recipe_code import run_plan, schema_of


async def ran(command, **data):
    schemas = {name: schema_of(frame) for name, frame in data.items()}
    plan = await RecipesPlanner().draft(Command(text=command, data=schemas), Briefing(capacity=3))
    return run_plan(plan, data)


def shown(value):
    """A number as a report prints it."""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def plain(text):
    return re.sub(r"\\(.)", r"\1", text).replace("**", "")


def parsed(report):
    """Section title -> its table as rows of cells (header first), and the lines that are in no table."""
    tables, lines, section = {}, [], ""
    for line in map(plain, report.splitlines()):
        if line.startswith("#"):
            section = line.lstrip("# ")
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            if not set("".join(cells)) <= set("- |"):
                tables.setdefault(section, []).append(cells)
        elif line.strip():
            lines.append(line.removeprefix("- "))
    return tables, lines


class Rows:
    """The data as plain Python rows; numbers are worked out with the standard library."""

    def __init__(self, frame):
        self.rows = frame.to_dict("records")
        self.columns = list(frame.columns)

    def values(self, column, **where):
        picked = (row for row in self.rows if all(row[key] == value for key, value in where.items()))
        return [row[column] for row in picked if row[column] is not None and row[column] == row[column]]

    def mean(self, column, **where):
        return math.fsum(self.values(column, **where)) / len(self.values(column, **where))

    def described(self, column):
        numbers = [float(n) for n in self.values(column)]
        parts = (math.fsum(numbers) / len(numbers), st.stdev(numbers), min(numbers), st.median(numbers), max(numbers))
        return [column, str(len(numbers)), *map(shown, map(float, parts))]


async def test_report_on_sentiment():
    frame = sample_reviews()
    out = await ran("Analyze the sentiment and write a report", reviews=frame)
    analyzer = SentimentIntensityAnalyzer()
    scores = [analyzer.polarity_scores(text)["compound"] for text in frame["review"]]
    labels = ["positive" if s >= 0.05 else "negative" if s <= -0.05 else "neutral" for s in scores]
    rows = Rows(frame.assign(sentiment_score=scores, sentiment=labels))
    tables, lines = parsed(out["report"].result)

    counted = Counter(labels)
    shares = {name: f"{100 * count / 420:.1f}%" for name, count in counted.items()}
    assert tables.pop("Rows by sentiment") == [
        ["sentiment", "rows", "share"],
        *([name, str(count), shares[name]] for name, count in counted.most_common()),
    ]
    assert tables.pop("Numbers")[1:] == [rows.described("rating"), rows.described("sentiment_score")]
    ends = {}
    for column in ("product", "region"):
        header, *body = tables.pop(f"By {column}")
        assert header == [column, "rows", "mean sentiment_score", "mean rating"]
        assert {line[0] for line in body} == set(frame[column])
        for name, count, score, rating in body:
            where = {column: name}
            assert int(count) == len(rows.values("rating", **where))
            assert score == shown(rows.mean("sentiment_score", **where))
            assert rating == shown(rows.mean("rating", **where))
        order = [rows.mean("sentiment_score", **{column: line[0]}) for line in body]
        assert order == sorted(order, reverse=True)
        ends[column] = (body[0][0], body[0][2], body[-1][0], body[-1][2])
    ranked = sorted(zip(scores, frame["review"], strict=True), key=lambda pair: pair[0])
    for title, picked in (("Highest", ranked[-3:]), ("Lowest", ranked[:3])):
        body = tables.pop(f"{title} sentiment_score")[1:]
        assert sorted(line[1] for line in body) == sorted(shown(score) for score, _ in picked)
        by_text = {" ".join(text.split())[:150]: score for score, text in zip(scores, frame["review"], strict=True)}
        assert all(shown(by_text[line[0][:150]]) == line[1] for line in body)
    assert tables == {}

    most, _ = counted.most_common(1)[0]
    assert sorted(lines) == sorted(
        [
            "420 rows, 7 columns.",
            f"date runs from {min(frame['date']):%Y-%m-%d} to {max(frame['date']):%Y-%m-%d}.",
            f"Most frequent sentiment: {most} ({shares[most]} of the rows).",
            f"Mean sentiment_score: {shown(rows.mean('sentiment_score'))}.",
            *(
                f"By {column}, mean sentiment_score is highest for {first} ({best}) and lowest for {last} ({worst})."
                for column, (first, best, last, worst) in ends.items()
            ),
            "None.",
        ]
    )


async def test_report_with_gaps_and_groups():
    frame = pd.DataFrame(
        {
            "city": ["Oslo", "Bergen", "Oslo", None, "Bergen", "Oslo"],
            "amount": [1200.5, 800.25, None, 4000.0, 99.75, 3100.0],
            "when": ["2026-01-05", "2026-02-01", "not a date", "2026-03-09", "2026-03-10", None],
        }
    )
    out = await ran("Total amount by city, then write a report", orders=frame)
    tables, lines = parsed(out["report"].result)
    rows = Rows(frame)
    assert tables["Numbers"][1:] == [rows.described("amount")]
    assert tables["By city"][1:] == [["(missing)", "1", "4,000"], ["Oslo", "3", "2,150"], ["Bergen", "2", "450"]]
    assert tables["group"] == [
        ["city", "rows", "amount_sum"],
        ["Oslo", "3", shown(4300.5)],
        ["(missing)", "1", "4,000"],
        ["Bergen", "2", shown(900.0)],
    ]
    assert tables["Missing values"][1:] == [["city", "1"], ["amount", "1"], ["when", "1"]]
    assert "6 rows, 3 columns." in lines


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("average rating by region", lambda r, k: r.mean("rating", region=k)),
        ("total rating by region", lambda r, k: math.fsum(r.values("rating", region=k))),
        ("median rating by region", lambda r, k: st.median(r.values("rating", region=k))),
        ("maximum rating by region", lambda r, k: max(r.values("rating", region=k))),
        ("lowest rating by region", lambda r, k: min(r.values("rating", region=k))),
    ],
)
async def test_groups(command, expected):
    frame = sample_reviews()
    table = (await ran(command, reviews=frame))["group"].result
    rows = Rows(frame)
    assert set(table["region"]) == set(frame["region"])
    for name, count, value in table.itertuples(index=False):
        assert count == len(rows.values("rating", region=name))
        assert value == pytest.approx(expected(rows, name), rel=1e-12)


async def test_top_groups_and_counts():
    frame = sample_reviews()
    table = (await ran("top 3 products by rating", reviews=frame))["group"].result
    means = {name: Rows(frame).mean("rating", product=name) for name in set(frame["product"])}
    assert list(table["product"]) == sorted(means, key=means.get, reverse=True)[:3]
    counts = (await ran("how many reviews per product", reviews=frame))["group"].result
    assert dict(zip(counts["product"], counts["rows"], strict=True)) == Counter(frame["product"])


async def test_statistics_and_profile():
    frame = sample_reviews().assign(rating=lambda f: f["rating"].astype("Int64"))
    frame.loc[frame.index[::7], "rating"] = pd.NA
    out = await ran("Summary statistics, and a profile", reviews=frame)
    line = out["statistics"].result.iloc[0].to_dict()
    numbers = [float(n) for n in frame["rating"].dropna()]
    assert (line["count"], line["missing"]) == (len(numbers), 420 - len(numbers))
    assert line["mean"] == pytest.approx(st.fmean(numbers))
    assert line["std"] == pytest.approx(st.stdev(numbers))
    assert (line["min"], line["median"], line["max"]) == (min(numbers), st.median(numbers), max(numbers))
    profile = out["profile"].result.set_index("column")
    assert profile.loc["rating", "missing"] == 60
    assert profile.loc["region", "distinct"] == 5
    assert profile.loc["region", "times"] == max(Counter(frame["region"]).values())
    assert list(profile.index) == list(frame.columns)
