"""What a planner is asked from the front door: proposals change nothing, chats are checked as models are."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pandas as pd
import pytest

from nadg_kernel import Grid, Plan, PlannerError, RunState
from nadg_kernel.advice import chosen
from nadg_kernel.cli import main
from nadg_kernel.cli.codes import Code
from nadg_kernel.errors import DataError, EditError, SettingsError
from nadg_kernel.evidence import failure_text, shape
from nadg_kernel.planners.modelling import ModelPlanner
from nadg_kernel.planners.scripted import ScriptedModel, ScriptedPlanner

DRAFT = {
    "goal": "Count",
    "subtasks": [{"id": "count", "inputs": ["reviews"], "code": 'result = len(inputs["reviews"])'}],
}
FENCED = f"Here is the plan:\n```json\n{json.dumps(DRAFT)}\n```\nEnjoy."
NO_CODE = json.dumps({"subtasks": [{"id": "count", "inputs": ["reviews"], "code": "result = ("}]})
RUBBISH = "I am sorry, I cannot do that."
FRAME = pd.DataFrame({"review": ["zebra crossing", "quartz"], "stars": [5, 1]})
PLAN = (
    Plan(command="two")
    .add(id="one", code="result = 1")
    .add(id="two", code='result = inputs["one"]', depends_on=["one"])
)


def edits(*changes):
    return {"why": "as asked", "changes": [{"action": "edit", **change} for change in changes]}


class Says(ModelPlanner):
    """A planner whose model says what the test put last; `prompts` keeps what it was sent."""

    def __init__(self):
        self.answer: object = ""
        self.scripted = ScriptedModel(lambda _prompt: self.answer)
        super().__init__(self.scripted, "scripted")

    @property
    def prompts(self):
        return self.scripted.prompts


@pytest.fixture(scope="module")
def model():
    return Says()


@pytest.fixture(scope="module")
def grid(tmp_path_factory, model):
    with Grid(home=tmp_path_factory.mktemp("grid"), planner=model, local_workers=0) as grid:
        yield grid


@pytest.fixture(scope="module")
def working(tmp_path_factory, model):
    with Grid(home=tmp_path_factory.mktemp("working"), planner=model, local_workers=1) as grid:
        yield grid


# changes


def test_revise_proposes_a_diff_and_changes_nothing(grid, model):
    model.answer = edits({"id": "two", "code": 'result = inputs["one"] + 1'})
    approved = PLAN.approve()
    found = grid.revise(approved, "one more")
    assert found.base == approved
    assert approved.approved
    assert not found.plan.approved
    assert '+two code| result = inputs["one"] + 1' in found.diff()
    assert found.why == "as asked"
    assert found.changed == {"two"}
    assert "one more" in model.prompts[-1]


def test_revise_of_one_subtask_leaves_the_others_whatever_the_model_says(grid, model):
    model.answer = edits({"id": "one", "code": "result = 100"}, {"id": "two", "code": "result = 2"})
    found = grid.revise(PLAN, "make it two", "two")
    assert found.plan["one"] == PLAN["one"]
    assert found.plan["two"].code == "result = 2\n"
    assert found.notes == ("one stays as it is",)
    with pytest.raises(EditError, match="three"):
        grid.revise(PLAN, "make it two", "three")


def test_revise_without_words_or_without_a_change(grid, model):
    with pytest.raises(PlannerError, match="say in words"):
        grid.revise(PLAN)
    model.answer = RUBBISH
    with pytest.raises(PlannerError, match="no JSON object"):
        grid.revise(PLAN, "better")


def test_revise_by_chat(grid):
    text = grid.prompt("one more", plan=PLAN)
    assert "one more" in text
    assert '"id": "two"' in text
    answer = f"```json\n{json.dumps(edits({'id': 'two', 'code': 'result = 3'}))}\n```"
    asked = len(grid.planner.prompts)
    assert grid.revise(PLAN, answer=answer).plan["two"].code == "result = 3\n"
    assert len(grid.planner.prompts) == asked
    with pytest.raises(PlannerError, match="no JSON object"):
        grid.revise(PLAN, answer=RUBBISH)


def test_changes_by_chat_have_a_second_round(grid):
    broken = json.dumps(edits({"id": "two", "code": "result = ("}))
    text = grid.prompt("one more", plan=PLAN, answer=broken)
    assert "two, line 1: '(' was never closed" in text
    assert "result = (" in text
    assert "one more" in text
    assert "no JSON object" in grid.prompt("one more", plan=PLAN, answer=RUBBISH)
    good = json.dumps(edits({"id": "two", "code": "result = 3"}))
    with pytest.raises(PlannerError, match="no problems"):
        grid.prompt("one more", plan=PLAN, answer=good)


@pytest.mark.parametrize("planner", ["recipes", "chat"])
def test_a_planner_without_a_model_says_who_can(grid, monkeypatch, planner):
    monkeypatch.setattr(grid, "planner", chosen(planner, grid.settings))
    with pytest.raises(
        PlannerError, match=rf"{planner} cannot change a plan: gemini can.*chat.*grid\.prompt.*grid\.paste"
    ):
        grid.revise(PLAN, "better")


def test_a_planner_that_breaks_is_a_planner_error(grid, monkeypatch, model):
    async def breaks(*given, **more):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(model, "revise", breaks)
    with pytest.raises(PlannerError, match="scripted failed: ZeroDivisionError"):
        grid.revise(PLAN, "better")


# runs


def test_a_failing_run_is_repaired_and_only_its_branch_runs_again(working, model):
    plan = working.check(Plan(command="sum"), {"reviews": FRAME})
    plan = Plan(command="sum", data={n: a.schema for n, a in plan.context.attached.items()}, context=plan.context)
    plan = plan.add(id="load", code='result = inputs["reviews"]', inputs=["reviews"])
    plan = plan.add(id="total", code='result = inputs["load"]["rating"].sum()', depends_on=["load"])
    plan = plan.add(id="show", code="result = f\"{inputs['total']} stars\"", depends_on=["total"])
    plan = plan.add(id="rows", code='result = len(inputs["load"])', depends_on=["load"])
    run = working.run(plan.approve(), show=False).wait(60)
    assert run.state is RunState.FAILED
    with pytest.raises(PlannerError, match=r"show is skipped: what failed is total"):
        working.repair(run, "show")
    shown = working.prompt_preview(run=run, subtask="total")
    model.answer = edits(
        {"id": "total", "code": 'result = int(inputs["load"]["stars"].sum())'},
        {"id": "rows", "code": "result = 0"},
    )
    found = working.repair(run, "total")
    sent = model.prompts[-1]
    assert shown.steps[0].text == sent
    assert "KeyError: 'rating'" in sent
    text = pd.Series(["text"]).dtype  # object before pandas 3
    assert f"load: DataFrame, 2 rows x 2 columns (review {text}, stars int64)" in sent
    assert "zebra" not in sent
    assert "they are done: load, rows" in sent
    assert found.notes == ("rows stays as it is",)
    assert found.changed == {"total", "show"}
    assert run.state is RunState.FAILED
    assert run.plan["total"] == plan["total"]

    started = []
    stop = run.subscribe(lambda event: started.append((event.type, event.subtask)))
    run.revise(found.plan.approve())
    assert run.wait(60).ok
    stop()
    assert {name for kind, name in started if kind == "attempt_intended"} == {"total", "show"}
    assert run["show"].value == "6 stars"
    assert run["rows"].value == 2
    with pytest.raises(PlannerError, match="total is succeeded: nothing failed"):
        working.repair(run, "total")

    used = working.usage(run=run.id)
    assert used["subtask"].isna().all()
    assert used[["model", "calls"]].to_numpy().tolist() == [["scripted-model", 1]]
    assert used["prompt_tokens"].item() == len(sent) // 4
    shown = working.prompt_preview(run=run)
    model.answer = "# Six stars\n\nTwo rows."
    assert working.report(run) == run.report() == "# Six stars\n\nTwo rows.\n"
    assert shown.steps[0].text == model.prompts[-1] == working.prompt(run=run)
    assert "results as text" in shown.line
    assert "6 stars" in model.prompts[-1]
    assert "(succeeded)" in model.prompts[-1]


@pytest.fixture(scope="module")
def half(working):
    """A run of which one of two branches failed."""
    plan = Plan(command="halves").add(id="rows", code="result = [3, 4]")
    plan = plan.add(id="bad", code='result = inputs["rows"] / 2', depends_on=["rows"])
    return working.run(plan.approve(), show=False).wait(60)


@pytest.mark.parametrize("by", ["model", "chat"])
def test_a_follow_up_goes_on_from_what_is_there(working, model, half, by):
    words, code = "add them up", f'result = sum(inputs["rows"])  # {by}'
    answer = {
        "why": "as asked",
        "changes": [
            {"action": "add", "id": f"sum_{by}", "code": code, "depends_on": ["rows"]},
            {"action": "edit", "id": "rows", "code": "result = []"},
        ],
    }
    shown = working.prompt_preview(words, run=half)
    text = working.prompt(words, run=half)
    assert shown.steps[0].text == text
    assert "the shape of the results" in shown.line
    assert "rows: list of 2 (int)" in text
    assert "they are done: rows" in text
    if by == "model":
        model.answer = answer
        found = working.follow_up(half, words)
        assert model.prompts[-1] == text
    else:
        found = working.follow_up(half, words, answer=json.dumps(answer))
    assert found.notes == ("rows stays as it is",)
    assert found.changed == {f"sum_{by}"}
    assert "no problems" not in working.prompt(words, run=half, answer=RUBBISH)
    before = len(working.attempts(run=half.id))
    half.revise(found.plan.approve())
    half.wait(60)
    assert half[f"sum_{by}"].value == 7
    assert len(working.attempts(run=half.id)) == before + 1
    with pytest.raises(PlannerError, match="what should come next"):
        working.follow_up(half, " ")


def test_a_repair_through_a_chat(working, half):
    text = working.prompt(run=half, subtask="bad")
    assert "TypeError" in text
    assert "rows: list of 2 (int)" in text
    assert "the traceback" in working.prompt_preview(run=half, subtask="bad").line
    found = working.repair(half, "bad", answer=json.dumps(edits({"id": "bad", "code": 'result = len(inputs["rows"])'})))
    assert found.changed == {"bad"}
    half.revise(found.plan.approve())
    assert half.wait(60).ok
    assert half["bad"].value == 2
    with pytest.raises(PlannerError, match="nothing failed"):
        working.prompt(run=half, subtask="bad")


def test_a_report_needs_a_model(working, monkeypatch):
    run = working.run(Plan(command="x").add(id="a", code="result = 1").approve(), show=False).wait(60)
    monkeypatch.setattr(working, "planner", ScriptedPlanner(answers=()))
    with pytest.raises(PlannerError, match=r"scripted cannot write a report: gemini can.*grid\.paste"):
        working.report(run)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (FRAME, "DataFrame, 2 rows x 2 columns (review str, stars int64)"),
        (np.zeros((2, 3)), "ndarray of shape (2, 3), float64"),
        ([1, "secret"], "list of 2 (int, str)"),
        ({"a": "secret"}, "dict of 1 (keys: 'a')"),
        ("secret", "str of length 6"),
        (None, "NoneType"),
    ],
)
def test_a_shape_tells_no_values(value, says):
    text = shape(value)
    assert text == says or (isinstance(value, pd.DataFrame) and text == says.replace("review str", "review object"))


def test_the_text_of_a_failure():
    assert failure_text({"type": "KeyError", "message": "'x'", "traceback": "line 1\nKeyError: 'x'\n"}) == (
        "line 1\nKeyError: 'x'"
    )
    assert failure_text({"type": "lost", "message": "gone", "hint": "again"}) == "lost: gone\nagain"


# chats


def test_a_prompt_has_columns_and_no_rows(grid):
    for planner in ("chat", None):
        text = grid.prompt("Count the reviews", {"reviews": FRAME}, planner=planner)
        assert "Count the reviews" in text
        assert '"stars": "int64"' in text
        assert "zebra" not in text


def test_a_prompt_is_what_the_planner_sends_first(grid, model):
    model.answer = FENCED
    shown = grid.prompt("Count", {"reviews": FRAME})
    seen = len(model.prompts)
    grid.plan("Count", {"reviews": FRAME})
    assert model.prompts[seen] == shown
    assert grid.prompt("Count", {"reviews": FRAME}, planner="recipes") == (
        grid.prompt("Count", {"reviews": FRAME}, planner="chat")
    )


def test_a_pasted_answer_becomes_a_draft_that_can_run(working):
    plan = working.paste(FENCED, "Count", {"reviews": FRAME})
    assert plan.problems == ()
    assert plan.command == "Count"
    assert not plan.approved
    assert plan.planner["name"] == "chat"
    assert working.run(plan.approve(), show=False).wait(60)["count"].value == 2


def test_an_answer_with_problems_has_them_on_the_plan_and_a_second_round(grid):
    data = {"reviews": FRAME}
    plan = grid.paste(NO_CODE, "Count", data)
    (problem,) = [problem for problem in plan.problems if problem.blocks]
    assert problem.subtask == "count"
    text = grid.prompt("Count", data, answer=NO_CODE)
    assert problem.message in text
    assert "result = (" in text
    with pytest.raises(PlannerError, match="no problems"):
        grid.prompt("Count", data, answer=FENCED)


def test_rubbish_is_said_in_words_and_has_a_second_round(grid):
    with pytest.raises(PlannerError, match="no JSON object: 'I am sorry, I cannot"):
        grid.paste(RUBBISH, "Count", {"reviews": FRAME})
    assert "no JSON object" in grid.prompt("Count", {"reviews": FRAME}, answer=RUBBISH)
    with pytest.raises(PlannerError, match="nothing was pasted"):
        grid.prompt("Count", answer=" ")


@pytest.mark.parametrize(
    ("command", "more", "says"),
    [("", {}, "is empty"), (" ", {"plan": PLAN}, "say in words"), ("x", {"plan": PLAN, "answer": " "}, "was pasted")],
)
def test_a_prompt_of_nothing(grid, command, more, says):
    with pytest.raises(PlannerError, match=says):
        grid.prompt(command, **more)
    with pytest.raises(SettingsError, match="oracle"):
        grid.prompt("x", planner="oracle")
    with pytest.raises(DataError, match="Python names"):
        grid.paste(FENCED, "x", {"my data": 1})


# the command line


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NADG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NADG_LOCAL_WORKERS", "0")
    FRAME.to_csv("reviews.csv", index=False)
    return tmp_path


def nadg(capsys, *words):
    code = main([*words])
    return code, *capsys.readouterr()


DATA = ("--data", "reviews=reviews.csv")


def test_nadg_prompt_prints_the_prompt_alone(folder, capsys):
    code, out, err = nadg(capsys, "prompt", "Count", *DATA)
    assert (code, err) == (Code.OK, "")
    assert out.startswith("You plan work")
    assert '"stars": "int64"' in out
    assert "zebra" not in out
    (folder / "answer.txt").write_text(RUBBISH)
    code, out, err = nadg(capsys, "prompt", "Count", *DATA, "--answer", "answer.txt")
    assert (code, err) == (Code.OK, "")
    assert "no JSON object" in out
    code, out, err = nadg(capsys, "prompt", "Count", *DATA, "--samples", "1")
    assert (code, err) == (Code.OK, "")
    assert "zebra crossing,5" in out
    assert "quartz" not in out


def test_changes_to_a_plan_file_by_chat(folder, capsys, monkeypatch):
    PLAN.save(folder / "plan.json")
    broken, good = (edits({"id": "two", "code": code}) for code in ("result = (", 'result = inputs["one"] + 41'))
    for name, answer in (("broken.txt", broken), ("good.txt", good)):
        (folder / name).write_text(json.dumps(answer))
    code, out, err = nadg(capsys, "prompt", "one more", "--plan", "plan.json")
    assert (code, err) == (Code.OK, "")
    assert "one more" in out
    assert '"id": "two"' in out
    code, again, _err = nadg(capsys, "prompt", "one more", "--plan", "plan.json", "--answer", "broken.txt")
    assert code == Code.OK
    assert "was never closed" in again
    assert out.splitlines()[0] in again
    monkeypatch.setenv("NADG_LOCAL_WORKERS", "1")
    code, out, _err = nadg(
        capsys, "run", "--plan", "plan.json", "--answer", "good.txt", "--approve", "--save-plan", "new.json",
        "--max-tokens", "100",
    )  # fmt: skip
    assert code == Code.OK
    assert '+two code| result = inputs["one"] + 41' in out
    assert "2 subtasks, 2 shards" in out
    assert "42" in out
    assert Plan.load(folder / "new.json").approved


def test_nadg_run_takes_an_answer(folder, capsys, monkeypatch):
    monkeypatch.setenv("NADG_LOCAL_WORKERS", "1")
    (folder / "answer.txt").write_text("\ufeff" + FENCED, encoding="utf-8")
    code, out, _err = nadg(capsys, "run", "Count", *DATA, "--answer", "answer.txt", "--approve", "--json", "-")
    assert code == Code.OK
    assert [(item["id"], item["result"]) for item in json.loads(out)["subtasks"]] == [("count", 2)]


def test_nadg_run_shows_what_is_wrong_with_an_answer(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(NO_CODE.encode())))
    code, out, err = nadg(capsys, "run", "Count", *DATA, "--answer", "-", "--save-plan", "draft.json")
    assert code == Code.BAD_INPUT
    assert "count, line 1: '(' was never closed" in out
    assert "second round" in out
    assert err.startswith("nadg: 1 problem blocks approval")
    assert Plan.load(folder / "draft.json").approval is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "Count", *DATA, "--answer", "rubbish.txt", "--approve"], "no JSON object"),
        (["run", "Count", "--answer", "nowhere.txt"], "--answer nowhere.txt: No such file"),
        (["run", "Count", "--answer", "binary.txt"], "no UTF-8 text"),
        (["run", "--plan", "plan.json", "--answer", "rubbish.txt"], "no JSON object"),
        (["run", "--plan", "plan.json", "--samples", "3"], "nothing is drafted"),
        (["prompt", "less", "--plan", "nowhere.json"], "cannot read nowhere.json"),
        (["prompt", "less", "--plan", "plan.json", "--samples", "3"], "nothing is drafted"),
        (["prompt", ""], "the command is empty"),
        (["prompt", "Count", "--data", "reviews"], "NAME=FILE"),
    ],
)
def test_bad_input_is_one_line(folder, capsys, words, says):
    (folder / "rubbish.txt").write_text(RUBBISH)
    (folder / "binary.txt").write_bytes(b"\xff\xfe\x00")
    PLAN.save(folder / "plan.json")
    code, out, err = nadg(capsys, *words)
    assert (code, out) == (Code.BAD_INPUT, "")
    assert says in err
    assert err.count("\n") == 1
