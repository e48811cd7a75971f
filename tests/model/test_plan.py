"""A plan's edits, problems, file form and digest, one behaviour at a time."""

from __future__ import annotations

import json

import pytest

from nadg_kernel.errors import EditError, PlanFileError, PlanHasProblems
from nadg_kernel.model import NEEDS_CODE, Context, DataSchema, Map, Plan

FRAME = DataSchema(kind="frame", columns=("text", "n"), dtypes=("str", "int64"), rows=3)


def three() -> Plan:
    plan = Plan(command="do three things", data={"reviews": FRAME})
    plan = plan.add(id="score", code='result = inputs["reviews"]')
    plan = plan.add(id="chart", code='result = inputs["score"]', depends_on=["score"])
    return plan.add(id="report", code='result = [inputs["score"], inputs["chart"]]', depends_on=["score", "chart"])


def problem_codes(plan: Plan, *, blocking_only: bool = False) -> list[tuple[str, str | None, int | None]]:
    return [(p.code, p.subtask, p.line) for p in plan.problems if p.blocks or not blocking_only]


def test_add_sends_what_the_code_reads():
    plan = three()
    assert plan["score"].inputs == ("reviews",)
    assert plan["report"].inputs == ("score", "chart")
    assert plan.problems == ()
    assert plan.add(id="none", code="result = 1")["none"].inputs == ()
    assert plan.add(id="all_of_it", code="result = list(inputs)", depends_on=["score"])["all_of_it"].inputs == (
        "reviews",
        "score",
    )


def test_edit_code_adds_what_it_newly_reads_and_depends_on_it():
    plan = three().edit("chart", code='result = inputs["reviews"], inputs["score"]')
    assert plan["chart"].inputs == ("score", "reviews")
    plan = three().edit("chart", code="result = 1", depends_on=[])
    assert (plan["chart"].inputs, plan["chart"].depends_on) == ((), ())
    plan = plan.edit("chart", code='result = inputs["score"]')
    assert plan["chart"].depends_on == ("score",)


def test_edits_are_kept_with_who_and_what():
    plan = three().edit("chart", title="Charts", timeout_s=5, network=True, by="ann")
    entry = plan.edits[-1]
    assert (entry.kind, entry.subtask, entry.by) == ("edit", "chart", "ann")
    assert entry.changes["title"] == ("", "Charts")
    assert entry.changes["limits"][1]["timeout_s"] == 5
    assert plan["chart"].permissions.granted == ("network",)
    assert plan.edit("chart", title="Charts") is plan


def test_rename_is_followed_by_dependents_their_inputs_and_their_code():
    plan = three().edit("score", id="sentiment")
    assert plan["chart"].depends_on == ("sentiment",)
    assert plan["chart"].code == 'result = inputs["sentiment"]'
    assert plan.problems == ()


def test_drop_leaves_the_reader_with_a_problem_at_its_line():
    plan = three().drop("chart")
    assert plan["report"].depends_on == ("score",)
    assert problem_codes(plan) == [("unknown_input", "report", 1)]


def test_split_puts_parts_in_place_of_the_whole():
    plan = three().split(
        "chart", {"code": 'result = inputs["score"]'}, {"id": "pie", "code": 'result = inputs["score"]'}
    )
    assert plan.ids == ("score", "chart_1", "pie", "report")
    assert plan["pie"].depends_on == ("score",)
    assert plan["report"].depends_on == ("score", "chart_1", "pie")
    with pytest.raises(EditError, match="two parts"):
        three().split("chart", {"code": "result = 1"})


def test_merge_joins_code_and_keeps_results_in_reach():
    plan = three().merge("score", "chart")
    assert plan.ids == ("score", "report")
    assert plan["score"].inputs == ("reviews",)
    scope: dict = {"inputs": {"reviews": 7}}
    exec(plan["score"].code, scope)  # noqa: S102 - our own text
    assert scope["inputs"]["chart"] == 7
    assert plan["report"].depends_on == ("score",)


def test_merge_around_a_third_is_refused():
    with pytest.raises(EditError, match="'chart' depends on one of them"):
        three().merge("score", "report")


def test_move_hold_and_order():
    plan = three().move("report", 0).hold("chart")
    assert plan.ids == ("report", "score", "chart")
    assert plan.order() == ("score", "chart", "report")
    assert plan["chart"].hold
    assert plan.hold("chart") is plan
    assert plan.descendants("score") == {"chart", "report"}


def test_diff_follows_a_subtask_that_moved():
    plan = three()
    assert plan.diff(plan) == ""
    later = plan.edit("chart", code='x = inputs["score"]\nresult = x').move("chart", 0).drop("report")
    lines = later.diff(plan).splitlines()
    assert lines[:2] == ["--- other", "+++ plan"]
    assert {"-order: score, chart, report", "+order: chart, score"} <= set(lines)
    assert {'-chart code| result = inputs["score"]', "+chart code| result = x", "-[report]"} <= set(lines)
    assert not any(line.startswith(("-[score]", "-[chart]", "+[")) for line in lines), "what stays is not repeated"
    assert "+[score]" in plan.diff(), "a plan made by hand had no draft"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": "2x"}, "is no id"),
        ({"id": "chart"}, "taken by another"),
        ({"id": "reviews"}, "name of attached data"),
        ({"priority": "high"}, "priority must be int"),
        ({"hold": 1}, "hold must be bool"),
        ({"colour": "red"}, "no field 'colour'"),
        ({"depends_on": "chart"}, "list of names"),
        ({"limits": {"timeout_s": "60"}}, "limits.timeout_s must be"),
        ({"map": {"shards": 2}}, "map needs `over`"),
        ({"kind": "shell"}, "kind must be"),
    ],
)
def test_bad_values_are_refused_by_name(change, says):
    with pytest.raises(EditError, match=says):
        three().edit("score", **change)


def test_unknown_subtask_lists_the_known():
    with pytest.raises(EditError, match=r"no subtask 'x' in the plan \(there are: score, chart, report\)"):
        three().edit("x", title="y")


CONTEXT = Context(modules=frozenset({"pandas"}), labels=frozenset({"gpu"}))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"code": "x = (\nresult = 1"}, ("syntax", "chart", 1)),
        ({"code": "a = 1\nb = 2\nc = )"}, ("syntax", "chart", 3)),
        ({"code": ""}, ("missing_code", "chart", None)),
        ({"code": f"x = 1\n{NEEDS_CODE}: what then"}, ("needs_code", "chart", 2)),
        ({"code": "import os\nimport polars as pl"}, ("import", "chart", 2)),
        ({"code": "from . import x"}, ("relative_import", "chart", 1)),
        ({"depends_on": ["ghost"]}, ("dangling", "chart", None)),
        ({"depends_on": ["report"]}, ("cycle", "report", None)),
        ({"depends_on": ["chart"]}, ("cycle", "chart", None)),
        ({"timeout_s": 0}, ("limits", "chart", None)),
        ({"memory_mb": 1}, ("limits", "chart", None)),
        ({"retries": -1}, ("limits", "chart", None)),
        ({"labels": ["tpu"]}, ("label", "chart", None)),
        ({"prompt": "say {score}"}, ("no_model", "chart", None)),
        ({"inputs": []}, ("not_sent", "chart", 1)),
        ({"inputs": ["nowhere"]}, ("unknown_input", "chart", None)),
        ({"map": {"over": "score"}}, ("map_size", "chart", None)),
        ({"map": {"over": "score", "shards": 0}}, ("map_size", "chart", None)),
        ({"map": {"over": "reviews", "shards": 2}}, ("map_input", "chart", None)),
        ({"code": "x" * 300_000}, ("code_size", "chart", None)),
    ],
)
def test_problems_say_where(change, expected):
    plan = three().with_context(CONTEXT).edit("chart", **change)
    assert expected in problem_codes(plan, blocking_only=True)
    with pytest.raises(PlanHasProblems) as caught:
        plan.approve()
    assert caught.value.problems


def test_a_guarded_import_only_warns():
    code = "try:\n    import polars\nexcept ImportError:\n    polars = None\nresult = 1"
    plan = three().with_context(CONTEXT).edit("chart", code=code)
    assert problem_codes(plan) == [("import", "chart", 2)]
    assert plan.approve().approved


def test_unknown_workers_check_no_imports():
    assert three().edit("chart", code="import polars\nresult = 1").problems == ()


def test_empty_plan_blocks():
    assert [p.code for p in Plan(command="x").problems] == ["empty"]


def test_duplicate_ids_in_a_file_are_a_problem_not_a_crash():
    item = {"id": "a", "code": "result = 1"}
    plan = Plan.from_json({"command": "x", "subtasks": [item, item]})
    assert "duplicate_id" in {p.code for p in plan.problems}


def test_approval_covers_code_permissions_and_schema_and_nothing_cosmetic():
    approved = three().approve(by="ann")
    assert approved.approved
    assert not approved.edit("chart", title="Other").approved
    digest = approved.digest
    assert three().edit("chart", title="t", instruction="i", priority=3, hold=True).digest == digest
    for change in ({"code": "result = 2"}, {"network": True}, {"timeout_s": 9}, {"labels": ["gpu"]}):
        assert three().edit("chart", **change).digest != digest
    wider = DataSchema(kind="frame", columns=("text", "n", "k"), dtypes=("str", "int64", "int64"))
    changed = Plan(command=approved.command, data={"reviews": wider}, subtasks=approved.subtasks)
    assert changed.digest != digest
    longer = DataSchema(kind="frame", columns=("text", "n"), dtypes=("str", "int64"), rows=9)
    assert Plan(command=approved.command, data={"reviews": longer}, subtasks=approved.subtasks).digest == digest


def test_file_round_trip_keeps_draft_edits_and_approval(tmp_path):
    plan = three().edit("chart", map=Map(over="score", rows=2)).approve()
    path = plan.save(tmp_path / "plan.json")
    assert Plan.load(path) == plan
    raw = json.loads(path.read_text())
    raw["subtasks"][0]["code"] = "result = 666"
    path.write_text(json.dumps(raw))
    assert not Plan.load(path).approved


def test_a_file_written_by_hand_needs_only_command_and_subtasks():
    plan = Plan.from_json(
        {
            "command": "x",
            "data": {"reviews": {"columns": ["a"], "dtypes": ["str"]}},
            "subtasks": [
                {"id": "a", "title": "A", "kind": "python", "code": 'result = inputs["reviews"]'},
                {"id": "b", "kind": "python", "code": 'result = inputs["a"]', "depends_on": ["a"]},
            ],
        }
    )
    assert (plan["a"].inputs, plan["b"].inputs) == (("reviews",), ("a",))
    assert plan.problems == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "JSON object"),
        ('{"format": "nadg-plan/9"}', "nadg-plan/9"),
        ('{"subtasks": [{"id": "a"}, {"title": "no id"}]}', "subtask 2: a subtask needs an id"),
        ('{"subtasks": [{"id": "a", "colour": 1}]}', "subtask 1: unknown field 'colour'"),
        ('{"subtasks": {}, "command": 5}', "must be text"),
        ('{"subtasks": "abc"}', "must be a list"),
        ('{"approval": {"by": "me"}}', "approval: 'at' is missing"),
    ],
)
def test_broken_files_say_where(tmp_path, text, says):
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(PlanFileError, match=says) as caught:
        Plan.load(path)
    assert str(path) in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(PlanFileError, match=r"cannot read .*nowhere\.json"):
        Plan.load(tmp_path / "nowhere.json")


def worst(score, n=3):
    """The n lowest."""
    return sorted(score)[:n]


def test_a_function_becomes_a_subtask_by_its_source():
    plan = three().add(func=worst, depends_on=["score"])
    item = plan["worst"]
    assert item.title == "Worst"
    assert item.instruction == "The n lowest."
    assert item.inputs == ("score",)
    scope: dict = {"inputs": {"score": [3, 1, 2, 9]}}
    exec(item.code, scope)  # noqa: S102 - our own text
    assert scope["result"] == [1, 2, 3]
    with pytest.raises(EditError, match="lambda"):
        three().add(func=lambda score: score, depends_on=["score"])
    with pytest.raises(EditError, match="no input for the parameter 'third'"):
        three().add(func=needs_two, depends_on=["score"])


def needs_two(score, reviews, third):
    return score, reviews, third


def test_renders_escaped():
    plan = three().edit("chart", title="<script>alert(1)</script>")
    shown = plan._repr_mimebundle_()
    assert "<script>" not in shown["text/html"]
    assert "&lt;script&gt;" in shown["text/html"]
    assert "score" in shown["text/plain"]
