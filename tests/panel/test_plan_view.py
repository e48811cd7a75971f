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


def rows(*titles):
    return {"page": "review", "subtasks": [{"id": f"s{n}", "title": title} for n, title in enumerate(titles)]}


def test_of_a_plan_that_is_there_only_what_differs_is_sent(sent):
    view = PlanView(lambda _: None)
    view.push(rows("a", "b", "c"), {"rev": 1}, {})
    sent.clear()
    view.push({**rows("a", "new", "c"), "page": "other"}, {"rev": 2}, {})
    (_, patch), (_, state) = sent
    changed = {"1": {"id": "s1", "title": "new"}}
    assert patch["content"] == {"op": "patch", "rows": changed, "head": {"page": "other"}}
    assert set(state["state"]) == {"live"}
    assert view.get_state()["plan"]["subtasks"][1]["title"] == "new"  # for a view that comes later


def test_a_plan_of_other_length_is_sent_whole(sent):
    view = PlanView(lambda _: None)
    view.push(rows("a", "b"), {"rev": 1}, {})
    sent.clear()
    view.push(rows("a"), {"rev": 2}, {})
    ((_, state),) = sent
    assert state["state"]["plan"] == rows("a")


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
    assert "export default { initialize, render }" in text
    for word in ("fetch(", "XMLHttpRequest", "innerHTML", "insertAdjacentHTML", "eval(", "https://"):
        assert word not in text, word
    assert not [line for line in text.splitlines() if line.startswith("import")]
