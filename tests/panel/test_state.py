"""The panel's rules, without a widget."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nadg_kernel.engines.base import WorkerHealth, WorkerState
from nadg_kernel.errors import EditError, PlanError, PlanHasProblems
from nadg_kernel.model import DataSchema, Plan, RunState, Subtask
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.records import Offer, RunSnapshot, Step, Suggestion
from nadg_kernel.panel.reducer import reduce
from nadg_kernel.panel.state import PanelState

REVIEWS = Offer(name="reviews", text="300 x 2", columns=("text", "rating"))


def plan_of(*subtasks):
    schema = DataSchema(columns=("text", "rating"), dtypes=("str", "int64"), rows=300)
    return Plan(command="do it", subtasks=subtasks, draft=subtasks, data={"reviews": schema})


SCORE = Subtask(id="score", title="Score", code='result = inputs["reviews"]', inputs=("reviews",))
REPORT = Subtask(id="report", code='result = len(inputs["score"])', inputs=("score",), depends_on=("score",))


def reviewing(*subtasks):
    state = PanelState(command="do it", offers=(REVIEWS,), attached=("reviews",))
    return play(state, a.Draft(), a.Drafted(number=1, plan=plan_of(*(subtasks or (SCORE, REPORT)))))


def saving(plan):
    """What every edit asks for."""
    return e.Save(plan=plan, file="draft 1"), e.Estimate(plan=plan, data=(REVIEWS,))


def play(state, *actions):
    for action in actions:
        state, _ = reduce(state, action)
    return state


def test_every_change_raises_the_revision_and_nothing_else_does():
    state = PanelState()
    changed = play(state, a.SetCommand(text="x"))
    assert changed.revision == 1
    assert play(changed, a.SetCommand(text="x"), a.Select(subtask="none")) is changed


def test_an_empty_command_is_answered_where_it_was_typed():
    state, effects = reduce(PanelState(command="  "), a.Draft())
    assert "Type what" in state.notices[Step.COMMAND]
    assert effects == ()
    assert Step.COMMAND not in play(state, a.SetCommand(text="count")).notices


def test_a_command_of_100_kb_is_read_and_a_longer_one_is_explained():
    ok, effects = reduce(PanelState(), a.Draft(command="x" * 100_000))
    assert ok.drafting
    assert len(effects) == 1
    too_long, effects = reduce(PanelState(), a.Draft(command="x" * 100_001))
    assert "Attach long text as a file" in too_long.notices[Step.COMMAND]
    assert effects == ()


def test_the_view_may_be_ahead_of_the_text_box():
    state, (effect,) = reduce(PanelState(command="ol"), a.Draft(command="old and new "))
    assert (state.command, effect.command) == ("old and new ", "old and new")


def test_a_draft_ends_in_review_saved_and_checked():
    state = PanelState(command="do it", offers=(REVIEWS,), attached=("reviews",))
    state, (ask,) = reduce(state, a.Draft())
    assert ask == e.StartDraft(number=1, command="do it", data=(REVIEWS,))
    assert reduce(state, a.Draft()) == (state, ())  # a second click does not ask twice
    state = play(state, a.Drafting(number=1, text="thinking"))
    assert state.drafting == "thinking"
    plan = plan_of(SCORE, REPORT)
    state, effects = reduce(state, a.Drafted(number=1, plan=plan))
    assert (state.step, state.selected, state.drafting) == (Step.REVIEW, "score", None)
    assert effects == (*saving(plan), e.Check(plan=plan, data=(REVIEWS,)))


def test_an_answer_to_an_older_question_is_not_taken():
    state = play(PanelState(command="x"), a.Draft(), a.Failed(message="busy", place=Step.COMMAND, number=1))
    assert state.notices == {Step.COMMAND: "busy"}
    assert state.command == "x"  # nothing that was typed is lost
    again = play(state, a.Draft())
    assert again.draft_number == 2
    assert play(again, a.Drafted(number=1, plan=plan_of(SCORE))).plan is None


def test_a_new_draft_can_be_undone_to_the_old_plan():
    first = reviewing()
    state = play(first, a.Draft(), a.Drafted(number=2, plan=plan_of(SCORE)), a.Undo())
    assert state.plan.ids == ("score", "report")
    assert play(state, a.Redo()).plan.ids == ("score",)


def test_review_opens_at_the_first_problem():
    broken = replace(REPORT, code="result = (")
    assert reviewing(SCORE, broken).selected == "report"


def test_edits_are_logged_saved_undone_and_redone():
    state = reviewing()
    state, effects = reduce(state, a.EditField(subtask="score", field="title", value="Grade"))
    assert effects == saving(state.plan)
    assert state.plan["score"].title == "Grade"
    state = play(state, a.Drop(subtask="report"), a.Undo(), a.Undo())
    assert state.plan.subtasks == (SCORE, REPORT)
    assert [edit.kind for edit in state.plan.edits] == ["edit", "drop", "undo", "undo"]
    state = play(state, a.Redo())
    assert state.plan["score"].title == "Grade"
    assert play(state, a.Move(subtask="report", by=-1)).redo == ()


def test_typing_is_one_edit_and_one_undo():
    state = reviewing()
    for text in ("result = 1", "result = 12", "result = 123"):
        state = play(state, a.EditField(subtask="score", field="code", value=text, burst="visit-1"))
    assert state.plan["score"].code == "result = 123"
    (edit,) = state.plan.edits
    assert edit.changes["code"] == (SCORE.code, "result = 123")
    assert len(state.undo) == 1
    state = play(state, a.EditField(subtask="score", field="code", value="result = 5", burst="visit-2"))
    assert len(state.undo) == 2
    assert play(state, a.Undo()).plan["score"].code == "result = 123"


def test_typing_back_leaves_no_edit():
    state = play(reviewing(), a.EditField(subtask="score", field="title", value="Scor", burst="b"))
    state = play(state, a.EditField(subtask="score", field="title", value="Score", burst="b"))
    assert (state.plan.edits, state.undo) == ((), ())


def test_a_refused_edit_changes_nothing():
    state = reviewing()
    with pytest.raises(EditError, match="taken by another"):
        reduce(state, a.EditField(subtask="score", field="id", value="report"))
    with pytest.raises(EditError, match="no subtask 'gone'"):
        reduce(state, a.Drop(subtask="gone"))
    with pytest.raises(EditError, match="no plan yet"):
        reduce(PanelState(), a.Undo())


def test_a_renamed_subtask_stays_selected():
    state = play(reviewing(), a.EditField(subtask="score", field="id", value="grade"))
    assert state.selected == "grade"
    assert state.plan["report"].depends_on == ("grade",)


def test_a_cycle_made_in_the_editor_is_a_problem_and_not_an_error():
    state = play(reviewing(), a.EditField(subtask="score", field="depends_on", value=("report",)))
    assert "wait for each other" in state.blocking[0].message
    with pytest.raises(PlanHasProblems):
        reduce(state, a.Approve(digest=state.plan.digest))
    assert play(state, a.Undo()).problems == ()


def test_a_syntax_error_is_found_at_its_line():
    state = play(reviewing(), a.EditField(subtask="score", field="code", value="x = 1\nresult = ("))
    (problem,) = state.blocking
    assert (problem.subtask, problem.line) == ("score", 2)


def test_add_duplicate_move_drop_keep_a_sensible_selection():
    state = play(reviewing(), a.AddSubtask())
    assert state.plan.ids == ("score", "new_subtask", "report")
    assert state.selected == "new_subtask"
    assert state.blocking  # it needs code
    state = play(state, a.Drop(subtask="new_subtask"))
    assert state.selected == "report"
    state = play(state, a.Duplicate(subtask="score"))
    assert state.plan.ids == ("score", "score_2", "report")
    assert state.plan["score_2"].code == SCORE.code
    assert play(state, a.Move(subtask="score_2", by=1)).plan.ids == ("score", "report", "score_2")
    assert play(state, a.Move(subtask="score", by=-1)) is state
    empty = play(state, *(a.Drop(subtask=name) for name in state.plan.ids))
    assert (empty.selected, empty.problems[0].code) == (None, "empty")


def test_a_suggestion_becomes_a_subtask():
    profile = Suggestion(title="Profile", values={"id": "profile", "code": "result = 1", "title": "Profile"})
    state = play(reviewing(), a.Suggested(suggestions=(profile,)), a.AddSubtask(suggestion=0))
    assert state.plan["profile"].code == "result = 1"
    with pytest.raises(EditError, match="suggestion is gone"):
        reduce(state, a.AddSubtask(suggestion=7))


def test_only_what_was_seen_is_approved():
    state = reviewing()
    seen = state.plan.digest
    state = play(state, a.EditField(subtask="score", field="code", value="result = 2"))
    with pytest.raises(PlanError, match="has changed since you looked"):
        reduce(state, a.Approve(digest=seen))
    state, effects = reduce(state, a.Approve(digest=state.plan.digest))
    assert state.plan.approved
    assert effects == (*saving(state.plan), e.StartRun(plan=state.plan, data=(REVIEWS,)))
    with pytest.raises(PlanError, match="under way"):
        reduce(state, a.Approve(digest=state.plan.digest))


def test_a_start_that_fails_says_so_and_can_be_tried_again():
    state = reviewing()
    state = play(state, a.Approve(digest=state.plan.digest))
    state = play(state, a.Failed(message="no worker", place=Step.REVIEW, starting=True))
    assert state.notices == {Step.REVIEW: "no worker"}
    assert not play(state, a.Approve(digest=state.plan.digest)).notices


def running(state=None):
    state = state or reviewing()
    snapshot = RunSnapshot(run_id="r1", state=RunState.RUNNING, revision=1)
    return play(state, a.Approve(digest=state.plan.digest), a.Started(snapshot=snapshot, plan=state.plan))


def test_a_run_keeps_its_own_plan_while_the_draft_is_edited():
    state = running()
    assert (state.step, state.run.run_id) == (Step.RUN, "r1")
    edited = play(state, a.EditField(subtask="score", field="code", value="result = 3"))
    assert edited.run_plan["score"].code == SCORE.code


def test_run_events_arrive_in_order_or_not_at_all():
    state = running()
    later = RunSnapshot(run_id="r1", state=RunState.RUNNING, revision=5)
    state = play(state, a.RunEvent(snapshot=later), a.RunEvent(snapshot=replace(later, revision=3)))
    assert state.run.revision == 5
    assert play(state, a.RunEvent(snapshot=replace(later, run_id="other", revision=9))) is state
    assert play(state, a.RunEvent(snapshot=replace(later, state=RunState.SUCCEEDED, revision=6))).running is False


def test_controls_are_passed_on():
    assert reduce(running(), a.Control(verb="hold", subtask="score"))[1] == (e.Steer(verb="hold", subtask="score"),)
    with pytest.raises(EditError, match="no run yet"):
        reduce(reviewing(), a.Control(verb="cancel"))


def test_data_is_offered_attached_and_forgotten_when_it_is_gone():
    state, effects = reduce(PanelState(), a.Offered(offers=(REVIEWS,)))
    assert state.attached == ("reviews",)  # the only frame
    assert effects == (e.Suggest(data=(REVIEWS,)),)
    assert reduce(state, a.Offered(offers=(REVIEWS,))) == (state, ())
    file = Offer(name="notes", text="2 KB", path="notes.txt")
    state = play(state, a.FileFound(offer=file), a.AttachData(name="reviews", on=False))
    assert state.attached == ("notes",)
    state = play(state, a.Offered(offers=()))
    assert state.offers == (file,)
    with pytest.raises(EditError, match="no data named 'reviews'"):
        reduce(state, a.AttachData(name="reviews", on=True))


def test_two_frames_are_offered_and_none_is_chosen_for_the_person():
    state = play(PanelState(), a.Offered(offers=(REVIEWS, replace(REVIEWS, name="b"))))
    assert state.attached == ()


def test_a_file_is_looked_at_before_it_is_attached():
    _, (ask,) = reduce(PanelState(offers=(REVIEWS,)), a.AttachFile(path=" a.csv "))
    assert ask == e.ReadFile(path="a.csv", taken=("reviews",))
    with pytest.raises(EditError, match="path of a file"):
        reduce(PanelState(), a.AttachFile(path=" "))


def test_workers_that_come_and_go_are_checked_against():
    ready = WorkerState(worker_id="local-1", health=WorkerHealth.READY)
    state, effects = reduce(reviewing(), a.WorkersChanged(workers=(ready,)))
    assert effects == (e.Check(plan=state.plan, data=(REVIEWS,)),)
    busy = replace(ready, running=1, latency_ms=3.0)
    assert reduce(state, a.WorkersChanged(workers=(busy,)))[1] == ()


def test_a_check_that_an_edit_overtook_is_dropped():
    state = reviewing()
    old = state.plan
    state = play(state, a.EditField(subtask="score", field="code", value="result = 9"), a.Checked(plan=old))
    assert state.plan["score"].code == "result = 9"


def test_history_is_read_when_its_page_opens():
    state, effects = reduce(PanelState(), a.GoTo(step=Step.HISTORY))
    assert effects == (e.ReadHistory(filters={}),)
    assert play(state, a.HistoryRead(rows=({"run_id": "r1"},))).history == ({"run_id": "r1"},)


def test_a_message_goes_when_it_is_dismissed():
    state = play(PanelState(), a.Failed(message="boom"))
    assert state.notices == {Step.COMMAND: "boom"}
    assert play(state, a.Dismiss()).notices == {}


def test_an_opened_plan_brings_its_command_along():
    state = play(PanelState(), a.Opened(plan=plan_of(SCORE)))
    assert (state.command, state.command_set, state.step) == ("do it", 1, Step.REVIEW)
