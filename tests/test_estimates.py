"""What is expected rests on what ran before; what never ran is said to be unknown."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadg_kernel.engines.base import WorkerHealth, WorkerState
from nadg_kernel.estimates import code_digest, earlier, estimate, expected
from nadg_kernel.estimates.makespan import feasible, makespan
from nadg_kernel.model import DataSchema, Event, EventType, Map, Plan, Subtask
from nadg_kernel.scheduler import Scheduler
from nadg_kernel.stores.owners import this_owner
from nadg_kernel.stores.sqlite import SqliteStore
from tests.stores.made import START


def worker(capacity=2, health=WorkerHealth.READY, labels=()):
    return WorkerState(worker_id=f"w{capacity}", health=health, capacity=capacity, labels=frozenset(labels))


def plan_of(*subtasks, **more):
    return Plan(command="c", subtasks=subtasks, **more)


A = Subtask(id="a", title="First", code="result = 1")
B = Subtask(id="b", title="Second", code="result = 2", depends_on=("a",))


def row(subtask, seconds, **more):
    return {"title": subtask.title, "code": code_digest(subtask), "seconds": seconds, "outcome": "succeeded", **more}


def test_the_same_code_counts_most():
    past = [row(A, 4.0), row(A, 2.0, title="another"), row(A, 3.0), {"title": "First", "code": "x", "seconds": 90.0}]
    found = estimate(plan_of(A, B), [*past, row(B, 10.0)], [worker()])
    assert found.seconds == {"a": 3.0, "b": 10.0}
    assert found.total == pytest.approx(13.0)
    assert found.basis == "4 earlier attempts with the same code"


def test_the_same_title_then():
    found = estimate(plan_of(A), [{"title": "First", "code": "other", "seconds": 7.0}], [worker()])
    assert (found.seconds, found.basis) == ({"a": 7.0}, "1 earlier attempt with the same title")


def test_the_attempts_frame_as_the_grid_gives_it():
    frame = pd.DataFrame(
        {"subtask": ["a", "a", "b"], "outcome": ["succeeded", "lost", None], "seconds": [5.0, 1, None]}
    )
    found = estimate(plan_of(A, B), frame, [worker()])
    assert found.seconds == {"a": 5.0, "b": None}
    assert found.known == {"a": 5.0}


@pytest.mark.parametrize(
    "past", [[], pd.DataFrame(), [row(A, None)], [row(A, float("nan"))], [row(A, 1, outcome="lost")]]
)
def test_unknown_is_said(past):
    found = estimate(plan_of(A), past, [worker()])
    assert (found.seconds, found.total, found.basis) == ({"a": None}, None, "none of it has run before")


def test_a_part_that_never_ran_leaves_no_total():
    found = estimate(plan_of(A, B), [row(A, 4.0)], [worker()])
    assert (found.seconds, found.total) == ({"a": 4.0, "b": None}, None)
    assert found.basis.endswith("1 of 2 subtasks never ran before")


@pytest.mark.parametrize(
    ("subtask", "workers", "says"),
    [
        (A, [], "no worker is ready"),
        (A, [worker(health=WorkerHealth.ASLEEP)], "no worker is ready"),
        (Subtask(id="g", code="x", labels=("gpu",)), [worker()], "no ready worker offers what g needs"),
        (Subtask(id="m", code="x", map=Map(over="a", rows=5)), [worker()], "how many shards m will have"),
        (Subtask(id="d", code="x", depends_on=("nobody",)), [worker()], "dependencies"),
        (Subtask(id="d", code="x", depends_on=("d",)), [worker()], "dependencies"),
    ],
)
def test_why_there_is_no_total(subtask, workers, says):
    found = estimate(plan_of(subtask), [row(subtask, 4.0)], workers)
    assert found.seconds == {subtask.id: 4.0}
    assert found.total is None
    assert says in found.basis


@pytest.mark.parametrize(
    ("over", "rows", "shards", "total"),
    [
        (Map(over="x", shards=8), 100, 8, 20.0),
        (Map(over="x", rows=25), 100, 4, 10.0),
        (Map(over="x", shards=8), 3, 3, 10.0),
        (Map(over="x", shards=8), None, None, None),
    ],
)
def test_shards_share_the_places(over, rows, shards, total):
    item = Subtask(id="m", code="x", map=over)
    found = estimate(plan_of(item, data={"x": DataSchema(rows=rows)}), [row(item, 5.0)], [worker(2)])
    assert (found.shards["m"], found.total) == (shards, total)


@st.composite
def graphs(draw):
    names = [f"s{number}" for number in range(draw(st.integers(1, 12)))]
    needs = {
        name: tuple(draw(st.lists(st.sampled_from(names[:place]), unique=True, max_size=3))) if place else ()
        for place, name in enumerate(names)
    }
    work = {name: (draw(st.floats(0, 100)), draw(st.integers(1, 5))) for name in names}
    return needs, work


@given(graphs(), st.integers(1, 6))
def test_the_makespan_is_that_of_a_list_schedule(graph, slots):
    """Between the bound that nobody can beat and the one that no list schedule exceeds (Graham)."""
    needs, work = graph
    path: dict[str, float] = {}
    for name in needs:  # each after what it needs
        path[name] = work[name][0] + max((path[need] for need in needs[name]), default=0.0)
    load = sum(seconds * count for seconds, count in work.values()) / slots
    found = makespan(needs, work, slots)
    longest = max(path.values())
    assert max(load, longest) <= found * (1 + 1e-9) + 1e-9
    assert found <= (load + longest) * (1 + 1e-9) + 1e-9


def test_many_shards_cost_nothing():
    assert makespan({"a": ()}, {"a": (2.0, 1_000_000)}, 4) == pytest.approx(500_000)


def test_feasible():
    assert feasible({"a": (), "b": ("a",)})
    assert not feasible({"a": ("b",), "b": ("a",)})
    assert not feasible({"a": ("missing",)})


class TestFromTheStore:
    @pytest.fixture
    async def store(self, tmp_path):
        store = SqliteStore(tmp_path / "nadg.db")
        await store.open()
        yield store
        await store.close()

    async def record(self, store, run_id, plan, seconds, *, rehearsal=False):
        """Write a run in which each attempt took so long, by subtask id."""
        epoch = await store.create_run(run_id, plan, this_owner(), rehearsal=rehearsal)
        events = []

        def add(kind, subtask, payload, attempt=None):
            place = {"subtask": subtask, "shard": None if attempt is None else 0, "attempt_id": attempt}
            events.append(
                Event(run_id=run_id, epoch=epoch, seq=len(events) + 1, at=START, type=kind, payload=payload, **place)
            )

        for name, took in seconds.items():
            attempt = f"{run_id}-{name}"
            add(EventType.ATTEMPT_INTENDED, name, {"worker": "w", "number": 1}, attempt)
            ended = {"outcome": "succeeded", "worker": "w", "seconds": took}
            add(EventType.ATTEMPT_ENDED, name, ended, attempt)
            add(EventType.SUBTASK_STATE, name, {"state": "succeeded"})
        await store.append(run_id, epoch, events)

    async def test_earlier_runs_of_the_same_work(self, store):
        renamed = Subtask(id="z", title="Renamed", code=A.code)
        await self.record(store, "r1", plan_of(renamed, B), {"z": 4.0, "b": 9.0})
        await self.record(store, "r2", plan_of(A, B), {"a": 6.0, "b": 9.0}, rehearsal=True)
        found = estimate(plan_of(A, B, Subtask(id="c", code="new")), await earlier(store, plan_of(A, B)))
        assert found.seconds == {"a": 4.0, "b": 9.0, "c": None}
        assert await expected(store, plan_of(A, B)) == {"a": 4.0, "b": 9.0}

    async def test_a_run_does_not_wait_for_its_history(self, store):
        await self.record(store, "r1", plan_of(A, B), {"a": 4.0, "b": 9.0})
        assert await expected(store, plan_of(A, B), within_s=0) == {}
        assert await expected(store, plan_of(A)) == {}, "one subtask needs no order"


def test_what_takes_long_starts_first():
    """Two chains of two: by count they are equal, by seconds one is not."""
    plan = plan_of(
        Subtask(id="short", code="x"),
        Subtask(id="long", code="x"),
        Subtask(id="after_short", code="x", depends_on=("short",)),
        Subtask(id="after_long", code="x", depends_on=("long",)),
    )

    def first(estimates):
        scheduler = Scheduler(plan, estimates=estimates)
        payload = {"worker": "w", "state": "ready", "capacity": 1, "labels": []}
        scheduler.apply(Event(run_id="r", epoch=1, seq=1, at=START, type=EventType.WORKER_STATE, payload=payload), 0.0)
        (start,), _ = scheduler.decide(0.0)
        return start.shard.subtask

    assert first({}) == "short"
    assert first({"after_long": 50.0, "after_short": 5.0}) == "long"
    assert first({"after_short": 50.0, "after_long": 5.0}) == "short"
