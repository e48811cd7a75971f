"""What models really answer: each gives the plan or the problem that answers.toml says, and nothing ever breaks."""

import asyncio
import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from nadg_kernel.errors import PlannerError
from nadg_kernel.model import Command, Context, DataSchema, Plan
from nadg_kernel.planners.base import Briefing
from nadg_kernel.planners.chat import ChatPlanner
from nadg_kernel.planners.modelling import ModelPlanner, Reply
from nadg_kernel.planners.revising import propose
from nadg_kernel.planners.scripted import ScriptedModel

CASES = tomllib.loads((Path(__file__).parent / "answers.toml").read_text("utf-8"))["answers"]
REVIEWS = DataSchema(columns=("product", "review"), dtypes=("str", "str"), rows=420)
COMMAND = Command(text="Count the reviews by product", data={"reviews": REVIEWS})
BRIEFING = Briefing(context=Context(modules=frozenset({"pandas", "numpy"}), labels=frozenset({"cpu"})))


def test_there_are_many():
    assert len(CASES) >= 40
    assert len({case["name"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_answer(case):
    if "error" in case:
        with pytest.raises(PlannerError, match=case["error"]):
            ChatPlanner().read(case["text"], COMMAND, BRIEFING)
        return
    pasted = ChatPlanner().read(case["text"], COMMAND, BRIEFING)
    plan = pasted.plan
    assert list(plan.ids) == case["ids"]
    assert sorted(f"{a} -> {b.id}" for b in plan.subtasks for a in b.depends_on) == sorted(case["edges"])
    assert sorted({p.code for p in plan.problems if p.blocks}) == sorted(case.get("problems", []))
    words = " ".join([*plan.assumptions, *plan.questions])
    for said in case.get("says", []):
        assert said in words
    for item in plan.subtasks:
        assert not set(item.permissions.granted) & set(case.get("off", []))
    maps = {item.id: [item.map.over, item.map.shards] for item in plan.subtasks if item.map}
    assert maps == case.get("maps", {})
    assert plan.approval is None
    if case.get("problems"):
        assert all(problem in pasted.again for problem in pasted.problems)
    else:
        assert plan.approve(by="test").approved


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_answer_of_a_model_never_loses_the_plan(case):
    """Through the two steps too: a plan, perhaps without code, or words; and what stays wrong stays on the plan."""
    model = ScriptedModel(lambda prompt: '{"code": "result = 1"}' if prompt.startswith("Write the") else case["text"])
    try:
        plan = await ModelPlanner(model, "scripted").draft(COMMAND, BRIEFING)
    except PlannerError:
        assert "error" in case
        return
    assert list(plan.ids) == case["ids"]
    kept = {"cycle", "dangling", "no_model", "unknown_input"} & set(case.get("problems", []))
    assert {p.code for p in plan.problems if p.blocks} == kept


def test_an_instruction_becomes_a_prompt_with_its_inputs():
    case = next(case for case in CASES if case["name"].startswith("a prompt of which only"))
    item = ChatPlanner().read(case["text"], COMMAND, BRIEFING).plan["a"]
    assert (item.kind, item.code) == ("prompt", "Sum up the reviews.\n\n{reviews}")


def test_too_many_subtasks_are_said():
    items = [{"id": f"s{n}", "code": "result = 1"} for n in range(30)]
    pasted = ChatPlanner().read(json.dumps({"subtasks": items}), COMMAND, BRIEFING)
    assert len(pasted.plan) == 30
    assert "at most 24" in pasted.problems[-1]
    many = [{"id": f"s{n}", "code": "result = 1"} for n in range(5000)]
    assert len(ChatPlanner().read(json.dumps({"subtasks": many}), COMMAND, BRIEFING).plan) == 100


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "id",
        "title",
        "instruction",
        "kind",
        "code",
        "prompt",
        "depends_on",
        "inputs",
        "map",
        "map_over",
        "map_shards",
        "expected",
        "check",
        "labels",
        "permissions",
        "timeout_s",
        "limits",
        "action",
    ]
)
VALUES = JUNK | st.sampled_from(
    ["a", "b", "reviews", "python", "prompt", "result = 1", "import x", ["a"], ["reviews"], 10**400]
)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "goal": JUNK,
        "assumptions": JUNK,
        "questions": JUNK,
        "code": JUNK,
        "why": JUNK,
        "changes": st.lists(st.dictionaries(KEYS, VALUES, max_size=6), max_size=4) | JUNK,
        "subtasks": st.lists(st.dictionaries(KEYS, VALUES, max_size=8), max_size=4) | JUNK,
    },
)


def as_text(value):
    try:
        return json.dumps(value)
    except ValueError:
        return "{}"


BROKEN = st.text(max_size=60) | OBJECTS.map(as_text) | st.tuples(OBJECTS.map(as_text), st.integers(0, 300)).map(
    lambda pair: pair[0][: pair[1]]
)  # fmt: skip


@given(BROKEN, BROKEN, st.booleans())
@settings(deadline=None, max_examples=150)
def test_no_answer_raises_anything_but_planner_errors(split, code, cut):
    model = ScriptedModel(lambda prompt: Reply(text=code if prompt.startswith("Write the") else split, cut=cut))
    try:
        plan = asyncio.run(ModelPlanner(model, "scripted").draft(COMMAND, BRIEFING))
    except PlannerError as error:
        note(str(error))
        return
    assert plan.subtasks
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))).ids == plan.ids


def test_a_time_limit_larger_than_any_float_is_left_out():
    base = ChatPlanner().read('{"subtasks": [{"id": "a", "code": "result = 1"}]}', COMMAND, BRIEFING).plan
    proposal = propose(base, {"changes": [{"action": "edit", "id": "a", "title": "Other words", "timeout_s": 10**400}]})
    assert proposal.plan["a"].title == "Other words"
    assert proposal.plan["a"].limits.timeout_s == base["a"].limits.timeout_s


@given(BROKEN)
@settings(deadline=None, max_examples=100)
def test_no_change_raises_anything_but_planner_errors(answer):
    base = ChatPlanner().read('{"subtasks": [{"id": "a", "code": "result = 1"}]}', COMMAND, BRIEFING).plan
    for read in (
        lambda: ChatPlanner().read_changes(answer, base),
        lambda: propose(base, json.loads(answer)) if answer.startswith("{") and answer.endswith("}") else None,
    ):
        try:
            read()
        except (PlannerError, json.JSONDecodeError) as error:
            note(str(error))
