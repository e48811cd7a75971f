"""Several runs on the same workers: none is refused what another has taken, and each gets its part."""

from __future__ import annotations

import asyncio

from nadg_kernel.model import EventType, Plan, RunState, Subtask
from nadg_kernel.runner import Cancel, Runner
from nadg_kernel.runner.places import Places
from nadg_kernel.stores.blobs import BlobStore
from nadg_kernel.stores.owners import this_owner
from nadg_kernel.stores.sqlite import SqliteStore
from tests.support.fake_engine import Act, FakeEngine, worker
from tests.support.virtual import Watched, run_virtual


def many(name, count, **values):
    parts = tuple(Subtask(id=f"{name}{n}", code=f"result = {n}", cache=False, **values) for n in range(count))
    return Plan(command=name, subtasks=parts).approve(by="ada")


class TestPlaces:
    def make(self, *names):
        engine, woken = FakeEngine(None), []
        return [Places(engine, lambda name=name: woken.append(name)) for name in names], woken

    def test_what_others_take_is_counted_and_told(self):
        (a, b), woken = self.make("a", "b")
        a.join()
        b.join()
        woken.clear()
        a.take("x", "w1")
        assert (b.elsewhere("w1"), a.elsewhere("w1"), b.elsewhere("w2")) == (1, 0, 0)
        a.give_back("x")
        a.give_back("x")
        assert b.elsewhere("w1") == 0
        assert woken == ["b"]

    def test_a_place_is_left_to_who_has_fewer(self):
        (a, b), _ = self.make("a", "b")
        a.join()
        b.join()
        a.take("x", "w1")
        b.want(frozenset({"w1"}))
        assert (a.elsewhere("w1"), a.elsewhere("w2")) == (1, 0)
        b.take("y", "w2")
        assert a.elsewhere("w1") == 0, "equally many, and b got one last"
        a.give_back("x")
        b.give_back("y")
        a.want(frozenset({"w1"}))
        assert (a.elsewhere("w1"), b.elsewhere("w1")) == (0, 1), "one of the two takes it"

    def test_a_run_alone_need_not_look_and_learns_when_it_is_alone_again(self):
        (a, b), _ = self.make("a", "b")
        a.join()
        assert not a.crowded()
        b.join()
        assert a.crowded()
        b.leave()
        assert a.crowded()
        assert not a.crowded()


def together(tmp_path, *plans, workers, acts, drive=None):
    """Run plans side by side; gives the engine, states, and events in the order in which they were told."""
    heard = []

    async def main():
        blobs, store = BlobStore(tmp_path / "blobs"), Watched(SqliteStore(tmp_path / "nadg.db"))
        await store.open()
        engine = FakeEngine(
            blobs, workers=workers, script={p.id: [acts(p.id)] for plan in plans for p in plan.subtasks}
        )
        runners = [
            Runner(
                run_id=plan.command, plan=plan, data={}, engine=engine, store=store, blobs=blobs,
                owner=this_owner("test"), listener=heard.append, seed=1,
            )
            for plan in plans
        ]  # fmt: skip
        try:
            if drive is not None:
                states = await drive(engine, runners)
            else:
                states = await asyncio.gather(*(runner.run() for runner in runners))
        finally:
            await store.close()
        return engine, states

    engine, states = run_virtual(main())
    return engine, states, heard


def test_capacity_is_kept_over_runs_and_nobody_is_refused(tmp_path):
    workers = [worker("w1", capacity=2), worker("w2", capacity=1)]
    engine, states, heard = together(
        tmp_path, many("a", 15), many("b", 15), many("c", 5), workers=workers, acts=lambda _: Act(seconds=1)
    )
    assert states == [RunState.SUCCEEDED] * 3
    assert engine.most["w1"] <= 2
    assert engine.most["w2"] <= 1
    outcomes = [e.payload["outcome"] for e in heard if e.type is EventType.ATTEMPT_ENDED]
    assert outcomes == ["succeeded"] * 35


def test_a_short_run_does_not_wait_for_a_long_one(tmp_path):
    engine, _, heard = together(
        tmp_path, many("long", 40), many("short", 4), workers=[worker("w1", capacity=4)], acts=lambda _: Act(seconds=5)
    )
    ends = [e.run_id for e in heard if e.type is EventType.RUN_ENDED]
    assert ends == ["short", "long"]
    begun = next(n for n, e in enumerate(heard) if e.run_id == "short" and e.type is EventType.SUBTASK_STATE)
    after = [e.run_id for e in heard[begun:] if e.type is EventType.ATTEMPT_INTENDED]
    assert after.index("short") <= 4, "at most what had been decided already"
    assert len(engine.submitted) == 44


def test_a_run_that_cannot_use_a_worker_does_not_keep_its_places(tmp_path):
    async def drive(engine, runners):
        plain, picky = runners
        waiting = asyncio.create_task(picky.run())
        state = await plain.run()
        picky.request(Cancel(by="ada"))
        return [state, await waiting]

    engine, states, _ = together(
        tmp_path, many("plain", 6), many("picky", 3, labels=("gpu",)), workers=[worker("w1", capacity=3)],
        acts=lambda _: Act(seconds=1), drive=drive,
    )  # fmt: skip
    assert states == [RunState.SUCCEEDED, RunState.CANCELLED]
    assert engine.most["w1"] == 3
