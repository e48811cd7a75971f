"""`%%nadg` and `%%subtask` in a real IPython shell, over a real grid."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from nadg_kernel import Grid, Plan, sample_reviews


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    with Grid(local_workers=1, home=tmp_path_factory.mktemp("home")) as grid:
        yield grid


@pytest.fixture
def shell(grid):
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "nadg_kernel")
    shell.user_ns["grid"] = grid
    yield shell
    shell.history_manager.end_session()
    InteractiveShell.clear_instance()


def cell(shell, text):
    """Run a cell; gives what it showed."""
    with capture_output() as shown:
        outcome = shell.run_cell(text)
    rich = "\n".join(output.data["text/plain"] for output in shown.outputs)
    return outcome, re.sub(r"\x1b\[[0-9;]*m", "", shown.stdout + shown.stderr + rich)


def test_a_cell_becomes_a_plan(shell):
    shell.user_ns["reviews"] = sample_reviews()
    shell.user_ns["other"] = pd.DataFrame({"x": [1]})
    outcome, shown = cell(shell, "%%nadg\nAnalyze the sentiment of the reviews, then write a report")
    assert outcome.success, shown
    plan = shell.user_ns["_plan"]
    assert isinstance(plan, Plan)
    assert plan.ids == ("sentiment", "report")
    assert tuple(plan.data) == ("reviews",)
    assert not plan.approved
    assert "grid.run(_plan.approve())" in shown


def test_data_is_what_the_line_says(shell):
    shell.user_ns["reviews"] = sample_reviews()
    shell.user_ns["other"] = pd.DataFrame({"x": [1, 2]})
    outcome, shown = cell(shell, "%%nadg --data other\nProfile it")
    assert outcome.success, shown
    assert tuple(shell.user_ns["_plan"].data) == ("other",)


def test_all_frames_where_the_text_names_none(shell):
    shell.user_ns.update(first=pd.DataFrame({"x": [1]}), second=pd.DataFrame({"y": [1]}), _hidden=pd.DataFrame())
    cell(shell, "%%nadg\nProfile the table")
    assert set(shell.user_ns["_plan"].data) == {"first", "second"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("%%nadg\n   ", "the cell is empty"),
        ("%%nadg --data nowhere\nProfile it", "no variable 'nowhere'"),
        ("%%nadg --colour red\nProfile it", "unrecognized arguments"),
        ("%%nadg --data 'x\nProfile it", "No closing quotation"),
        ("%%subtask\nresult = 1", "the following arguments are required"),
        ("%%subtask nowhere\nresult = 1", "no run here has a subtask 'nowhere'"),
        ("%%subtask a no-such-run\nresult = 1", "no run 'no-such-run'"),
    ],
)
def test_errors_are_one_line(shell, text, says):
    outcome, shown = cell(shell, text)
    assert not outcome.success
    assert says in shown
    assert "Traceback" not in shown


@pytest.fixture(scope="module")
def run(grid):
    plan = grid.plan("Profile the table", data={"table": pd.DataFrame({"n": [1, 2, 3]})})
    plan = Plan(command="sum", data=plan.data)
    plan = plan.add(id="total", code='result = int(inputs["table"]["n"].sum())')
    plan = plan.add(id="wrong", code='result = inputs["total"] / 0', depends_on=["total"])
    run = grid.run(plan.approve(), data={"table": pd.DataFrame({"n": [1, 2, 3]})}, show=False)
    return run.wait(60)


def test_a_subtask_runs_here_and_is_written_back(shell, run):
    assert run["wrong"].state == "failed"
    outcome, shown = cell(shell, f'%%subtask wrong {run.id}\nprogress(0.5, "half")\nresult = inputs["total"] / 2\n')
    assert outcome.success, shown
    assert shell.user_ns["_result"] == 3.0
    assert "3.0" in shown
    assert "Written back to 'wrong'" in shown
    assert run.plan["wrong"].code.endswith('result = inputs["total"] / 2\n')
    assert run.plan.edits[-1].kind == "edit"
    assert not run.plan.approved
    assert "result" not in shell.user_ns, "it runs beside the notebook's own names"
    run.revise(shell.user_ns["_plan"].approve())
    run.wait(60)
    assert run["wrong"].value == 3.0
    assert run.ok


def test_a_result_goes_to_the_next_cell_and_back(shell, run, monkeypatch):
    cells = []
    monkeypatch.setattr(shell, "set_next_input", cells.append)
    run["total"].to_cell()
    assert cells == [f"%%subtask total {run.id}\n{run.plan['total'].code}"]
    outcome, shown = cell(shell, cells[0])
    assert outcome.success, shown
    assert shell.user_ns["_result"] == 6
    outcome, shown = cell(shell, "%%subtask total\nresult = 7")
    assert outcome.success, shown
    assert shell.user_ns["_result"] == 7
    assert run.plan["total"].code == "result = 7\n"


def test_code_as_it_was_is_no_edit(shell, run):
    before = run.plan
    outcome, shown = cell(shell, f"%%subtask total {run.id}\n{before['total'].code}")
    assert outcome.success, shown
    assert run.plan is before
    assert "is as it was" in shown


def test_code_that_fails_shows_its_own_line_and_is_not_written_back(shell, run):
    before = run.plan
    outcome, shown = cell(shell, f'%%subtask total {run.id}\nx = 1\nresult = inputs["nothing"]\n')
    assert isinstance(outcome.error_in_exec, KeyError)
    assert 'result = inputs["nothing"]' in shown
    assert run.plan is before


def test_unknown_subtask_lists_what_there_is(shell, run):
    _outcome, shown = cell(shell, f"%%subtask nothing {run.id}\nresult = 1")
    assert "there are: total, wrong" in shown
