"""The front door with everything real behind it: recipes, local workers, SQLite."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd
import pytest

from nadg_kernel import (
    DataError,
    Grid,
    Plan,
    PlanFileError,
    PlanHasProblems,
    PlanNotApproved,
    RunFailed,
    RunNotFound,
    RunState,
    StoreError,
    sample_reviews,
)
from tests.test_data import large_frame

COMMAND = "Analyze customer sentiment from reviews, generate a summary report, and create data visualizations"


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    with Grid(home=tmp_path_factory.mktemp("grid"), planner="recipes") as grid:
        yield grid


def small(**code: str) -> Plan:
    plan = Plan(command="small")
    for name, text in code.items():
        plan = plan.add(id=name, code=text, depends_on=[need for need in code if f'inputs["{need}"]' in text])
    return plan


def test_the_command_of_the_readme(grid):
    reviews = sample_reviews()
    plan = grid.plan(COMMAND, data={"reviews": reviews})
    assert plan.problems == ()
    assert plan["sentiment"].map is not None
    run = grid.run(plan.approve()).wait(90)
    assert run.state is RunState.SUCCEEDED, run
    scored = pd.concat(run["sentiment"].value)
    assert len(scored) == len(reviews)
    assert scored["sentiment_score"].between(-1, 1).all()
    assert f"{len(reviews)} rows" in run["report"].value
    assert len(run["charts"].displays) >= 2
    history = grid.history(run=run.id)
    assert sorted(history["subtask"]) == ["charts", "report", "sentiment"]
    assert len(grid.attempts(run=run.id)) == 2 + plan["sentiment"].map.shards
    assert run.frame()["state"].tolist() == ["succeeded"] * 3


def test_a_large_frame_goes_through_workers_exactly(grid):
    frame = large_frame()
    schema = grid.check(Plan(command="x"), {"t": frame}).context.attached["t"].schema
    plan = Plan(command="there and back", data={"t": schema})
    plan = plan.add(id="whole", code='result = inputs["t"]')
    plan = plan.add(id="parts", code='result = inputs["t"]', map={"over": "t", "shards": 3})
    plan = plan.add(id="joined", code='import pandas as pd\nresult = pd.concat(inputs["parts"])', depends_on=["parts"])
    run = grid.run(plan.approve(), {"t": frame}).wait(120)
    assert run.ok, run
    pd.testing.assert_frame_equal(run["whole"].value, frame, check_exact=True)
    pd.testing.assert_frame_equal(run["joined"].value, frame, check_exact=True, check_freq=False)


def test_a_failure_is_a_result_with_the_persons_own_traceback(grid):
    plan = small(a="result = 1", b='x = inputs["a"]\nresult = x / 0', c='result = inputs["b"]')
    run = grid.run(plan.approve()).wait(60)
    assert run.state is RunState.FAILED
    assert run.frame()["state"].tolist() == ["succeeded", "failed", "skipped"]
    error = run["b"].error
    assert (error["type"], error["line"]) == ("ZeroDivisionError", 2)
    assert "result = x / 0" in error["traceback"]
    assert "nadg" not in error["traceback"]
    with pytest.raises(RunFailed, match="ZeroDivisionError"):
        _ = run["b"].value
    fixed = plan.edit("b", code='result = inputs["a"] / 2').approve()
    run.revise(fixed)
    run.wait(60)
    assert run.state is RunState.SUCCEEDED
    assert run["c"].value == 0.5
    assert run.frame()["attempts"].tolist() == [1, 1, 1]


def test_hold_release_cancel_and_rerun(grid):
    plan = small(a="result = 1", b='result = inputs["a"] + 1').hold("b")
    run = grid.run(plan.approve()).wait(60)
    assert run.state is RunState.PAUSED
    run.hold("b", on=False)
    assert run.wait(60).results() == {"a": 1, "b": 2}
    run.rerun("b")
    assert run.wait(60).state is RunState.SUCCEEDED
    slow = grid.run(small(a="import time\nprint('up', flush=True)\ntime.sleep(60)").approve())
    slow.cancel()
    assert slow.wait(30).state is RunState.CANCELLED


def test_drafts_and_changed_plans_do_not_run(grid):
    plan = small(a="result = 1")
    with pytest.raises(PlanNotApproved, match="draft"):
        grid.run(plan)
    raw = plan.approve().to_json()
    raw["subtasks"][0]["code"] = "result = 2"
    with pytest.raises(PlanFileError, match="changed since its approval"):
        grid.run(Plan.from_json(raw))


def test_an_approved_plan_runs_on_new_rows_and_refuses_another_schema(grid):
    first = pd.DataFrame({"n": [1, 2, 3]})
    plan = grid.check(Plan(command="sum", data={}), {"t": first})
    plan = Plan(command="sum", data={"t": plan.context.attached["t"].schema})
    plan = Plan.from_json(plan.add(id="s", code='result = int(inputs["t"]["n"].sum())').approve().to_json())
    assert grid.run(plan, {"t": first}).wait(60)["s"].value == 6
    assert grid.run(plan, {"t": pd.DataFrame({"n": [10, 20]})}).wait(60)["s"].value == 30
    with pytest.raises(DataError, match="column 'n' is missing"):
        grid.run(plan, {"t": pd.DataFrame({"m": [1]})})
    with pytest.raises(DataError, match=r"needs the data 't'"):
        grid.run(plan)
    with pytest.raises(DataError, match="Python names"):
        grid.plan("sum", data={"a b": first})


def test_a_rehearsal_runs_a_draft_on_a_few_rows_without_permissions(grid):
    frame = pd.DataFrame({"n": range(1000)})
    plan = Plan(command="sum", data={"t": grid.check(Plan(command="x"), {"t": frame}).context.attached["t"].schema})
    plan = plan.add(id="s", code='result = len(inputs["t"])', network=True, hold=True)
    plan = plan.add(id="u", code='result = inputs["s"] + 1', depends_on=["s"])
    plan = plan.add(id="other", code="result = 1 / 0")
    run = grid.rehearse(plan, {"t": frame}, rows=50, subtask="u").wait(60)
    assert run.results() == {"s": 50, "u": 51}
    assert run.progress.rehearsal
    assert grid.runs(run=run.id)["rehearsal"].tolist() == [True]
    whole = grid.rehearse(plan, {"t": frame}).wait(60)
    assert whole.frame()["state"].tolist() == ["succeeded", "succeeded", "failed"]
    assert whole["s"].value == 200
    with pytest.raises(PlanNotApproved):
        grid.run(plan, {"t": frame})
    with pytest.raises(PlanHasProblems):
        grid.rehearse(plan.edit("u", code="("), {"t": frame}, subtask="u")


def test_documents(grid, tmp_path):
    run = grid.run(small(a="result = 40", b='result = inputs["a"] + 2').approve(by="ann <script>")).wait(60)
    page = run.export(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "ann &lt;script&gt;" in page
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    import nbformat

    notebook = nbformat.read(run.to_notebook(tmp_path / "plain.ipynb"), 4)
    nbformat.validate(notebook)
    scope: dict = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            exec(cell.source, scope)  # noqa: S102 - our own text
    assert scope["values"] == {"a": 40, "b": 42}
    other = grid.run(small(a="result = 41", b='result = inputs["a"] + 1').approve()).wait(60)
    compared = run.compare(other).set_index("id")
    assert compared["same_code"].tolist() == [False, False]
    assert compared["same_result"].tolist() == [False, True]


PLAIN = """
import json, sys
sys.modules["nadg_kernel"] = None  # importing it is an error
scope = {}
for source in json.load(sys.stdin):
    exec(source, scope)
print(json.dumps({name: scope["values"][name] for name in ("parts", "total")}))
"""


def test_documents_of_a_run_with_data_a_map_a_figure_and_permissions(grid, tmp_path):
    """The report is one offline file; the notebook gives the same without the package and without a worker."""
    frame = pd.DataFrame({"n": [1, 2, 3, 4], "text": ["ü", None, "<b>", "d"]})
    chart = "import plotly.graph_objects as go\nresult = go.Figure(go.Bar(x=inputs['t']['text'], y=inputs['t']['n']))"
    plan = (
        Plan(
            command="sum the parts",
            data={"t": grid.check(Plan(command="x"), {"t": frame}).context.attached["t"].schema},
        )
        .add(id="parts", code="result = int(inputs['t']['n'].sum())", inputs=("t",), map={"over": "t", "shards": 2})
        .add(id="total", code="result = sum(inputs['parts'])", depends_on=["parts"])
        .add(id="chart", code=chart, inputs=("t",), processes=True)
    )
    plan = plan.edit("total", title="Total & more", by="bob").approve(by="ann")
    run = grid.run(plan, {"t": frame}).wait(60)
    assert run.state is RunState.SUCCEEDED, run
    page = run.export(tmp_path / "report.html").read_text(encoding="utf-8")
    body = page[page.index("<body>") :]
    for said in (
        "Approved by <b>ann</b>",
        "<td>bob</td>",
        "Total &amp; more",
        "<td>processes</td>",
        "local-",
        "seccomp",
    ):
        assert said in body, said
    assert "Plotly.newPlot('fig-chart" in body
    assert not re.search(r"(?:src|href)=['\"]?(?:https?:)?//", body), "nothing is loaded from elsewhere"
    notebook = json.loads(run.to_notebook(tmp_path / "plain.ipynb").read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    done = subprocess.run(
        [sys.executable, "-c", PLAIN],
        input=json.dumps(sources),
        text=True,
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"parts": [10], "total": 10}


def test_states_of_workers_over_time(grid):
    """What runs saw of them, and what their figures make of it."""
    run = grid.run(small(a="result = 1").approve()).wait(60)
    health = grid.health(run=run.id)
    assert {*health["worker"]} == {state.worker_id for state in grid.worker_states()}
    assert {*health["state"]} == {"ready"}
    assert health["latency_ms"].notna().all()
    assert grid.health(worker="local-1", limit=1)["worker"].tolist() == ["local-1"]
    assert grid.health(state="offline", run=run.id).empty
    assert list(grid.registered().columns)[:3] == ["worker", "url", "status"]


def test_history_is_exported_for_other_tools(grid, tmp_path):
    run = grid.run(Plan(command="=1+1").add(id="a", title="=cmd()", code="result = 1").approve()).wait(60)
    table = pd.read_parquet(grid.export_history(tmp_path / "h.parquet", run=run.id))
    assert table["title"].tolist() == ["=cmd()"]
    text = grid.export_history(tmp_path / "h.csv", run=run.id).read_text(encoding="utf-8")
    assert "'=cmd()" in text
    assert ",=cmd()" not in text
    assert len(pd.read_csv(grid.export_history(tmp_path / "a.csv", "attempts"))) == len(grid.attempts())
    with pytest.raises(StoreError, match="neither"):
        grid.export_history(tmp_path / "h.xlsx")
    with pytest.raises(StoreError, match="nothing"):
        grid.export_history(tmp_path / "n.csv", run="none")
    with pytest.raises(StoreError, match="no filter 'colour'"):
        grid.history(colour="red")


def test_unknown_runs_are_named(grid):
    with pytest.raises(RunNotFound, match="no run 'nope'"):
        grid.resume("nope")


def test_without_workers_the_run_says_what_it_waits_for(tmp_path):
    with Grid(home=tmp_path, local_workers=0, planner="recipes") as grid:
        run = grid.run(small(a="result = 1").approve())
        with pytest.raises(TimeoutError, match="still running"):
            run.wait(1)
        assert "worker" in repr(run)


KILLED = """
    import os, signal, subprocess, sys
    from nadg_kernel import Grid, Plan
    def end(event):
        # On the loop's thread: whatever else happens meanwhile, this grid does not hear of it.
        if "in b" in str(event.payload):
            print(run.id, flush=True)
            subprocess.run(["pgrep", "-P", str(os.getpid())], check=True)
            os.kill(os.getpid(), signal.SIGKILL)
    grid = Grid(home=sys.argv[1], planner="recipes")
    plan = Plan(command="slow").add(id="a", code="result = 1")
    code = "import time\\nprint('in b', flush=True)\\ntime.sleep(1)\\nresult = inputs['a'] + 1"
    plan = plan.add(id="b", code=code, depends_on=["a"])
    run = grid.run(plan.approve())
    run.subscribe(end)
    run.wait(60)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_kernel_leaves_no_worker_and_its_run_can_be_resumed(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=90, check=False)
    run_id, *workers = child.stdout.split()
    assert (child.returncode, len(workers)) == (-signal.SIGKILL, 2)
    gone_within(workers, 5)
    with Grid(home=tmp_path, planner="recipes") as grid:
        assert grid.unfinished() == [run_id]
        run = grid.resume(run_id).wait(60)
        assert run.results() == {"a": 1, "b": 2}
        assert run.frame().set_index("id")["attempts"].to_dict() == {"a": 1, "b": 2}
        assert grid.unfinished() == []


def gone_within(pids, seconds):
    import time

    deadline = time.monotonic() + seconds
    while alive := [pid for pid in pids if state(pid) != "Z"]:
        assert time.monotonic() < deadline, f"still there: {alive}"
        time.sleep(0.05)


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def test_a_grid_that_nobody_closed_ends_without_a_word(tmp_path):
    code = (
        "import sys; from nadg_kernel import Grid, Plan; grid = Grid(home=sys.argv[1], planner='recipes');"
        "run = grid.run(Plan(command='x').add(id='a', code='result = 5').approve()).wait(60); print(run['a'].value)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "5", "")
