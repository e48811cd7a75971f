"""Rehearsals, repairs, runs of the background and those that nobody drives, workers, history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nadg_kernel.engines.base import WorkerHealth, WorkerState
from nadg_kernel.errors import PlanError
from nadg_kernel.model import RunState, Subtask
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.offer_view import offers_json, trial_json
from nadg_kernel.panel.records import Change, RunSnapshot, Step, Trial
from nadg_kernel.panel.reducer import reduce
from nadg_kernel.panel.rules_run import would_rerun
from nadg_kernel.panel.state import PanelState
from tests.panel.hand import settle, until
from tests.panel.scenes import ONE, TWO
from tests.panel.test_parts import Change2
from tests.panel.test_state import REPORT, SCORE, play, reviewing

BAD = Subtask(id="bad", code="print('before')\nresult = 1 / 0")


def shot(state="running", revision=1, **rows):
    subtasks = {name: {"state": word} for name, word in rows.items()}
    return RunSnapshot(run_id="t1", state=RunState(state), revision=revision, elapsed_s=2.0, subtasks=subtasks)


def test_only_what_was_seen_is_tried_and_one_at_a_time():
    state = reviewing()
    with pytest.raises(PlanError, match="read the code again"):
        reduce(state, a.TryOut(digest="old"))
    trying, effects = reduce(state, a.TryOut(digest=state.plan.digest, subtask="score"))
    assert effects == (e.Rehearse(plan=state.plan, subtask="score", data=state.data),)
    with pytest.raises(PlanError, match="already"):
        reduce(trying, a.TryOut(digest=state.plan.digest))
    refused = play(trying, a.Failed(message="no worker", place=Step.REVIEW))
    assert not refused.trying


def test_a_rehearsal_tells_time_and_what_the_whole_takes_or_that_it_is_unknown():
    state = reviewing()
    trial = Trial(plan=state.plan, subtask=None, rows=200, full_rows=300, snapshot=shot(score="running"))
    state = play(state, a.TrialChanged(trial=trial))
    assert trial_json(state)["summary"] == "Rehearsing the whole plan on the first 200 of 300 rows"
    good = shot("succeeded", 2, score="succeeded", report="succeeded")
    done, effects = reduce(state, a.TrialEvent(snapshot=good, estimate_s=3.5))
    assert effects == (e.ReadTrial(run_id="t1"),)
    assert trial_json(done)["summary"].endswith("in 2.0 s. For the whole run: about 3.5 s")
    bad = play(state, a.TrialEvent(snapshot=shot("failed", 2, score="failed")))
    assert "time unknown" in trial_json(bad)["summary"]
    assert not trial_json(bad)["stale"]
    assert trial_json(play(bad, a.Drop(subtask="report")))["stale"]
    assert play(bad, a.CloseTrial()).trial is None
    assert reduce(state, a.CloseTrial())[1] == (e.StopTrial(),)


def test_one_subtask_is_tried_before_anything_is_approved(drafted):
    panel, hand = drafted(ONE, TWO, BAD)
    assert hand("try", digest=panel.state.plan.digest, subtask="double")["ok"]
    until(lambda: panel.state.trial is not None and panel.state.trial.over and panel.state.trial.previews)
    settle(panel)
    shown = panel._shell.view.live["trial"]
    assert set(shown["rows"]) == {"count", "double"}  # and not what it does not need
    assert (shown["failed"], shown["over"]) == (0, True)
    assert shown["output"]["stdout"] == "hello\n"
    assert shown["output"]["preview"] == "2"
    assert panel.state.plan.approval is None
    assert (panel.state.run, panel.state.runs) == (None, ())
    assert hand("close_trial")["ok"]
    assert hand("try", digest=panel.state.plan.digest)["ok"]
    until(lambda: panel.state.trial is not None and panel.state.trial.over)
    hand("select", subtask="bad")
    until(lambda: panel._shell.view.live["trial"]["output"].get("id") == "bad")
    assert panel._shell.view.live["trial"]["output"]["error"]["line"] == 2


def failed_run():
    state = reviewing(SCORE, REPORT)
    state = play(state, a.Approve(digest=state.plan.digest))
    seen = RunSnapshot(run_id="r1", state=RunState.FAILED, subtasks={"score": {"state": "failed"}})
    return play(state, a.Started(snapshot=seen, plan=state.plan))


def test_a_failed_subtask_is_edited_and_the_run_goes_on_with_it_and_what_needs_it():
    state = play(failed_run(), a.EditRun(subtask="score"))
    assert (state.step, state.selected, would_rerun(state)) == (Step.REVIEW, "score", ())
    state = play(state, a.EditField(subtask="score", field="code", value='result = inputs["reviews"][:1]'))
    assert would_rerun(state) == ("score", "report")
    assert offers_json(state)["goes_on"] == ["Score", "report"]
    with pytest.raises(PlanError, match="has changed since"):
        reduce(state, a.GoOn(digest="old"))
    on, effects = reduce(state, a.GoOn(digest=state.plan.digest))
    assert e.ReviseRun(run_id="r1", plan=on.plan) in effects
    assert on.plan.approved
    assert (on.step, on.run_plan) == (Step.RUN, on.plan)


def test_another_command_is_another_run():
    state = failed_run()
    other = replace(state, plan=replace(state.plan, command="something else"))
    assert would_rerun(other) == ()
    with pytest.raises(PlanError, match="no run that could go on"):
        reduce(other, a.GoOn(digest=other.plan.digest))


def test_a_repair_is_approved_by_a_click_and_the_review_follows():
    state, effects = reduce(failed_run(), a.AskRepair(subtask="score"))
    assert effects == (e.AskForRepair(number=1, run_id="r1", subtask="score"),)
    mended = state.run_plan.edit("score", code="result = 2")
    state = play(state, a.Proposed(number=1, change=Change(base=state.run_plan, plan=mended, run_id="r1")))
    assert state.run_plan["score"].code != "result = 2"
    taken, effects = reduce(state, a.TakeChange(digest=mended.digest))
    assert isinstance(effects[0], e.ReviseRun)
    assert effects[0].plan.approved
    assert taken.plan["score"].code == taken.run_plan["score"].code == "result = 2"


def test_the_planner_mends_a_run_of_the_panel(drafted):
    panel, hand = drafted(ONE, BAD)
    grid = panel._controller.grid
    grid.proposal = lambda plan: Change2(plan, plan.edit("bad", code="result = 1"))
    hand("approve", digest=panel.state.plan.digest)
    until(lambda: panel.state.run is not None and panel.state.run.state is RunState.FAILED)
    assert hand("fix", subtask="bad")["ok"]
    until(lambda: panel.state.change is not None)
    assert grid.asked == [("run-1", "bad")]
    assert hand("take", digest=panel.state.change.plan.digest)["ok"]
    settle(panel)
    assert ("revise", True) in panel._controller._performer.runs.shown.asked


def test_runs_of_the_background_are_listed_and_shown(drafted):
    panel, hand = drafted()
    for number in (1, 2):
        hand("step", to="review")
        assert hand("approve", digest=panel.state.plan.digest)["ok"]
        until(lambda: panel.state.run is not None and len(panel.state.runs) == number)  # noqa: B023
        until(lambda: panel.state.run.state is RunState.SUCCEEDED)
    assert [item.run_id for item in panel.state.runs] == ["run-2", "run-1"]
    assert hand("run", run="run-1")["ok"]
    until(lambda: panel.state.run.run_id == "run-1")


def test_a_run_that_nobody_drives_is_offered_and_taken_up_again(make, frontend, sent, tmp_path):
    panel = make(lost={"old-1": replace(reviewing().plan, subtasks=(Subtask(id="one", code="result = 1"),))})
    until(lambda: [item.run_id for item in panel.state.runs] == ["old-1"])
    settle(panel)
    (line,) = panel._shell._command._lost.children
    frontend.click(line.children[1])
    until(lambda: panel.state.run is not None and panel.state.run.state is RunState.SUCCEEDED)
    assert panel.state.step is Step.RUN
    until(lambda: panel._shell._command._lost.children == ())


def test_what_is_wrong_with_a_workers_url_is_told_at_its_field(drafted):
    panel, hand = drafted()
    hand("step", to="workers")
    assert hand("add_worker", url="http://far")["ok"]
    until(lambda: panel.state.fleet_note[0])
    settle(panel)
    fleet = panel._shell.view.offers["fleet"]
    assert (fleet["note"], fleet["refused"], fleet["busy"]) == ("http://far is not https", True, False)
    hand("add_worker", url="https://far")
    until(lambda: panel.state.fleet_note[0].startswith("added is registered"))
    hand("ping")
    until(lambda: panel.state.fleet_note[0] == "far: ready in 0.25 s")
    hand("remove_worker", worker="local-2")
    until(lambda: [worker.worker_id for worker in panel.state.workers] == ["local-1"])
    assert "Type the worker" in play(PanelState(), a.AddWorker(url=" ")).fleet_note[0]


def test_local_workers_come_first_in_the_table():
    far = WorkerState(worker_id="a-far", health=WorkerHealth.OFFLINE, url="https://far")
    near = WorkerState(worker_id="local-1", health=WorkerHealth.READY, local=True, latency_ms=2.4)
    rows = offers_json(PanelState(step=Step.WORKERS, workers=(far, near)))["fleet"]["workers"]
    assert [(row["id"], row["place"], row["latency"]) for row in rows] == [
        ("local-1", "this machine", 2),
        ("a-far", "https://far", None),
    ]


def test_the_history_is_read_anew_when_a_filter_changes(make, frontend):
    panel = make()
    page = panel._shell._history
    state, effects = reduce(PanelState(), a.FilterHistory(name="state", value="failed"))
    assert effects == (e.ReadHistory(filters={"state": "failed"}),)
    assert reduce(state, a.FilterHistory(name="state", value="failed")) == (state, ())
    assert play(state, a.FilterHistory(name="state", value="")).filters == {}
    panel._controller.send(a.FilterHistory(name="text", value="nothing"))
    until(lambda: panel.state.filters == {"text": "nothing"})
    settle(panel)
    assert "No run is like that" in page._table.value
