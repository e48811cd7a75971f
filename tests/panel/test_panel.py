"""The whole panel over a grid without workers, driven by what a front end would send."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import ipywidgets as w
import pytest

from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.errors import PlannerError
from nadg_kernel.model import DataSchema, Plan
from nadg_kernel.panel import Panel
from nadg_kernel.panel import actions as a
from nadg_kernel.panel.records import Step
from tests.panel.fake_grid import FakeGrid
from tests.panel.hand import Hand, passed, settle, until
from tests.panel.scenes import COMMAND, ONE, REVIEWS, TWO


def find(root, name):
    """The first widget below with this class."""
    todo = [root]
    while todo:
        widget = todo.pop(0)
        if name in getattr(widget, "_dom_classes", ()):
            return widget
        todo += getattr(widget, "children", ())
    raise AssertionError(f"no widget with class {name}")


def test_frames_of_the_notebook_are_offered_and_the_only_one_is_attached(make):
    panel = make(namespace={"reviews": REVIEWS, "_hidden": REVIEWS, "number": 3})
    until(lambda: panel.state.attached == ("reviews",))
    settle(panel)
    assert panel._shell._command._pick_of["reviews"].description == "reviews · 2 x 2: text, rating"
    assert panel.state.suggestions


def test_a_frame_made_later_is_offered_at_the_next_tick(make, frontend, sent):
    namespace = {}
    panel = make(namespace=namespace)
    namespace["late"] = REVIEWS
    frontend.send(panel._shell.view, op="tick", rev=panel.state.revision)
    until(lambda: [offer.name for offer in panel.state.offers] == ["late"])


def test_typing_and_clicking_draft(make, frontend):
    panel = make()
    command = find(panel, "nadg-command")
    frontend.set(command, value=COMMAND)
    until(lambda: panel.state.command == COMMAND)
    frontend.click(find(panel, "nadg-act1"))
    until(lambda: panel.state.step is Step.REVIEW)
    settle(panel)
    assert command.value == COMMAND
    assert [item["id"] for item in panel._shell.view.plan["subtasks"]] == ["count", "double"]
    assert panel._shell.view.live["selected"] == "count"


def test_a_click_on_a_checkbox_is_an_intent_and_what_the_panel_sets_is_not(make, frontend):
    panel = make(namespace={"a": REVIEWS, "b": REVIEWS})
    until(lambda: set(panel._shell._command._pick_of) == {"a", "b"})
    frontend.set(panel._shell._command._pick_of["b"], value=True)
    until(lambda: panel.state.attached == ("b",))
    frontend.set(panel._shell._command._pick_of["b"], value=False)
    until(lambda: panel.state.attached == ())


def test_the_plan_is_on_disk_at_every_edit(drafted):
    panel, hand = drafted()
    assert hand("edit", subtask="count", field="title", value="Tally", burst="b")["ok"]
    settle(panel)
    (path,) = (panel._controller.grid.settings.home / "plans").glob("*.json")
    assert str(path) == panel.state.saved
    assert Plan.load(path)["count"].title == "Tally"
    hand("undo")
    settle(panel)
    assert Plan.load(path)["count"].title == "Count"


def test_a_refused_edit_is_answered_with_words_and_changes_nothing(drafted):
    panel, hand = drafted()
    before = panel.state
    answer = hand("edit", subtask="count", field="timeout_s", value="soon")
    assert (answer["ok"], answer["error"]) == (False, "timeout in seconds: a number, not 'soon'")
    assert panel.state.plan is before.plan
    assert "taken" in hand("edit", subtask="count", field="id", value="double")["error"]


def test_an_acknowledgement_comes_after_the_state_that_it_is_about(drafted, sent):
    _, hand = drafted()
    sent.clear()
    answer = hand("edit", subtask="count", field="title", value="Tally")
    updates = [data["state"] for _, data in sent if data.get("method") == "update" and "live" in data.get("state", {})]
    assert updates[-1]["live"]["rev"] >= answer["rev"]
    contents = [data.get("content", {}).get("op", "update") for _, data in sent]
    assert contents[:3] == ["patch", "update", "ack"]


def test_from_command_to_results(drafted):
    panel, hand = drafted()
    assert hand("approve", digest=panel.state.plan.digest)["ok"]
    until(lambda: panel.state.run is not None and panel.state.run.state == "succeeded")
    settle(panel)
    live = panel._shell.view.live
    assert (live["run"]["done"], live["run"]["counts"]) == (2, {"succeeded": 2})
    assert live["output"]["stdout"] == "hello\n"
    hand("step", to="results")
    until(lambda: len(panel.state.results) == 2)
    settle(panel)
    outputs = [box.children[1].outputs for box in panel._shell._results.children]
    assert outputs[1][0]["data"] == {"text/plain": "4"}
    assert repr(panel) == "Panel(results, 2 subtasks, run run-1 succeeded)"
    hand("step", to="history")
    until(lambda: "run-1" in panel._shell._history._table.value)


def test_a_failure_is_shown_at_its_subtask_and_what_depends_on_it_is_skipped(drafted):
    panel, hand = drafted(replace(ONE, code="x = 1\nraise ValueError('no <b>good</b>')"), TWO)
    hand("approve", digest=panel.state.plan.digest)
    until(lambda: panel.state.run is not None and panel.state.run.state == "failed")
    settle(panel)
    live = panel._shell.view.live
    assert live["run"]["counts"] == {"failed": 1, "skipped": 1}
    assert (live["output"]["error"]["type"], live["output"]["error"]["line"]) == ("ValueError", 2)
    hand("step", to="results")
    until(lambda: panel._shell._results.children)
    html = panel._shell._results.children[0].children[1].outputs[0]["data"]["text/html"]
    assert "&lt;b&gt;good" in html


def test_controls_reach_the_run(drafted):
    panel, hand = drafted(step_s=30)
    hand("approve", digest=panel.state.plan.digest)
    until(lambda: panel.state.run is not None)
    assert hand("control", verb="hold", subtask="double")["ok"]
    assert hand("control", verb="release")["ok"]
    settle(panel)
    assert panel._controller.grid.started[0].asked == [("hold", "double"), ("release", None)]
    refused = hand("approve", digest=panel.state.plan.digest)
    assert "under way" in refused["error"]


def test_the_planners_error_is_told_on_the_command_page_and_the_command_stays(make, frontend, sent):
    panel = make(error=PlannerError("the model is <busy>"))
    Hand(panel, frontend, sent)("draft", command=COMMAND)
    until(lambda: Step.COMMAND in panel.state.notices)
    settle(panel)
    assert panel._shell._messages[Step.COMMAND].value == "<div class='nadg-problem'>the model is &lt;busy&gt;</div>"
    assert (panel.state.command, panel.state.drafting) == (COMMAND, None)


def test_an_error_of_ours_is_shown_and_logged_and_the_panel_goes_on(make, frontend, sent, caplog):
    panel = make(error=ZeroDivisionError("oops"))
    hand = Hand(panel, frontend, sent)
    hand("draft", command=COMMAND)
    until(lambda: Step.COMMAND in panel.state.notices)
    assert "NADG itself (ZeroDivisionError: oops)" in panel.state.notices[Step.COMMAND]
    assert any(record.exc_info for record in caplog.records)
    assert hand("step", to="workers")["ok"]


def test_a_message_that_makes_no_sense_is_answered(drafted):
    _, hand = drafted()
    assert "does not know" in hand("explode")["error"]
    assert "NADG itself" in hand("move", subtask="count", by="far")["error"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.csv", None, "no such file"),
        ("empty.csv", b"", "is empty"),
        ("latin.csv", "a\ncaf\xe9\n".encode("latin-1"), "is not UTF-8"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3\n", "line 3"),
    ],
)
def test_a_bad_file_is_explained_where_its_path_was_typed(make, frontend, tmp_path, name, content, words):
    panel = make()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    frontend.set(find(panel, "nadg-path"), value=str(tmp_path / name))
    frontend.click(panel._shell._command._attach)
    until(lambda: Step.COMMAND in panel.state.notices)
    assert words in panel.state.notices[Step.COMMAND]
    assert find(panel, "nadg-path").value.endswith(name)


def test_a_file_is_attached_and_reaches_the_planner(make, frontend, sent, tmp_path):
    (tmp_path / "2 reviews.csv").write_text("text,rating\ngood,5\n")
    panel = make(namespace={})
    hand = Hand(panel, frontend, sent)
    assert hand("attach", path=str(tmp_path / "2 reviews.csv"))["ok"]
    until(lambda: panel.state.attached == ("data_2_reviews",))
    hand("draft", command=COMMAND)
    until(lambda: panel.state.plan is not None)
    assert panel.state.plan.data["data_2_reviews"].columns == ("text", "rating")


def test_a_frame_that_is_gone_is_named(make, frontend, sent):
    namespace = {"reviews": REVIEWS}
    panel = make(namespace=namespace)
    until(lambda: panel.state.attached)
    del namespace["reviews"]
    Hand(panel, frontend, sent)("draft", command=COMMAND)
    until(lambda: Step.COMMAND in panel.state.notices)
    assert "no 'reviews' any more" in panel.state.notices[Step.COMMAND]


def test_workers_that_go_change_strip_table_and_approval(drafted):
    panel, hand = drafted()
    grid = panel._controller.grid
    assert panel._shell.view.plan["approval"]["can"]
    grid.tell_workers(*(replace(state, health=WorkerHealth.OFFLINE, reason="<gone>") for state in grid.states))
    until(lambda: "0 of 2" in panel._shell._status.value)
    settle(panel)
    assert not panel._shell.view.plan["approval"]["can"]
    hand("step", to="workers")
    assert panel._shell.view.offers["fleet"]["workers"][0]["reason"] == "<gone>"


def test_workers_that_become_ready_while_a_panel_opens_are_not_overwritten(sent, tmp_path):
    grid = FakeGrid(tmp_path)
    ready = grid.states
    grid.states = tuple(replace(state, health=WorkerHealth.WAKING) for state in ready)
    held, go = threading.Event(), threading.Event()
    grid.loop.call(lambda: (held.set(), go.wait(20)))  # the loop is busy while the panel is made
    assert held.wait(20)
    panel = Panel(grid, {})
    grid.states = ready  # the change itself was told before anybody listened
    go.set()
    until(lambda: panel.state.workers == ready)
    panel.close()
    grid.close()


def test_what_changes_after_a_panel_was_closed_disturbs_nobody(drafted, caplog):
    panel, _ = drafted()
    controller = panel._controller
    panel.close()
    controller.send(a.WorkersChanged(workers=()))  # as at the end of a kernel
    passed(controller.grid.loop)
    assert controller.state.workers == ()
    assert "could not take" not in caplog.text


def test_a_view_that_missed_something_gets_everything_again(drafted, sent):
    panel, hand = drafted()
    sent.clear()
    hand.frontend.send(hand.view, op="tick", rev=panel.state.revision)
    until(lambda: sent)
    ((_, tock),) = sent
    assert tock["content"] == {"op": "tock", "rev": panel.state.revision}
    hand.frontend.send(hand.view, op="tick", rev=-1)
    until(lambda: len(sent) == 3)
    assert set(sent[1][1]["state"]) == {"plan", "live", "offers"}


def test_many_changes_are_shown_at_most_ten_times_a_second(drafted, sent):
    panel, hand = drafted()
    sent.clear()
    began = time.monotonic()
    for number in range(200):
        hand.frontend.send(hand.view, op="edit", subtask="count", field="title", value=f"T{number}", ref=f"x{number}")
    until(lambda: hand.answer("x199"))
    seconds = time.monotonic() - began
    pushes = [data for _, data in sent if "plan" in data.get("state", {})]
    assert len(pushes) <= 10 * seconds + 2
    assert panel._shell.view.plan["subtasks"][0]["title"] == "T199"


def test_a_closed_grid_is_said_in_the_panel(make, frontend):
    panel = make()
    panel._controller.grid.close()
    frontend.click(find(panel, "nadg-act1"))
    assert "grid of this panel is closed" in panel._shell._messages[Step.COMMAND].value


def test_a_saved_plan_is_continued_in_its_file_with_the_notebooks_data(make, frontend, sent, tmp_path):
    (tmp_path / "plans").mkdir()
    schema = DataSchema(columns=("text", "rating"), dtypes=("str", "int64"), rows=2)
    path = Plan(command="count again", subtasks=(ONE,), data={"reviews": schema}).save(tmp_path / "plans" / "old.json")
    (tmp_path / "plans" / "other.json").write_text("[]")
    panel = make()
    dropdown = panel._shell._command._saved
    until(lambda: len(dropdown.options) == 2)
    frontend.set(dropdown, index=1)
    until(lambda: panel.state.step is Step.REVIEW)
    settle(panel)
    assert panel.state.plan.context.attached
    assert find(panel, "nadg-command").value == "count again"
    hand = Hand(panel, frontend, sent)
    hand("edit", subtask="count", field="title", value="Tally")
    settle(panel)
    assert json.loads(path.read_text("utf-8"))["subtasks"][0]["title"] == "Tally"
    hand("approve", digest=panel.state.plan.digest)
    until(lambda: panel.state.run is not None and panel.state.run.state == "succeeded")


def test_two_views_of_one_panel_show_one_state(drafted):
    panel, _ = drafted()
    assert isinstance(panel, w.VBox)
    state = panel._shell.view.get_state()
    assert {"plan", "live"} <= set(state)  # what a second view is given
    assert state["plan"]["subtasks"][0]["id"] == "count"
