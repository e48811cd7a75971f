"""Plan files through `nadg run --plan`: approved ones run, changed ones are refused, failures are results."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nadg_kernel import Plan
from nadg_kernel.model import DataSchema

ROWS = DataSchema(columns=("name", "n"), dtypes=("str", "int64"))


@pytest.fixture
def approved(quick):
    """An approved plan over a small table, and rows for it."""
    plan = Plan(command="by hand", data={"rows": ROWS})
    plan = plan.add(id="total", code='result = int(inputs["rows"]["n"].sum())')
    plan = plan.add(id="double", code='result = 2 * inputs["total"]', depends_on=["total"])
    plan = replace(plan, draft=plan.subtasks, edits=())
    (quick.folder / "rows.csv").write_text("name,n\na,10\nb,20\nc,30\n")
    (quick.folder / "other.csv").write_text("name,n,extra\na,1.5,x\n")
    return plan.approve().save(quick.folder / "approved.json")


def test_an_approved_plan_runs_without_asking(quick, approved):
    run = quick(
        "run", "--plan", approved, "--data", "rows=rows.csv", "--json", "out.json", workers=1, report="out.json"
    )
    assert (run.code, run["double"]["result"]) == (0, 120), run.err


def test_another_schema_is_refused(quick, approved):
    run = quick("run", "--plan", approved, "--data", "rows=other.csv")
    run.refused("column 'extra' is new", "column 'n' is float64, was int64", "--approve approves it anew")


def edited(approved):
    raw = json.loads(approved.read_text())
    raw["subtasks"][1]["code"] = 'result = 3 * inputs["total"]'
    approved.write_text(json.dumps(raw))


def test_a_plan_edited_since_its_approval_is_refused(quick, approved):
    edited(approved)
    run = quick("run", "--plan", approved, "--data", "rows=rows.csv")
    run.refused("changed since its approval", "the code of 'double' was changed from line 1 on")


def test_both_are_approved_anew_by_name(quick, approved):
    edited(approved)
    run = quick(
        "run", "--plan", approved, "--data", "rows=other.csv", "--approve", "--save-plan", "anew.json",
        "--json", "out.json", workers=1, report="out.json",
    )  # fmt: skip
    assert run.code == 0, run.err
    for words in ("Approved anew", "the code of 'double' was changed", "column 'extra' is new"):
        assert words in run.out
    assert run["double"]["result"] == 3
    plan = Plan.load(quick.folder / "anew.json")
    assert plan.approved
    assert plan.data["rows"].columns == ("name", "n", "extra")


def test_data_that_a_plan_needs_is_asked_for(quick, approved):
    quick("run", "--plan", approved).refused("needs the data 'rows'", "name, n", "--data rows=FILE")
    extra = quick("run", "--plan", approved, "--data", "rows=rows.csv", "--data", "more=rows.csv")
    extra.refused("approved without data called 'more'")


def test_a_draft_needs_approval_and_is_kept(quick, write_plan):
    write_plan(("one", "result = 1"))
    run = quick("run", "--plan", "plan.json", "--save-plan", "draft.json")
    run.refused("without a terminal, --approve is needed")
    assert "one" in run.out
    assert not Plan.load(quick.folder / "draft.json").approved


def test_a_failing_subtask_is_a_result_and_code_1(quick, write_plan):
    write_plan(
        ("good", "print('said')\nresult = 1"),
        ("bad", "x = 1\nresult = x / 0"),
        ("after", 'result = inputs["bad"]', "bad"),
    )
    run = quick("run", "--plan", "plan.json", "--approve", "--json", "out.json", workers=1, report="out.json")
    run.refused("bad failed", "after skipped", code=1)
    assert run.report["state"] == "failed"
    assert run.states == {"good": "succeeded", "bad": "failed", "after": "skipped"}
    assert run["good"]["stdout"] == "said\n"
    error = run["bad"]["error"]
    assert (error["type"], error["line"]) == ("ZeroDivisionError", 2)
    assert "result = x / 0" in error["traceback"]
    assert "nadg" not in error["traceback"].lower()
    assert run["bad"]["result"] is None
    assert run["after"]["error"]["type"] == "skipped"


def test_too_long_is_cancelled(quick, write_plan):
    write_plan(("slow", "import time\ntime.sleep(60)\nresult = 1"))
    run = quick(
        "run", "--plan", "plan.json", "--approve", "--timeout", "1", "--json", "out.json", workers=1, report="out.json"
    )
    run.refused("after 1 s", "slow cancelled", code=1)
    assert run.report["state"] == "cancelled"
