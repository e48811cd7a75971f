"""The reviewed plan as a whole: its difference to the draft, its file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nadg_kernel.errors import EditError
from nadg_kernel.model import Plan
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.found import file_of_name, saved_plans
from nadg_kernel.panel.offer_view import offers_json
from nadg_kernel.panel.plan_diff import SHOWN_LINES, plan_diff
from nadg_kernel.panel.records import Step
from nadg_kernel.panel.reducer import reduce
from tests.panel.hand import settle, until
from tests.panel.test_state import REPORT, SCORE, plan_of, play, reviewing


def test_the_difference_is_told_by_subtask_in_words_and_lines():
    plan = plan_of(SCORE, REPORT).edit("score", code='result = inputs["reviews"].head()', timeout_s=9)
    plan = plan.drop("report").add(id="new", title="<b>New</b>", code="result = 1")
    diff = plan_diff(plan)
    assert diff["summary"] == "1 subtask changed, 1 subtask added, 1 subtask dropped"
    assert diff["more"] == 0
    heads = [text for mark, text in diff["lines"] if mark == "#"]
    assert heads == ["Score", "report", "<b>New</b>"]
    assert ["-", 'result = inputs["reviews"]'] in diff["lines"]
    assert ["+", 'result = inputs["reviews"].head()'] in diff["lines"]
    assert ["+", "result = 1"] in diff["lines"]
    assert not [text for _, text in diff["lines"] if text.startswith("order")]


def test_of_code_the_lines_around_are_told_too_and_what_is_left_out_is_marked():
    code = "".join(f"x{n} = {n}\n" for n in range(20))
    plan = plan_of(replace(SCORE, code=code))
    changed = plan.edit("score", code=code.replace("x2 = 2\n", "").replace("x15 = 15", "y = 15"), timeout_s=9)
    lines = plan_diff(changed)["lines"]
    assert lines[:6] == [
        ["#", "Score"],
        ["", "x0 = 0"],
        ["", "x1 = 1"],
        ["-", "x2 = 2"],
        ["", "x3 = 3"],
        ["", "x4 = 4"],
    ]
    assert lines[6:10] == [["\N{HORIZONTAL ELLIPSIS}", ""], ["", "x13 = 13"], ["", "x14 = 14"], ["-", "x15 = 15"]]
    assert [mark for mark, text in lines if text.startswith("limits")] == ["-", "+"]
    assert not [text for mark, text in lines if not mark and text.startswith("inputs")]


def test_another_order_alone_is_told_and_no_difference_too():
    plan = plan_of(SCORE, REPORT)
    assert plan_diff(plan) == {"summary": "Nothing differs from the draft", "lines": [], "more": 0}
    assert plan_diff(plan.move("report", 0)) == {"summary": "another order", "lines": [], "more": 0}


def test_a_long_difference_is_cut_and_what_is_left_out_is_counted():
    plan = plan_of(SCORE).edit("score", code="x = 1\n" * (SHOWN_LINES + 50))
    diff = plan_diff(plan)
    assert len(diff["lines"]) == SHOWN_LINES
    assert diff["more"] > 50


def test_the_difference_is_drawn_only_once_asked_for_and_on_the_review_page():
    state = play(reviewing(), a.EditField(subtask="score", field="title", value="Points"))
    assert offers_json(state)["diff"] is None
    state = play(state, a.ShowDiff(on=True))
    assert offers_json(state)["diff"]["summary"] == "1 subtask changed"
    assert reduce(state, a.ShowDiff(on=True)) == (state, ())
    assert offers_json(play(state, a.GoTo(step=Step.COMMAND)))["diff"] is None
    assert offers_json(play(state, a.ShowDiff(on=False)))["diff"] is None


@pytest.mark.parametrize("name", ["", "  ", "..", "a\nb", "a:b", "x" * 201])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(EditError, match="name"):
        reduce(reviewing(), a.SaveAs(name=name))


def test_a_plan_saved_under_a_name_goes_on_there_also_with_what_was_edited_meanwhile():
    state = reviewing()
    after, (asked,) = reduce(state, a.SaveAs(name=" weekly "))
    assert asked == e.SavePlanAs(plan=state.plan, file="draft 1", name="weekly")
    edited = play(after, a.EditField(subtask="score", field="title", value="Points"))
    told = a.SavedAs(plan=state.plan, file="draft 1", path="/plans/weekly.json")
    there, effects = reduce(edited, told)
    assert (there.file, there.saved) == ("/plans/weekly.json", "/plans/weekly.json")
    assert effects == (e.Save(plan=edited.plan, file="/plans/weekly.json"), e.FindPlans())
    other = replace(edited, file="draft 2")
    assert reduce(other, told) == (other, (e.FindPlans(),))


def test_names_and_paths_become_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "plans"
    assert file_of_name("weekly report", folder) == folder / "weekly report.json"
    assert file_of_name("weekly.json", folder) == folder / "weekly.json"
    assert file_of_name("reports/weekly", folder) == tmp_path / "reports" / "weekly.json"


def test_save_as_writes_lists_and_never_overwrites(drafted):
    panel, hand = drafted()
    settle(panel)
    first = panel.state.saved
    assert hand("save_as", name="weekly")["ok"]
    until(lambda: panel.state.saved.endswith("weekly.json"))
    hand("edit", subtask="count", field="title", value="Tally")
    settle(panel)
    assert Plan.load(panel.state.saved)["count"].title == "Tally"
    assert Plan.load(first)["count"].title == "Count"
    texts = [item["text"] for item in panel._shell.view.offers["files"]]
    assert texts[0].startswith("weekly · ")
    assert hand("save_as", name="weekly")["ok"], "its own file"
    other = Path(panel.state.saved).with_name("other.json")
    other.write_text(json.dumps({"command": "mine", "subtasks": []}))
    hand("save_as", name="other")
    until(lambda: Step.REVIEW in panel.state.notices)
    assert "there already" in panel.state.notices[Step.REVIEW]
    assert json.loads(other.read_text("utf-8"))["command"] == "mine"
    assert hand("open", path=first)["ok"]
    until(lambda: panel.state.plan["count"].title == "Count")
    assert panel.state.file == first


def test_a_folder_that_cannot_be_written_is_told_on_the_review_page(drafted, tmp_path):
    panel, hand = drafted()
    (tmp_path / "taken").write_text("a file")
    assert hand("save_as", name=f"{tmp_path}/taken/plan.json")["ok"]
    until(lambda: Step.REVIEW in panel.state.notices)
    assert "cannot be saved" in panel.state.notices[Step.REVIEW]


def test_plans_that_nobody_named_are_listed_by_their_time_alone(tmp_path):
    for name in ("20250101-101010-do-it", "mine"):
        Plan(command="do it", subtasks=(SCORE,)).save(tmp_path / f"{name}.json")
    texts = {Path(item.path).stem: item.text for item in saved_plans(tmp_path)}
    assert texts["mine"].startswith("mine · ")
    assert "20250101" not in texts["20250101-101010-do-it"]
    assert texts["20250101-101010-do-it"].endswith("1 subtask · do it")


def test_of_limits_and_permissions_only_what_differs_is_told():
    plan = (
        plan_of(SCORE).edit("score", timeout_s=9, network=True, code="result = {1: 2}\n").edit("score", title="{a: 1}")
    )
    lines = plan_diff(plan)["lines"]
    assert ["-", "limits: timeout_s 60"] in lines
    assert ["+", "limits: timeout_s 9"] in lines
    assert ["+", "permissions: network true"] in lines
    assert ["+", 'title: "{a: 1}"'] in lines


def test_odd_breaks_and_lines_that_look_like_heads_do_no_harm():
    plan = plan_of(SCORE).edit("score", title="a\u2028b [c]", code="order: int = 1\n[score]\n@@ -1 +1 @@\nx\x0bcy = 2")
    lines = plan_diff(plan)["lines"]
    assert [text for mark, text in lines if mark == "#"] == ["a\u2028b [c]"]
    assert ["+", "order: int = 1"] in lines
    assert ["+", "[score]"] in lines
    assert ["+", "@@ -1 +1 @@"] in lines
