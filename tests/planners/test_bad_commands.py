"""Whatever is typed, the answer is a plan or an error that says what to type."""

import asyncio
import time

import pytest
from hypothesis import example, given, note, settings
from hypothesis import strategies as st

from nadg_kernel.errors import PlannerError
from nadg_kernel.model import Command, Context, DataSchema, Plan
from nadg_kernel.planners.base import Briefing
from nadg_kernel.planners.recipes import RecipesPlanner, library
from nadg_kernel.planners.recipes.clauses import MAX_CHARACTERS

REVIEWS = DataSchema(columns=("product", "review", "rating"), dtypes=("str", "str", "int64"), rows=500)
MODULES = frozenset({"pandas", "numpy", "plotly", "vaderSentiment", "pytest"})
PHRASES = [text.replace("*", "the") for recipe in library().values() for text in (*recipe.words, *recipe.weak)]


def draft(text, data=None):
    command = Command(text=text, data={"reviews": REVIEWS} if data is None else data)
    return asyncio.run(RecipesPlanner().draft(command, Briefing(context=Context(modules=MODULES))))


@pytest.mark.parametrize("text", ["", "   \n\t", "...", "?!", "\u200b"])
def test_empty_command_says_what_to_type(text):
    with pytest.raises(PlannerError, match="for example: Analyze customer sentiment"):
        draft(text)


@pytest.mark.parametrize("text", ["Hello", "Thank you!", "help", "What can you do?", "??"])
def test_nothing_asked_says_what_there_is(text):
    with pytest.raises(PlannerError, match=r"sentiment.*for example: Analyze|command is empty"):
        draft(text)


@pytest.mark.parametrize("text", ["No charts.", "Do not write a report", "without any charts or reports"])
def test_only_what_is_not_wanted(text):
    with pytest.raises(PlannerError, match="only says what is not wanted"):
        draft(text)


def test_a_command_of_100_kb_is_refused_with_its_size():
    with pytest.raises(PlannerError, match=r"102,400 characters.*Attach long text as data"):
        draft("a" * 102_400)


@pytest.mark.parametrize(
    "unit",
    [
        "sentiment, ",
        "and ",
        "make charts then ",
        "a",
        "do not ",
        "x, ",
        "after analyzing ",
        "by product ",
        "\n- chart",
        "please ",
    ],
)
def test_the_longest_command_ends(unit):
    """No command that is read at all keeps the planner busy; the bound is far above what it takes."""
    text = (unit * MAX_CHARACTERS)[:MAX_CHARACTERS]
    start = time.process_time()
    try:
        plan = draft(text)
    except PlannerError:
        plan = None
    assert time.process_time() - start < 30
    assert plan is None or 0 < len(plan) <= 80


def test_too_many_jobs_are_refused():
    with pytest.raises(PlannerError, match="at most 40"):
        draft(". ".join(f"Translate chapter {number}" for number in range(60)))


WORDS = st.sampled_from(
    [
        *PHRASES,
        "and",
        "then",
        ",",
        ".",
        "not",
        "without",
        "it",
        "from it",
        "by",
        "product",
        "reviews",
        "5",
        "é",
        "\n",
        "don't",
    ]
)


@given(st.lists(WORDS, max_size=14).map(" ".join) | st.text(max_size=200))
@example("\x00")
@example("a\ud800b")
@settings(deadline=None, max_examples=150)
def test_any_text_gives_a_plan_or_a_planner_error(text):
    try:
        plan = draft(text)
    except PlannerError as error:
        note(str(error))
        return
    no_folder = {"unknown_input"} if "tests" in plan.planner["recipes"].values() else set()
    assert {problem.code for problem in plan.problems if problem.blocks} <= {"needs_code"} | no_folder
    assert plan.goal
    assert Plan.from_json(plan.to_json()).digest == plan.digest


DTYPES = ["str", "int64", "Int64", "bool", "datetime64[us]", "category", "object", "timedelta64[ns]", "?"]
COLUMN = st.tuples(st.text(min_size=1, max_size=20), st.sampled_from(DTYPES))
COLUMNS = st.lists(COLUMN, max_size=6, unique_by=lambda pair: pair[0])


@given(COLUMNS, st.sampled_from(["frame", "text", "json", "bytes", "array", "folder"]))
@settings(deadline=None, max_examples=60)
def test_any_schema_gives_a_plan(columns, kind):
    schema = DataSchema(kind=kind, columns=tuple(c for c, _ in columns), dtypes=tuple(d for _, d in columns), rows=9)
    plan = draft("Sentiment by product, then statistics, a report, charts, average rating by region", {"t": schema})
    assert {problem.code for problem in plan.problems if problem.blocks} <= {"needs_code"}
    for item in plan.subtasks:
        compile(item.code, item.id, "exec")
