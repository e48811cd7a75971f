"""Plan files through `nadg run --plan`: approved ones run, changed ones are refused, failures are results."""

from __future__ import annotations

import json

import pytest

from nadg_kernel import Plan


@pytest.fixture
def approved(nadg, write_plan):
    """An approved plan over a small table, made by the program itself."""
    (nadg.folder / "rows.csv").write_text("name,n\na,1\nb,2\n")
    write_plan(
        ("total", 'result = int(inputs["rows"]["n"].sum())'),
        ("double", 'result = 2 * inputs["total"]', "total"),
    )
    run = nadg(
        "run", "--plan", "plan.json", "--data", "rows=rows.csv", "--approve", "--save-plan", "approved.json",
        "--json", "out.json", report="out.json",
    )  # fmt: skip
    assert run.code == 0, run.err
    assert run["double"]["result"] == 6
    return nadg.folder / "approved.json"


def test_an_approved_plan_runs_refuses_and_is_approved_anew(nadg, approved):
    (nadg.folder / "more.csv").write_text("name,n\na,10\nb,20\nc,30\n")
    run = nadg("run", "--plan", approved, "--data", "rows=more.csv", "--json", "out.json", report="out.json")
    assert (run.code, run["double"]["result"]) == (0, 120)

    (nadg.folder / "other.csv").write_text("name,n,extra\na,1.5,x\n")
    other = nadg("run", "--plan", approved, "--data", "rows=other.csv")
    other.refused("column 'extra' is new", "column 'n' is float64, was int64", "--approve approves it anew")

    raw = json.loads(approved.read_text())
    raw["subtasks"][1]["code"] = 'result = 3 * inputs["total"]'
    approved.write_text(json.dumps(raw))
    edited = nadg("run", "--plan", approved, "--data", "rows=more.csv")
    edited.refused("changed since its approval", "the code of 'double' was changed from line 1 on")

    anew = nadg(
        "run", "--plan", approved, "--data", "rows=other.csv", "--approve", "--save-plan", "anew.json",
        "--json", "out.json", report="out.json",
    )  # fmt: skip
    assert anew.code == 0, anew.err
    assert "Approved anew" in anew.out
    assert "the code of 'double' was changed" in anew.out
    assert "column 'extra' is new" in anew.out
    assert anew["double"]["result"] == 3
    plan = Plan.load(nadg.folder / "anew.json")
    assert plan.approved
    assert plan.data["rows"].columns == ("name", "n", "extra")


def test_data_that_a_plan_needs_is_asked_for(nadg, approved):
    nadg("run", "--plan", approved).refused("needs the data 'rows'", "name, n", "--data rows=FILE")
    (nadg.folder / "rows2.csv").write_text("name,n\na,1\n")
    extra = nadg("run", "--plan", approved, "--data", "rows=rows.csv", "--data", "more=rows2.csv")
    extra.refused("approved without data called 'more'")


def test_a_draft_needs_approval_and_is_kept(nadg, write_plan):
    write_plan(("one", "result = 1"))
    run = nadg("run", "--plan", "plan.json", "--save-plan", "draft.json")
    run.refused("without a terminal, --approve is needed")
    assert "one" in run.out
    assert not Plan.load(nadg.folder / "draft.json").approved


def test_a_failing_subtask_is_a_result_and_code_1(nadg, write_plan):
    write_plan(
        ("good", "print('said')\nresult = 1"),
        ("bad", "x = 1\nresult = x / 0"),
        ("after", 'result = inputs["bad"]', "bad"),
    )
    run = nadg("run", "--plan", "plan.json", "--approve", "--json", "out.json", report="out.json")
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


def test_too_long_is_cancelled(nadg, write_plan):
    write_plan(("slow", "import time\ntime.sleep(60)\nresult = 1"))
    run = nadg("run", "--plan", "plan.json", "--approve", "--timeout", "1", "--json", "out.json", report="out.json")
    run.refused("after 1 s", "slow cancelled", code=1)
    assert run.report["state"] == "cancelled"
