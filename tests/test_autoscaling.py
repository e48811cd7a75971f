"""The policy keeps a person's limits whatever happens, adds workers only for work, and gives back only its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadg_kernel.autoscaling import Autoscale, Demand, Kind, Member, Memory, decide
from nadg_kernel.errors import SettingsError

EAGER = Autoscale(max_workers=6, max_local=3, patience_s=0, cool_down_s=0, idle_s=60)
LOCAL = Member(name="", kind=Kind.LOCAL, places=2)
LABELS = ("gpu", "big", "model:x")


def some(*labels):
    return frozenset(labels)


def texts(decision):
    return [("+" if action.start else "-") + (action.name or "local") for action in decision.actions]


def space(name, *labels, **more):
    return Member(name=name, kind=Kind.SPACE, offers=some(*labels), **{"on": False, **more})


def test_a_queue_that_no_place_is_free_for_adds_workers():
    busy = Member(name="local-1", kind=Kind.LOCAL, places=2, busy=2)
    found = decide(EAGER, [Demand(waiting=5)], [busy], Memory(), 0.0, local=LOCAL)
    assert texts(found) == ["+local"], "at most as many as are on: one"
    assert "5 shards wait" in found.actions[0].reason
    more = [busy, replace(busy, name="local-2")]
    assert texts(decide(EAGER, [Demand(waiting=5)], more, Memory(), 0.0, local=LOCAL)) == ["+local"], "max_local is 3"


def test_free_places_and_those_that_are_coming_count():
    members = [Member(name="a", places=2), Member(name="b", places=2, coming=True)]
    assert decide(EAGER, [Demand(waiting=4)], members, Memory(), 0.0, local=LOCAL).actions == ()
    assert texts(decide(EAGER, [Demand(waiting=5)], members, Memory(), 0.0, local=LOCAL)) == ["+local"]


def test_a_sleeper_is_woken_only_if_its_labels_fit():
    members = [space("small"), space("cards", "gpu"), space("all", "gpu", "big")]
    found = decide(EAGER, [Demand(needs=some("gpu"), waiting=1)], members, Memory(), 0.0, local=LOCAL)
    assert texts(found) == ["+cards"], "the one that offers least besides"
    found = decide(EAGER, [Demand(needs=some("tpu"), waiting=1)], members, Memory(), 0.0, local=LOCAL)
    assert (texts(found), "for tpu" in found.obstacle) == ([], True)


def test_rare_workers_are_left_to_those_who_need_them():
    members = [Member(name="cards", offers=some("gpu")), Member(name="plain")]
    demands = [Demand(), Demand(needs=some("gpu"))]
    assert decide(EAGER, demands, members, Memory(), 0.0, local=LOCAL).actions == ()


def test_patience_and_cool_down():
    limits = replace(EAGER, patience_s=5, cool_down_s=20)
    want = [Demand(waiting=9)]

    def then(memory, now):
        return decide(limits, want, [], memory, now, local=LOCAL)

    first = then(Memory(), 100.0)
    assert (first.actions, first.memory.short_since) == ((), 100.0)
    assert then(first.memory, 104.0).actions == ()
    second = then(first.memory, 105.0)
    assert texts(second) == ["+local"]
    third = then(second.memory, 106.0)
    assert then(third.memory, 124.0).actions == ()
    assert texts(then(third.memory, 125.0)) == ["+local"]
    satisfied = decide(limits, [], [], first.memory, 104.0)
    assert satisfied.memory.short_since is None, "patience begins anew"


def test_what_is_idle_is_given_back_if_it_is_ours():
    members = [
        Member(name="local-1", kind=Kind.LOCAL, idle_since=0.0),
        Member(name="local-2", kind=Kind.LOCAL, ours=True, idle_since=30.0),
        space("s", ours=True, on=True, idle_since=0.0),
        space("late", ours=True, on=True, idle_since=90.0),
        space("busy", ours=True, on=True, busy=1),
    ]
    found = decide(EAGER, [], members, Memory(), 100.0)
    assert texts(found) == ["-s", "-local-2"]
    assert "idle for 100 s" in found.actions[0].reason
    keep = replace(EAGER, min_workers=4)
    assert texts(decide(keep, [], members, Memory(), 100.0)) == ["-s"]


def test_what_just_came_to_wait_keeps_the_idle_it_needs():
    members = [Member(name=name, kind=Kind.LOCAL, ours=True, places=2, idle_since=0.0) for name in ("a", "b")]
    assert texts(decide(EAGER, [Demand(waiting=3)], members, Memory(), 100.0)) == []
    assert texts(decide(EAGER, [Demand(waiting=2)], members, Memory(), 100.0)) == ["-a"]


def test_the_limit_is_said():
    members = [Member(name=f"w{n}", places=1, busy=1) for n in range(6)]
    found = decide(EAGER, [Demand()], members, Memory(), 0.0, local=LOCAL)
    assert (found.actions, found.obstacle) == ((), "6 workers are on, and the limit is 6")


@pytest.mark.parametrize(
    "wrong",
    [{"max_workers": -1}, {"max_workers": 2, "min_workers": 3}, {"max_workers": 1, "idle_s": -1}, {"max_workers": 1.5}],
)
def test_limits_that_make_no_sense(wrong):
    with pytest.raises(SettingsError):
        Autoscale(**wrong)


labels = st.frozensets(st.sampled_from(LABELS), max_size=2)


@st.composite
def members(draw):
    out = []
    for number in range(draw(st.integers(0, 8))):
        places, on = draw(st.integers(0, 4)), draw(st.booleans())
        busy = draw(st.integers(0, places)) if on else 0
        out.append(
            Member(
                name=f"w{number}",
                kind=draw(st.sampled_from(Kind)) if on else Kind.SPACE,
                offers=draw(labels),
                places=places,
                busy=busy,
                on=on,
                coming=on and draw(st.booleans()),
                ours=draw(st.booleans()),
                idle_since=None if busy or not on else draw(st.floats(0, 1000)),
            )
        )
    return out


limits = st.builds(
    Autoscale,
    max_workers=st.integers(3, 12),
    min_workers=st.integers(0, 3),
    max_local=st.integers(0, 5),
    patience_s=st.sampled_from([0.0, 5.0]),
    cool_down_s=st.sampled_from([0.0, 20.0]),
    idle_s=st.sampled_from([0.0, 60.0]),
)
queues = st.lists(st.builds(Demand, needs=labels, waiting=st.integers(0, 50)), max_size=4)
memories = st.builds(Memory, short_since=st.none() | st.floats(0, 1000), changed_at=st.none() | st.floats(0, 1000))


@given(limits, queues, members(), memories, st.none() | labels)
def test_whatever_happens(limits, queue, there, memory, offers):
    local = None if offers is None else replace(LOCAL, offers=offers)
    now = 1000.0
    found = decide(limits, queue, there, memory, now, local=local)
    by_name = {member.name: member for member in there}
    on = sum(member.on for member in there)
    starts = [action for action in found.actions if action.start]
    stops = [action for action in found.actions if not action.start]
    assert not (starts and stops)
    assert len({action.name for action in found.actions if action.name}) == sum(bool(a.name) for a in found.actions)
    assert not starts or on + len(starts) <= limits.max_workers
    assert len(starts) <= max(1, on)
    processes = sum(member.on and member.kind is Kind.LOCAL for member in there)
    fresh = sum(action.kind is Kind.LOCAL for action in starts)
    assert not fresh or processes + fresh <= limits.max_local
    for action in starts:
        picked = local if action.kind is Kind.LOCAL else by_name[action.name]
        assert not picked.on or action.kind is Kind.LOCAL
        assert any(demand.waiting and demand.needs <= picked.offers for demand in queue)
    for action in stops:
        member = by_name[action.name]
        assert member.ours
        assert member.on
        assert not member.busy
        assert now - member.idle_since >= limits.idle_s
    assert not stops or on - len(stops) >= limits.min_workers
    if found.actions and memory.changed_at is not None:
        assert now - memory.changed_at >= limits.cool_down_s
    assert not starts or found.memory == Memory(changed_at=now)


@given(limits, queues, st.integers(0, 3))
def test_it_comes_to_rest(limits, queue, begun):
    """A queue that stays as it is leads to a number of workers that stays; an empty one to those we did not start."""
    there = [Member(name=f"own-{n}", kind=Kind.LOCAL, offers=some(*LABELS), idle_since=0.0) for n in range(begun)]
    memory, now = Memory(), 0.0
    local = replace(LOCAL, offers=some("gpu"))

    def until_quiet(queue):
        nonlocal memory, now, there
        for _ in range(60):
            now += 100.0
            found = decide(limits, queue, there, memory, now, local=local)
            memory = found.memory
            for action in found.actions:
                if action.start:
                    there.append(replace(local, name=f"m{now}{len(there)}", on=True, ours=True, idle_since=now))
                else:
                    there = [member for member in there if member.name != action.name]
        now += 100.0
        assert decide(limits, queue, there, memory, now, local=local).actions == ()

    until_quiet(queue)
    assert sum(member.on for member in there) <= max(limits.max_workers, begun)
    until_quiet([])
    assert sum(member.ours for member in there) <= max(0, limits.min_workers - begun)
