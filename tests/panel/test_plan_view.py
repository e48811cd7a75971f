"""The anywidget's Python side."""

from __future__ import annotations

from pathlib import Path

from nadg_kernel.panel import plan_view
from nadg_kernel.panel.plan_view import PARTS, PlanView, answer_anywhere, source

SOURCES = Path(plan_view.__file__).with_name("view_js")


def test_messages_of_a_view_are_passed_on(sent, frontend):
    got = []
    view = PlanView(got.append)
    frontend.send(view, op="select", subtask="x", ref="1")
    assert got == [{"op": "select", "subtask": "x", "ref": "1"}]


def test_state_goes_out_before_its_acknowledgement(sent, frontend):
    view = PlanView(lambda _: None)
    sent.clear()
    view.push({"subtasks": []}, {"rev": 3}, {"step": "review"}, [{"op": "ack", "ref": "1", "ok": True, "rev": 3}])
    (first, state), (second, ack) = sent
    assert (first, second) == ("comm_msg", "comm_msg")
    assert state["method"] == "update"
    assert set(state["state"]) == {"plan", "live", "offers"}
    assert ack["content"]["ref"] == "1"


def test_what_did_not_change_is_not_sent_again(sent):
    view = PlanView(lambda _: None)
    view.push({"subtasks": []}, {"rev": 3}, {"step": "review"})
    sent.clear()
    view.push({"subtasks": []}, {"rev": 4}, {"step": "review"})
    ((_, state),) = sent
    assert set(state["state"]) == {"live"}


def test_the_private_routing_of_newer_kernels_is_overruled_only_where_it_exists():
    class Comm:
        def _reply_subshell_for(self, data, default):
            return "the blocked one"

    class Widget:
        comm = Comm()

    answer_anywhere(Widget())
    assert Widget.comm._reply_subshell_for({}, "any") == "any"
    Widget.comm = object()
    answer_anywhere(Widget())
    assert not hasattr(Widget.comm, "_reply_subshell_for")


def test_the_view_is_one_module_that_loads_nothing_from_elsewhere():
    assert sorted(PARTS) == sorted(path.stem for path in SOURCES.iterdir())
    text = source()
    assert "export default { render }" in text
    for word in ("fetch(", "XMLHttpRequest", "innerHTML", "insertAdjacentHTML", "eval(", "https://"):
        assert word not in text, word
    assert not [line for line in text.splitlines() if line.startswith("import")]
