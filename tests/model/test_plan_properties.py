"""What must hold for every plan and every sequence of edits."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadg_kernel.errors import EditError, PlanHasProblems
from nadg_kernel.model import DataSchema, Map, Plan, RunState
from nadg_kernel.model.edits import ID
from nadg_kernel.model.events import Event

DATA = {"frame": DataSchema(columns=("a",), dtypes=("int64",), rows=4)}
NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
ANY_NAME = st.one_of(NAMES, st.sampled_from(["frame", "ghost", "", "9", "x y"]))
CODE = st.one_of(
    st.sampled_from(
        ["result = 1", 'result = inputs["frame"]', "result = (", "", "import nothing_here", "# needs code: x"]
    ),
    NAMES.map(lambda name: f'result = inputs["{name}"]'),
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "id": ANY_NAME,
        "title": st.text(max_size=10),
        "code": CODE,
        "depends_on": st.lists(ANY_NAME, max_size=3),
        "inputs": st.lists(ANY_NAME, max_size=3),
        "priority": st.integers(-5, 5),
        "hold": st.booleans(),
        "retries": st.integers(-1, 30),
        "network": st.booleans(),
        "timeout_s": st.sampled_from([0, 1, 60, 10**9]),
        "map": st.one_of(st.none(), st.builds(lambda over, n: Map(over=over, shards=n), ANY_NAME, st.integers(0, 4))),
    },
)
STEP = st.one_of(
    st.tuples(st.just("edit"), NAMES, FIELDS),
    st.tuples(st.just("add"), st.none(), FIELDS),
    st.tuples(st.just("drop"), NAMES),
    st.tuples(st.just("move"), NAMES, st.integers(-1, 9)),
    st.tuples(st.just("hold"), NAMES, st.booleans()),
    st.tuples(st.just("split"), NAMES, st.lists(FIELDS, max_size=3)),
    st.tuples(st.just("merge"), st.lists(NAMES, max_size=3, unique=True)),
)


def start() -> Plan:
    plan = Plan(command="c", data=DATA)
    for name, needs in (("a", []), ("b", ["a"]), ("c", ["a", "b"])):
        plan = plan.add(id=name, code="result = list(inputs)", depends_on=needs)
    return plan


def step(plan: Plan, what: tuple) -> Plan:
    kind, *rest = what
    if kind == "edit":
        return plan.edit(rest[0], **rest[1])
    if kind == "add":
        return plan.add(**rest[1])
    if kind == "split":
        return plan.split(rest[0], *rest[1])
    if kind == "merge":
        return plan.merge(*rest[0])
    return getattr(plan, kind)(*rest)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEP, max_size=12))
def test_no_sequence_of_edits_corrupts_a_plan(steps):
    plan = start()
    for what in steps:
        before = plan
        try:
            plan = step(plan, what)
        except EditError:
            plan = before
        assert len(set(plan.ids)) == len(plan.ids)
        assert all(ID.fullmatch(name) for name in plan.ids)
        assert not set(plan.ids) & set(plan.data)
        assert set(plan.order()) == set(plan.ids)
        assert len(plan.edits) >= len(before.edits)
        assert plan.edits[: len(before.edits)] == before.edits
    loaded = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert loaded == plan
    assert loaded.digest == plan.digest
    assert [str(p) for p in loaded.problems] == [str(p) for p in plan.problems]
    if any(problem.blocks for problem in plan.problems):
        with pytest.raises(PlanHasProblems):
            plan.approve()
    else:
        assert_schedulable(plan.approve())


def assert_schedulable(plan: Plan) -> None:
    """Dependencies come first, everything that is read is there: a scheduler can start each subtask in turn."""
    seen: set[str] = set()
    for name in plan.order():
        assert set(plan[name].depends_on) <= seen, name
        assert set(plan[name].inputs) <= seen | set(plan.data)
        seen.add(name)
    assert seen == set(plan.ids)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda c: (
            st.lists(c, max_size=3)
            | st.dictionaries(
                st.sampled_from(["subtasks", "command", "edits", "data", "id", "approval", "map", "limits"]),
                c,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_whatever_raises_anything_but_a_plan_file_error(raw):
    from nadg_kernel.errors import PlanFileError

    try:
        plan = Plan.from_json(raw)
    except PlanFileError:
        return
    assert isinstance(plan.problems, tuple)


@given(st.text(max_size=20), st.integers(0, 5))
def test_events_round_trip(text, number):
    from datetime import UTC, datetime

    event = Event(
        run_id="r",
        epoch=1,
        seq=number,
        at=datetime.now(UTC),
        type="run_ended",
        payload={"state": RunState.FAILED, "t": text},
    )
    assert Event.from_json(json.loads(json.dumps(event.to_json()))).to_json() == event.to_json()
