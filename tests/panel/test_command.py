"""The Command page around the command: planners, rows that may be seen, earlier commands, recipes by a click."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from nadg_kernel.errors import EditError
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.pages import short_text
from nadg_kernel.panel.records import Offer, PlannerItem, Step, Suggestion
from nadg_kernel.panel.reducer import reduce
from nadg_kernel.panel.state import PanelState
from nadg_kernel.settings import Secret
from tests.panel.hand import settle, until
from tests.panel.scenes import COMMAND, REVIEWS
from tests.panel.test_state import play, reviewing

FRAME = Offer(name="reviews", text="300 x 2", columns=("text", "rating"))
OTHER = Offer(name="others", text="9 x 1", columns=("text",))
OWN = PlannerItem(name="", text="recipes")
MODEL = PlannerItem(name="gemini", text="gemini", sends=True, revises=True)
CHAT = PlannerItem(name="chat", text="chat", sends=True, copies=True)
PROFILE = Suggestion(title="Profile", values={"id": "profile", "code": "result = 1", "inputs": ["reviews"]})


def ready(**more):
    state = PanelState(command="do it", offers=(FRAME, OTHER), attached=("reviews",), suggestions=(PROFILE,), **more)
    return play(state, a.PlannersFound(items=(OWN, MODEL, CHAT)))


def test_the_chosen_planner_is_asked_and_revises_where_it_can():
    state = ready()
    assert not state.revises
    state = play(state, a.ChoosePlanner(name="gemini"))
    assert state.revises
    _, (asked,) = reduce(state, a.Draft())
    assert asked == e.StartDraft(number=1, command="do it", data=(FRAME,), planner="gemini")
    with pytest.raises(EditError, match="no planner 'nobody'"):
        reduce(state, a.ChoosePlanner(name="nobody"))


def test_rows_are_seen_only_once_allowed_and_only_by_the_planner_and_of_the_data_that_were_meant():
    state = play(ready(), a.ChoosePlanner(name="gemini"))
    assert state.allowed == {}
    state = play(state, a.AllowRows(on=True))
    assert state.allowed == {"reviews": 3}
    _, (asked,) = reduce(state, a.Draft())
    assert asked.samples == {"reviews": 3}
    assert play(state, a.AttachData(name="others", on=True)).allowed == {}, "nobody was asked about these"
    assert play(state, a.ChoosePlanner(name="chat")).allowed == {}
    assert play(state, a.AllowRows(on=False)).allowed == {}
    assert play(state, a.ChoosePlanner(name="")).allowed == {}


def test_a_planner_on_this_machine_is_given_no_rows():
    assert play(ready(), a.AllowRows(on=True)).allowed == {}


def test_with_a_chat_the_text_to_copy_is_made_instead_of_a_draft():
    state, (asked,) = reduce(play(ready(), a.ChoosePlanner(name="chat")), a.Draft())
    assert asked == e.WritePrompt(command="do it", data=(FRAME,), planner="chat")
    assert state.drafting is None


def test_what_would_be_sent_is_shown_anew_when_it_changes():
    state = play(ready(), a.ChoosePlanner(name="gemini"), a.PromptMade(text="as it was"))
    _, (asked,) = reduce(state, a.AllowRows(on=True))
    assert asked == e.WritePrompt(command="do it", data=(FRAME,), planner="gemini", samples={"reviews": 3})
    assert reduce(ready(), a.ChoosePlanner(name="gemini"))[1] == ()


def test_a_recipe_begins_a_plan_or_goes_into_it():
    state, effects = reduce(ready(), a.UseRecipe(suggestion=0))
    assert effects == (e.BeginPlan(number=1, command="do it", data=(FRAME,), values=PROFILE.values),)
    assert reduce(state, a.UseRecipe(suggestion=0)) == (state, ())  # a second click does not begin a second plan
    untitled = replace(ready(), command=" ")
    assert reduce(untitled, a.UseRecipe(suggestion=0))[1][0].command == "Profile"
    there = replace(reviewing(), suggestions=(PROFILE,))
    after = play(there, a.UseRecipe(suggestion=0))
    assert set(after.plan.ids) == {"score", "report", "profile"}
    with pytest.raises(EditError, match="suggestion is gone"):
        reduce(there, a.UseRecipe(suggestion=1))


def test_a_recipe_over_other_data_than_the_plans_begins_a_plan_of_its_own():
    elsewhere = replace(PROFILE, values=dict(PROFILE.values, inputs=["others"]))
    there = replace(reviewing(), suggestions=(elsewhere,))
    state, (asked,) = reduce(there, a.UseRecipe(suggestion=0))
    assert isinstance(asked, e.BeginPlan)
    assert state.plan is there.plan


def test_long_commands_are_cut_on_their_buttons():
    assert short_text("one\ntwo  three") == "one two three"
    assert short_text("x" * 61) == "x" * 59 + "…"


def test_a_click_on_a_recipe_makes_a_plan_that_can_be_approved(make, frontend):
    panel = make()
    page = panel._shell._command
    until(lambda: page._recipes.children)
    frontend.click(page._recipes.children[0])
    until(lambda: panel.state.step is Step.REVIEW)
    settle(panel)
    (subtask,) = panel._shell.view.plan["subtasks"]
    assert subtask["inputs"] == ["reviews"]
    assert not subtask["change"]
    assert panel._shell.view.plan["approval"]["can"]
    frontend.click(page._recipes.children[1])
    until(lambda: len(panel.state.plan) == 2)


def test_commands_of_earlier_runs_fill_the_text(make, frontend):
    panel = make()
    page, grid = panel._shell._command, panel._controller.grid
    settle(panel)
    texts = [f"command {number}" for number in range(10)]
    grid.runs = lambda **_filters: pd.DataFrame({"command": [texts[0], texts[0], *texts[1:]]})
    panel._controller.send(a.GoTo(step=Step.COMMAND))
    until(lambda: len(page._recent.children) == 8)
    frontend.click(page._recent.children[1])
    until(lambda: page._command.value == "command 1")
    assert panel.state.command == "command 1"


def test_the_planner_line_offers_what_is_there_and_asks_about_rows(make, frontend):
    panel = make()
    line, grid = panel._shell._command._planner, panel._controller.grid
    settle(panel)
    assert [name for _, name in line.choice.options] == ["", "chat", "recipes"]
    until(lambda: panel.state.attached == ("reviews",))
    settle(panel)
    assert line.rows.description == "Let it see the first 3 rows of reviews"
    assert not line.rows.value
    frontend.set(line.rows, value=True)
    until(lambda: panel.state.rows_allowed)
    frontend.set(panel._shell._command._command, value=COMMAND)
    frontend.click(panel._shell._command._draft)
    until(lambda: grid.drafts)
    assert grid.drafts == [(None, {"reviews": 3})]
    frontend.set(line.choice, index=2)
    until(lambda: panel.state.planner == "recipes")
    settle(panel)
    assert line.rows.layout.display == "none"
    assert "planner <b>recipes</b>" in panel._shell._status.value


def test_gemini_is_offered_with_a_key(make, monkeypatch):
    panel = make(namespace={"reviews": REVIEWS})
    grid = panel._controller.grid
    settle(panel)
    grid.settings = replace(grid.settings, gemini_api_key=Secret("k"))
    panel._controller._performer.perform(e.FindPlanners())
    until(lambda: "gemini" in {item.name for item in panel.state.planners})
