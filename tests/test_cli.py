"""The command line without workers: arguments, plan files, JSON, errors, the notebook that `nadg lab` opens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nadg_kernel
from nadg_kernel.cli import main, planfile, report
from nadg_kernel.cli.codes import Code
from nadg_kernel.cli.console import error_line
from nadg_kernel.cli.lab import NOTEBOOK, find_or_copy, packaged_notebook
from nadg_kernel.cli.run import parse_data
from nadg_kernel.errors import DataError, MissingExtra, NadgError, PlanFileError
from nadg_kernel.model import DataSchema, Plan
from nadg_kernel.values import encode

SCHEMA = DataSchema(columns=("review", "rating"), dtypes=("str", "int64"), rows=3)


def a_plan():
    plan = Plan(command="count", data={"reviews": SCHEMA})
    plan = plan.add(id="count", title="Count", code='result = len(inputs["reviews"])')
    plan = plan.add(id="double", code='result = 2 * inputs["count"]', depends_on=["count"])
    return replace(plan, draft=plan.subtasks, edits=())


# arguments and errors


def test_version(capsys):
    assert main(["--version"]) == Code.OK
    assert capsys.readouterr().out == f"nadg {nadg_kernel.__version__}\n"


def test_help_where_nothing_is_asked(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["nadg"])
    assert main() == Code.OK
    assert "history" in capsys.readouterr().out


def test_module_is_the_same_program():
    command = [sys.executable, "-m", "nadg_kernel", "--version"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == f"nadg {nadg_kernel.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "nonsense"),
        (["run", "x", "--nonsense"], "--nonsense"),
        (["run"], "either a command in quotes or --plan FILE"),
        (["run", "x", "--plan", "plan.json"], "not both"),
        (["run", "x", "--timeout", "soon"], "--timeout"),
        (["run", "x", "--timeout", "0"], "--timeout"),
        (["run", "x", "--data", "reviews"], "NAME=FILE"),
        (["run", "x", "--data", "my reviews=a.csv"], "NAME=FILE"),
        (["run", "x", "--data", "reviews="], "NAME=FILE"),
        (["run", "x", "--data", "reviews=nowhere.csv"], "no such file: nowhere.csv"),
        (["run", "x", "--json", "nowhere/out.json"], "folder that does not exist"),
        (["run", "x", "--save-plan", "."], "is a folder"),
        (["run", "x", "--html", "nowhere/out.html"], "folder that does not exist"),
        (["history", "--state", "happy"], "one of waiting"),
        (["history", "--limit", "0"], "--limit"),
        (["worker", "--port", "70000"], "--port"),
    ],
)
def test_bad_usage_is_one_line_and_code_2(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == Code.BAD_INPUT
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.startswith("nadg: ")
    assert err.count("\n") == 1


def test_an_error_of_ours_is_one_line(capsys, monkeypatch):
    def fail(**_options):
        raise NadgError("2 problems block approval:\n  - a: no code\n  - b, line 3: no worker has foo")

    monkeypatch.setattr("nadg_kernel.cli.history.history", fail)
    assert main(["history"]) == Code.BAD_INPUT
    assert capsys.readouterr().err == ("nadg: 2 problems block approval: a: no code; b, line 3: no worker has foo\n")


def test_an_internal_error_is_no_traceback_unless_asked_for(capsys, monkeypatch):
    def fail(**_options):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("nadg_kernel.cli.history.history", fail)
    assert main(["history"]) == Code.NOT_ALL_SUCCEEDED
    err = capsys.readouterr().err
    assert "ZeroDivisionError: by zero" in err
    assert err.count("\n") == 1
    with pytest.raises(ZeroDivisionError):
        main(["--traceback", "history"])


def test_an_interrupt_is_130(capsys, monkeypatch):
    def fail(**_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("nadg_kernel.cli.history.history", fail)
    assert main(["history"]) == Code.INTERRUPTED
    assert "interrupted" in capsys.readouterr().err


def test_error_lines_carry_no_terminal_escapes(capsys):
    error_line("a \x1b[31mred\x1b[0m word\x07\nand more")
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "\x07" not in err
    assert err.count("\n") == 1


def test_data_is_read_as_pairs(tmp_path):
    (tmp_path / "a=b.csv").write_text("x\n1\n")
    assert parse_data([f"reviews={tmp_path / 'a=b.csv'}"]) == {"reviews": tmp_path / "a=b.csv"}
    with pytest.raises(DataError, match="given twice"):
        parse_data([f"reviews={tmp_path}", f"reviews={tmp_path}"])


# plan files


def test_an_approved_plan_departs_from_nothing():
    plan = a_plan().edit("count", timeout_s=5).approve()
    assert planfile.departures(plan, {"reviews": SCHEMA}) == []
    assert planfile.departures(plan, {"reviews": replace(SCHEMA, rows=9)}) == []


def test_another_schema_is_named():
    plan = a_plan().approve()
    other = DataSchema(columns=("review", "stars"), dtypes=("str", "int64"))
    found = planfile.departures(plan, {"reviews": other})
    assert found == ["data 'reviews': column 'rating' is missing", "data 'reviews': column 'stars' is new"]
    error = planfile.refuse(Path("plan.json"), plan, found)
    assert isinstance(error, DataError)
    assert "--approve approves it anew" in str(error)


def by_hand(plan, change):
    raw = json.loads(json.dumps(plan.to_json()))
    change(raw)
    return Plan.from_json(raw)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda raw: raw["subtasks"][0].update(code="x = 1\nresult = 2"),
            "the code of 'count' was changed from line 1 on",
        ),
        (lambda raw: raw["subtasks"][1]["permissions"].update(network=True), "permissions of 'double' was changed"),
        (lambda raw: raw["subtasks"].pop(), "subtask 'double' was removed"),
        (lambda raw: raw["subtasks"].append({"id": "new", "code": "result = 1"}), "subtask 'new' was added"),
        (lambda raw: raw.update(command="something else"), "its command, goal, assumptions, questions, data"),
        (lambda raw: raw["approval"].update(digest="0" * 64), "data or digest were changed"),
    ],
)
def test_what_was_changed_by_hand_is_named(change, says):
    plan = a_plan().edit("double", memory_mb=512).hold("double").move("double", 0).move("double", 1).approve()
    changed = by_hand(plan, change)
    assert not changed.approved
    assert says in "; ".join(planfile.departures(changed, {"reviews": SCHEMA}))
    error = planfile.refuse(Path("plan.json"), changed, ["x"])
    assert isinstance(error, PlanFileError)
    assert plan.approval.by in str(error)


def test_edits_of_every_kind_are_told_or_not_claimed():
    plan = a_plan().add(id="third", code="result = 3").drop("third").approve()
    changed = by_hand(plan, lambda raw: raw["subtasks"][0].update(code="result = 0"))
    assert planfile.changes_since_approval(changed) == ["the code of 'count' was changed from line 1 on"]
    merged = a_plan().merge("count", "double").approve()
    changed = by_hand(merged, lambda raw: raw["subtasks"][0].update(code="result = 0"))
    assert planfile.changes_since_approval(changed) == ["its digest differs, and its edit log does not say why"]


def test_a_title_may_change(tmp_path):
    plan = by_hand(a_plan().approve(), lambda raw: raw["subtasks"][0].update(title="Count them", priority=3))
    assert planfile.departures(plan, {"reviews": SCHEMA}) == []


def test_a_draft_takes_the_attached_data_in(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"command": "c", "subtasks": [{"id": "n", "code": 'result = len(inputs["reviews"])'}]}))
    plan = planfile.load(path, {"reviews": SCHEMA})
    assert plan.data == {"reviews": SCHEMA}
    assert plan["n"].inputs == ("reviews",)
    assert plan.problems == ()


def test_needed_data_is_asked_for_with_its_columns():
    with pytest.raises(DataError, match=r"columns review, rating\): --data reviews=FILE"):
        planfile.require_data(a_plan(), set())
    with pytest.raises(DataError, match="approved without data called 'more'"):
        planfile.require_data(a_plan().approve(), {"reviews", "more"})


# the JSON of results


def test_frames_are_columns_rows_and_a_count():
    frame = pd.DataFrame(
        {
            "when": pd.to_datetime(["2026-01-02", None], utc=True),
            "whole": pd.array([1, None], dtype="Int64"),
            "real": [0.5, float("inf")],
            "word": ["a", None],
            "raw": [b"\x00", b""],
            "long": pd.to_timedelta([1, 2], unit="s"),
        }
    )
    found = report.frame_json(frame)
    assert found["columns"] == ["when", "whole", "real", "word", "raw", "long"]
    assert found["row_count"] == 2
    assert found["rows"][0][:4] == ["2026-01-02T00:00:00+00:00", 1, 0.5, "a"]
    assert found["rows"][0][4] == {"base64": "AA==", "size": 1}
    assert found["rows"][1][:4] == [None, None, None, None]
    json.dumps(found, allow_nan=False)


def test_long_frames_are_cut_and_counted(monkeypatch):
    monkeypatch.setattr(report, "MAX_ROWS", 5)
    found = report.frame_json(pd.DataFrame({"x": range(9)}))
    assert found["rows"] == [[0], [1], [2], [3], [4]]
    assert found["row_count"] == 9


def test_an_index_that_says_something_is_kept():
    assert report.frame_json(pd.DataFrame({"x": [1]}, index=["a"])) == {
        "columns": ["index_0", "x"], "rows": [["a", 1]], "row_count": 1,
    }  # fmt: skip
    grouped = pd.DataFrame({"k": ["a", "b"], "x": [1, 2]}).groupby("k").sum()
    assert report.frame_json(grouped)["rows"] == [["a", 1], ["b", 2]]
    assert report.frame_json(pd.DataFrame({"x": [1, 2]}).iloc[1:])["columns"] == ["x"]


def test_frames_of_shards_are_one_again():
    frame = pd.DataFrame({"x": range(4)})
    found = report.encoded_json(encode([frame.iloc[:2], frame.iloc[2:]]))
    assert found == {"columns": ["x"], "rows": [[0], [1], [2], [3]], "row_count": 4}
    apart = report.encoded_json(encode([frame, frame.rename(columns={"x": "y"})]))
    assert [part["columns"] for part in apart] == [["x"], ["y"]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
        (float("nan"), None),
        (np.arange(3), [0, 1, 2]),
        (pd.Series([1, 2], name="n"), {"columns": ["n"], "rows": [[1], [2]], "row_count": 2}),
        (np.float32(0.5), 0.5),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (pd.NaT, None),
        (pd.Period("2026-01", "M"), "2026-01"),
    ],
)
def test_plain_values(value, expected):
    assert report.plain_json(value) == expected


def test_a_large_array_is_cut_with_its_shape(monkeypatch):
    monkeypatch.setattr(report, "MAX_ROWS", 3)
    assert report.plain_json(np.arange(6).reshape(2, 3)) == {"array": [0, 1, 2], "shape": [2, 3], "dtype": "int64"}


def test_a_figure_is_its_mime_bundle():
    import plotly.graph_objects as go

    found = report.encoded_json(encode({"chart": go.Figure(go.Bar(x=["a"], y=[1]))}))
    figure = found["chart"]["application/vnd.plotly.v1+json"]
    assert figure["data"][0]["type"] == "bar"
    assert figure["data"][0]["x"] == ["a"]


def test_json_text_survives_what_utf8_cannot_hold():
    assert json.loads(report.to_text({"x": "\udc80é"})) == {"x": "\udc80é"}
    report.to_text({"x": "\udc80é"}).encode()


# nadg lab and nadg worker


def test_lab_opens_what_is_there(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / NOTEBOOK).write_text("{}")
    assert find_or_copy(tmp_path) == Path("notebooks") / NOTEBOOK
    (tmp_path / NOTEBOOK).write_text("{}")
    assert find_or_copy(tmp_path) == Path(NOTEBOOK)
    assert (tmp_path / NOTEBOOK).read_text() == "{}"


def test_lab_copies_the_notebook_where_there_is_none(tmp_path):
    assert find_or_copy(tmp_path) == Path(NOTEBOOK)
    assert (tmp_path / NOTEBOOK).read_bytes() == packaged_notebook().read_bytes()
    assert b"grid.panel()" in packaged_notebook().read_bytes()


def test_lab_says_where_it_cannot_write(tmp_path, monkeypatch):
    monkeypatch.setattr("nadg_kernel.cli.lab.packaged_notebook", lambda: tmp_path / "gone.ipynb")
    with pytest.raises(NadgError, match=NOTEBOOK):
        find_or_copy(tmp_path)


def test_lab_without_jupyterlab_names_the_extra(capsys, monkeypatch):
    monkeypatch.setattr("nadg_kernel.cli.lab.importlib.util.find_spec", lambda _name: None)
    assert main(["lab"]) == Code.BAD_INPUT
    package = "jupyterlab"
    assert str(MissingExtra(package, "lab")) in capsys.readouterr().err


def test_lab_starts_jupyterlab_on_the_notebook(tmp_path, monkeypatch):
    started = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execv", lambda path, command: started.append((path, command)))
    monkeypatch.setattr(subprocess, "call", lambda command: started.append((command[0], command)) or 0)
    assert main(["lab", "--no-browser"]) in {Code.OK, Code.NOT_ALL_SUCCEEDED}
    path, command = started[0]
    assert path == sys.executable
    assert command[:4] == [sys.executable, "-m", "jupyterlab", NOTEBOOK]
    assert "--no-browser" in command
    assert "--LabApp.default_url=/lab/tree/01_control_panel.ipynb" in command  # the printed URL opens the notebook


def test_worker_serves_until_stopped(tmp_path):
    """The real service, started and stopped as a person would."""
    import urllib.request

    command = [sys.executable, "-m", "nadg_kernel", "worker", "--port", "0", "--id", "from-the-cli"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = next(line for line in process.stderr if "serves on" in line)
            assert "from-the-cli" in line
            port = int(line.split()[-1])
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
                assert json.load(answer)["worker_id"] == "from-the-cli"
        finally:
            process.terminate()
            process.stderr.read()
    assert process.returncode in {0, -15}
