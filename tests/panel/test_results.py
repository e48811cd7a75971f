"""The Results page: files that are kept without writing over anything, and what comes next after a run."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nadg_kernel.errors import DataError, EditError, PlanError
from nadg_kernel.model import RunState
from nadg_kernel.model.records import Artifact
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel import result_actions as r
from nadg_kernel.panel import result_effects as re
from nadg_kernel.panel.doing_results import Results, file_name
from nadg_kernel.panel.intents import parse
from nadg_kernel.panel.offer_view import offers_json
from nadg_kernel.panel.records import Change, RunSnapshot, Step
from nadg_kernel.panel.reducer import reduce
from nadg_kernel.panel.rules_run import would_rerun
from tests.panel.hand import settle, until
from tests.panel.test_parts import Change2
from tests.panel.test_state import REPORT, SCORE, play, reviewing


def ended():
    state = reviewing(SCORE, REPORT)
    state = play(state, a.Approve(digest=state.plan.digest))
    seen = RunSnapshot(run_id="r1", state=RunState.SUCCEEDED, subtasks={"score": {"state": "succeeded"}})
    return play(state, a.Started(snapshot=seen, plan=state.plan), a.GoTo(step=Step.RESULTS))


def asked(state, words="compare regions", **more):
    return reduce(state, r.AskNext(words=words, **more))


def test_the_next_steps_are_reviewed_and_then_the_run_goes_on_with_only_them():
    state, effects = asked(ended())
    assert effects == (re.AskForNext(number=1, run_id="r1", words="compare regions"),)
    with pytest.raises(PlanError, match="already"):
        asked(state)
    plan = state.run_plan.add(id="regions", code='result = inputs["score"]', depends_on=["score"])
    change = Change(base=state.run_plan, plan=plan, run_id="r1", follows=True, reruns=("regions",))
    state = play(state, a.Proposed(number=1, change=change))
    shown = offers_json(state)
    assert (shown["change"]["page"], shown["change"]["can"]) == ("results", True)
    taken, effects = reduce(state, a.TakeChange(digest=plan.digest))
    assert not any(isinstance(effect, e.ReviseRun) for effect in effects)
    assert (taken.step, taken.selected, taken.plan.approval) == (Step.REVIEW, "regions", None)
    assert would_rerun(taken) == ("regions",)
    assert (offers_json(taken)["goes_on"], offers_json(taken)["goes_how"]) == (["regions"], "run")
    on, effects = reduce(taken, a.GoOn(digest=taken.plan.digest))
    assert e.ReviseRun(run_id="r1", plan=on.plan) in effects
    assert play(taken, a.Undo()).plan.ids == state.plan.ids


def test_next_steps_of_another_run_are_not_taken_and_need_words():
    state = ended()
    with pytest.raises(EditError, match="what should come next"):
        asked(state, " ")
    with pytest.raises(EditError, match="paste"):
        asked(state, answer=" ")
    with pytest.raises(EditError, match="no run yet"):
        asked(reviewing())
    change = Change(base=state.run_plan, plan=state.run_plan, run_id="r0", follows=True)
    state = play(asked(state)[0], a.Proposed(number=1, change=change))
    with pytest.raises(PlanError, match="another run"):
        reduce(state, a.TakeChange(digest=change.plan.digest))


def test_next_steps_do_not_replace_the_review_of_another_plan_unseen():
    state = ended()
    other = reviewing(SCORE)
    state = play(state, a.Opened(plan=other.plan.edit("score", title="Mine"), path="mine.json"))
    plan = state.run_plan.add(id="more", code="result = 1")
    change = Change(base=state.run_plan, plan=plan, run_id="r1", follows=True)
    taken = play(asked(state)[0], a.Proposed(number=1, change=change), a.TakeChange(digest=plan.digest))
    assert taken.plan.ids == plan.ids


def test_only_what_is_known_is_kept():
    state, effects = reduce(ended(), parse({"op": "keep", "what": "report"}))
    assert effects == (re.KeepFile(run_id="r1", what="report"),)
    with pytest.raises(EditError, match="not 'all'"):
        reduce(state, r.KeepFile(what="all"))
    done = play(state, r.FileKept(text="Saved as /x"))
    assert offers_json(done)["results"]["kept"] == "Saved as /x"
    file = play(done, r.FileKept(text="Saved as /y", subtask="score"))
    assert offers_json(file)["results"]["kept"] == ""  # it is told beside the button
    assert offers_json(play(done, a.GoTo(step=Step.HISTORY)))["results"] is None


def stub(tmp_path, monkeypatch, *files):
    monkeypatch.chdir(tmp_path)

    def write(path):
        path.write_text("new")
        return path

    gave = SimpleNamespace(artifacts=tuple(Artifact(path=name, sha256=name, size=3) for name in files))
    run = SimpleNamespace(id="r1", export=write, to_notebook=write, plan=SimpleNamespace(save=write))
    run = type("Stub", (SimpleNamespace,), {"__getitem__": lambda *_: gave})(**vars(run))
    blobs = {"a/out.csv": b"one", ".hidden": b"two"}
    grid = SimpleNamespace(blobs=SimpleNamespace(get=blobs.__getitem__))
    results = Results(grid, lambda _: run)
    return lambda what, number=0: results.keep(re.KeepFile(run_id="r1", what=what, subtask="s", number=number))


def test_nothing_of_the_persons_is_written_over(tmp_path, monkeypatch):
    keep = stub(tmp_path, monkeypatch)
    (tmp_path / "nadg-r1.html").write_text("mine")
    (tmp_path / "nadg-r1_data").mkdir()
    assert keep("report").text == f"Saved as {tmp_path / 'nadg-r1-2.html'}"
    assert keep("report").text == f"Saved as {tmp_path / 'nadg-r1-3.html'}"
    assert keep("notebook").text == f"Saved as {tmp_path / 'nadg-r1-2.ipynb'}"
    assert keep("plan").text == f"Saved as {tmp_path / 'nadg-r1-plan.json'}"
    assert (tmp_path / "nadg-r1.html").read_text() == "mine"


def test_a_file_of_foreign_code_goes_into_a_folder_of_its_own(tmp_path, monkeypatch):
    keep = stub(tmp_path, monkeypatch, "a/out.csv", ".hidden", "gone")
    own = tmp_path / "nadg-r1-files"
    assert keep("file").text == f"Saved as {own / 'out.csv'}"
    assert keep("file").text == f"Saved as {own / 'out-2.csv'}"
    assert keep("file", 1).text == f"Saved as {own / 'hidden'}"
    assert (own / "out.csv").read_bytes() == b"one"
    with pytest.raises(DataError, match="not on this machine"):
        keep("file", 2)
    with pytest.raises(DataError, match="ran again"):
        keep("file", 3)


def test_a_folder_that_takes_no_files_is_told(tmp_path, monkeypatch):
    keep = stub(tmp_path, monkeypatch, "a/out.csv")
    (tmp_path / "nadg-r1-files").write_text("a file where the folder should be")
    answer = keep("file")
    assert answer.refused
    assert str(tmp_path) in answer.text


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.txt", "y.txt"),
        ("..", "file"),
        ("a\n\x1b[31m;rm.csv", "a__[31m_rm.csv".replace("[", "_")),
        ("x" * 300 + ".csv", "x" * 116 + ".csv"),
    ],
)
def test_names_of_files_are_made_plain(path, name):
    assert file_name(path) == name


def test_after_a_run_the_planner_is_asked_what_comes_next(drafted):
    panel, hand = drafted()
    grid = panel._controller.grid
    grid.follow_up = lambda run, words, *, answer=None, planner=None: Change2(
        run.plan, run.plan.add(id="more", code=f"result = {words!r}")
    )
    grid.prompt = lambda words, *, run: f"{words} after {run.id}"
    assert hand("approve", digest=panel.state.plan.digest)["ok"]
    until(lambda: panel.state.run is not None and panel.state.run.state is RunState.SUCCEEDED)
    assert hand("step", to="results")["ok"]
    assert hand("next_prompt", words="more")["ok"]
    settle(panel)
    assert panel._shell.view.offers["results"]["prompt"] == f"more after {panel.state.run.run_id}"
    assert hand("next", words="more")["ok"]
    until(lambda: panel.state.change is not None)
    assert hand("take", digest=panel.state.change.plan.digest)["ok"]
    assert hand("go_on", digest=panel.state.plan.digest)["ok"]
    settle(panel)
    assert grid.started[-1].asked == [("revise", True)]
    assert "more" in grid.started[-1].plan.ids
