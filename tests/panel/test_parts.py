"""Split and merge, the planner's questions and changes: the rules, and what the grid is asked."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from nadg_kernel.errors import EditError, PlanError
from nadg_kernel.model import Subtask
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel import pages
from nadg_kernel.panel.offer_view import change_json, offers_json
from nadg_kernel.panel.records import Change, Step
from nadg_kernel.panel.reducer import reduce
from nadg_kernel.panel.state import answers_of
from tests.panel.hand import settle, until
from tests.panel.scenes import ONE, TWO
from tests.panel.test_state import REPORT, SCORE, plan_of, play, reviewing

LONG = Subtask(id="long", code='rows = inputs["reviews"]\nresult = len(rows)\n', inputs=("reviews",))
USER = Subtask(id="user", code='result = inputs["long"]', inputs=("long",), depends_on=("long",))


def test_a_subtask_is_split_at_a_line_and_dependents_keep_their_input():
    state = play(reviewing(LONG, USER), a.SplitAt(subtask="long", line=2))
    assert state.plan.ids == ("long_start", "long", "user")
    assert state.plan["long"].inputs == ("reviews", "long_start")
    assert state.plan["user"].depends_on == ("long",)
    assert state.selected == "long_start"
    assert not state.blocking
    assert state.plan.edits[-1].kind == "split"
    assert play(state, a.Undo()).plan.ids == ("long", "user")


def test_a_map_is_made_of_a_subtask_over_its_first_input():
    state = play(reviewing(LONG), a.SplitShards(subtask="long", count=6))
    assert (state.plan["long"].map.over, state.plan["long"].map.shards) == ("reviews", 6)
    with pytest.raises(EditError, match="take off its map"):
        reduce(state, a.SplitAt(subtask="long", line=2))
    with pytest.raises(EditError, match="nothing to divide"):
        reduce(reviewing(Subtask(id="alone", code="result = 1")), a.SplitShards(subtask="alone", count=2))


@pytest.mark.parametrize("first", ["score", "report"])
def test_neighbours_are_merged_under_the_name_of_the_later_one(first):
    order = (SCORE, REPORT) if first == "score" else (REPORT, SCORE)
    state = play(reviewing(*order), a.MergeNext(subtask=first))
    assert state.plan.ids == ("report",)
    assert state.plan["report"].inputs == ("reviews",)
    assert not state.blocking
    assert play(state, a.Undo()).plan.ids == tuple(item.id for item in order)
    with pytest.raises(EditError, match="no subtask behind"):
        reduce(state, a.MergeNext(subtask="report"))


def asked(*, revises):
    state = reviewing()
    plan = replace(state.plan, questions=("Which column?", "Which year?"))
    return replace(state, plan=plan, revises=revises)


def test_answers_are_in_the_edit_log_and_stay_when_edits_are_undone():
    state, effects = reduce(asked(revises=False), a.AnswerQuestions(answers={"Which column?": " rating ", "Who?": "x"}))
    assert answers_of(state.plan) == {"Which column?": "rating"}
    assert not [effect for effect in effects if isinstance(effect, e.AskForChange)]
    state = play(state, a.Drop(subtask="report"), a.Undo())
    assert answers_of(state.plan) == {"Which column?": "rating"}
    assert offers_json(state)["answers"] == {"Which column?": "rating"}
    with pytest.raises(EditError, match="type an answer"):
        reduce(state, a.AnswerQuestions(answers={"Which column?": "rating", "Which year?": " "}))


def test_a_planner_with_a_model_is_told_the_answers():
    state, effects = reduce(asked(revises=True), a.AnswerQuestions(answers={"Which year?": "2025"}))
    (ask,) = [effect for effect in effects if isinstance(effect, e.AskForChange)]
    assert "Which year? 2025" in ask.words
    assert (ask.plan, state.asking) == (state.plan, "changes")


def proposed():
    state = play(reviewing(), a.AskChange(words="twice"))
    new = state.plan.edit("report", code="result = 2", timeout_s=9).add(title="More", code="result = 1")
    change = Change(base=state.plan, plan=new.drop("score"), why="as you said")
    return play(state, a.Proposed(number=state.ask_number, change=change))


def test_a_proposal_changes_nothing_until_it_is_taken_and_is_one_undo():
    state = proposed()
    assert (state.asking, state.plan.ids) == ("", ("score", "report"))
    shown = change_json(state.change)
    assert [(part["title"], part["what"]) for part in shown["parts"]] == [
        ("report", "changed"),
        ("More", "added"),
        ("Score", "dropped"),
    ]
    assert ["+", "result = 2"] in shown["parts"][0]["diff"]
    assert any("timeout_s 9" in text for text in shown["parts"][0]["fields"])
    taken = play(state, a.TakeChange(digest=state.change.plan.digest))
    assert (taken.plan.ids, taken.change) == (("report", "more"), None)
    assert play(taken, a.Undo()).plan.ids == ("score", "report")
    assert play(state, a.LeaveChange()).change is None


def test_a_proposal_with_problems_may_be_taken_into_a_draft_and_not_into_a_run():
    state = proposed()
    broken = replace(state.change, plan=state.change.plan.edit("report", code="result = ("))
    assert change_json(broken)["can"]
    shown = change_json(replace(broken, run_id="r1"))
    assert not shown["can"]
    assert shown["hindrance"].startswith("It has 1 problem")


def test_a_proposal_for_another_plan_is_not_taken():
    state = proposed()
    with pytest.raises(PlanError, match="gone"):
        reduce(state, a.TakeChange(digest="other"))
    edited = play(state, a.Drop(subtask="report"))
    with pytest.raises(PlanError, match="has changed since"):
        reduce(edited, a.TakeChange(digest=state.change.plan.digest))


def test_an_answer_that_comes_after_nobody_waits_is_ignored():
    state = play(reviewing(), a.AskChange(words="twice"))
    late = a.Proposed(number=state.ask_number, change=Change(base=state.plan, plan=state.plan))
    assert play(state, a.LeaveChange(), late).change is None
    with pytest.raises(PlanError, match="being asked already"):
        reduce(state, a.AskChange(words="more"))
    failed = play(state, a.Failed(message="busy", place=Step.REVIEW, asking=True))
    assert (failed.asking, failed.notices[Step.REVIEW]) == ("", "busy")


def test_changes_are_asked_of_the_grid_in_words_or_through_a_chat(drafted):
    panel, hand = drafted(ONE, TWO)
    grid = panel._controller.grid
    grid.proposal = lambda plan: Change2(plan, plan.edit("double", code='result = inputs["count"] * 3'))
    assert hand("ask", words="three times", subtask="double")["ok"]
    until(lambda: panel.state.change is not None)
    settle(panel)
    assert grid.asked == [("three times", "double", None)]
    shown = panel._shell.view.offers["change"]
    assert hand("take", digest=shown["digest"])["ok"]
    assert panel.state.plan["double"].code.endswith("* 3")
    assert hand("prompt", words="four times")["ok"]
    until(lambda: panel.state.prompt == "prompt for four times")
    assert hand("ask", words="", answer="the chat's")["ok"]
    until(lambda: panel.state.change is not None)
    assert grid.asked[-1] == ("", None, "the chat's")


class Change2:
    """A proposal as planners give it."""

    def __init__(self, base, plan):
        self.base, self.plan, self.why, self.notes = base, plan, "", ()
        self.changed = frozenset(item.id for item in plan.subtasks if item not in base.subtasks)


def test_a_chat_drafts_by_copy_and_paste(make, frontend):
    panel = make()
    panel._controller.send(a.SetCommand(text="count"))
    panel._controller.send(a.MakePrompt())
    until(lambda: panel.state.prompt == "prompt for count")
    settle(panel)
    command = panel._shell._command
    assert command._sent_text.value == "prompt for count"
    frontend.set(command._answer, value='{"subtasks": [{"id": "one", "code": "result = 1"}]}')
    panel._controller.send(a.PasteAnswer(text=command._answer.value))
    until(lambda: panel.state.step is Step.REVIEW)
    assert (panel.state.plan.ids, panel.state.plan.command) == (("one",), "count")
    panel._controller.send(a.GoTo(step=Step.COMMAND))
    panel._controller.send(a.PasteAnswer(text="no plan at all"))
    until(lambda: panel.state.notices.get(Step.COMMAND))
    assert panel.state.drafting is None


def test_a_plan_keeps_its_estimate_only_while_it_is_the_same(drafted):
    panel, hand = drafted()
    until(lambda: panel._shell.view.offers.get("estimate") == "about 2 s")
    state = panel.state
    assert play(state, a.Drop(subtask="double")).estimate[0] != play(state, a.Drop(subtask="double")).plan.digest
    assert hand("drop", subtask="double")["ok"]
    until(lambda: panel.state.estimate[0] == panel.state.plan.digest)


def test_plans_of_the_tests_have_no_problems():
    assert not [problem for problem in plan_of(SCORE, REPORT).problems if problem.blocks]


@pytest.mark.parametrize("unknown", [None, float("nan"), pd.NaT, pd.NA])
def test_a_cell_that_nothing_is_known_of_is_empty(unknown):
    assert pages._cell("load", unknown) == ""
