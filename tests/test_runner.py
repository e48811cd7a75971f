"""Drives whole runs over a scripted engine and the real SQLite journal."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import ClassVar

import pytest

from nadg_kernel import values
from nadg_kernel.engines.base import AttemptEvent
from nadg_kernel.errors import EditError, PlanNotApproved
from nadg_kernel.model import EventType, Map, Plan, RunState, Subtask
from nadg_kernel.runner import Cancel, Hold, Rerun, Revise, Runner, Skip
from nadg_kernel.scheduler import RetryPolicy
from nadg_kernel.stores.blobs import BlobStore
from nadg_kernel.stores.owners import this_owner
from nadg_kernel.stores.sqlite import SqliteStore
from nadg_kernel.wire import INLINE_BYTES
from tests.support.fake_engine import Act, FakeEngine, worker
from tests.support.virtual import Watched, run_virtual


def step(name, *needs, **given):
    given.setdefault("inputs", needs)
    given.setdefault("code", f"result = {name!r}")
    return Subtask(id=name, depends_on=needs, **given)


def plan_of(*subtasks, data=()):
    from nadg_kernel.model import DataSchema

    schemas = {name: DataSchema(kind="json") for name in data}
    return Plan(command="test", subtasks=tuple(subtasks), data=schemas).approve(by="ada")


class Bench:
    """One run over a fake engine and a real store, and all that became of it."""

    def __init__(self, folder, plan, *, data=None, workers=None, script=None, **options):
        self.folder, self.plan = folder, plan
        self.blobs = BlobStore(folder / "blobs")
        self.store = Watched(SqliteStore(folder / "nadg.db"))
        self.engine = FakeEngine(self.blobs, workers=workers, script=script)
        self.heard = []
        self.data = {name: self.ref(value) for name, value in (data or {}).items()}
        self.options = {"policy": RetryPolicy(base_s=0.01, breaker_base_s=0.05), "seed": 1, "run_id": "r1", **options}
        self.runner = self.make()

    def make(self, **more):
        given = {"plan": self.plan, **self.options, **more}
        return Runner(
            data=self.data, engine=self.engine, store=self.store, blobs=self.blobs, owner=this_owner("test"),
            listener=self.heard.append, **given,
        )  # fmt: skip

    def ref(self, value):
        return values.to_ref(values.encode(value), INLINE_BYTES, lambda _sha, data: self.blobs.put(data))

    async def journal(self, run_id="r1"):
        return [event async for event in self.store.read(run_id)]

    def states(self):
        return {e.subtask: e.payload["state"] for e in self.heard if e.type is EventType.SUBTASK_STATE}

    def reasons(self):
        return {e.subtask: e.payload["reason"] for e in self.heard if e.type is EventType.SUBTASK_STATE}

    def values(self, name):
        ends = [e for e in self.heard if e.subtask == name and e.type is EventType.ATTEMPT_ENDED]
        good = {e.shard: e.payload["result"]["value"] for e in ends if e.payload["outcome"] == "succeeded"}
        return [values.decode(values.from_ref(good[n], self.blobs.get)) for n in sorted(good)]

    def kinds(self, *kinds):
        return [e for e in self.heard if e.type in kinds]

    async def heard_of(self, kind, subtask=None, count=1, **payload):
        """Wait until an event was heard."""

        def matching():
            return [
                e for e in self.heard
                if e.type is kind and subtask in {None, e.subtask}
                and all(e.payload.get(k) == v for k, v in payload.items())
            ]  # fmt: skip

        for _ in range(2000):
            if len(matching()) >= count:
                return matching()[-1]
            await asyncio.sleep(0.005)
        raise AssertionError(f"{kind} of {subtask} with {payload} never came")


@pytest.fixture
def bench(tmp_path):
    """Make a bench and run `drive(bench)` on it over virtual time, its journal checked at the end."""

    def go(plan, drive=None, **options):
        made = {}

        async def main():
            made["it"] = it = Bench(tmp_path, plan, **options)
            await it.store.open()
            try:
                await (drive(it) if drive is not None else it.runner.run())
                written = await it.journal(it.options["run_id"])
                assert [e.seq for e in written] == list(range(1, len(written) + 1))
                intended = [e.attempt_id for e in written if e.type is EventType.ATTEMPT_INTENDED]
                assert len(set(intended)) == len(intended)
                sent = {spec.attempt_id for spec in it.engine.submitted}
                assert sent <= set(intended), "nothing was sent that was not journalled"
                it.written = written
            finally:
                await it.store.close()

        run_virtual(main())
        return made["it"]

    return go


def test_a_run_from_start_to_end(bench):
    plan = plan_of(
        step("a", inputs=("reviews",)), step("b", "a"), step("c", "a"), step("d", "b", "c"), data=("reviews",)
    )
    add = Act(value=lambda inputs, spec: sorted(inputs.items()), stdout=("hello ", "world\n"))
    it = bench(plan, script={name: [add] for name in "abcd"}, data={"reviews": [1, 2]})
    assert it.states() == dict.fromkeys("abcd", "succeeded")
    assert it.values("a") == [[["reviews", [1, 2]]]]
    assert it.values("d") == [[["b", [["a", it.values("a")[0]]]], ["c", [["a", it.values("a")[0]]]]]]
    assert [e.seq for e in it.heard] == [e.seq for e in it.written]
    first, *_, last = it.heard
    assert (first.type, first.payload["resumed"]) == (EventType.RUN_STARTED, False)
    assert (last.type, last.payload["state"]) == (EventType.RUN_ENDED, "succeeded")
    said = "".join(e.payload.get("stdout", "") for e in it.kinds(EventType.ATTEMPT_PROGRESS) if e.subtask == "a")
    assert said == "hello world\n"
    assert it.engine.most["w1"] <= 2


def test_a_draft_never_runs(bench, tmp_path):
    with pytest.raises(PlanNotApproved):
        bench(Plan(command="draft", subtasks=(step("a"),)))


def test_a_rehearsal_is_a_draft_without_network_and_processes(bench):
    from nadg_kernel.model import Permissions

    allowed = step("a", permissions=Permissions(network=True, processes=True))
    it = bench(Plan(command="draft", subtasks=(allowed,)), rehearsal=True)
    assert it.engine.submitted[0].permissions == Permissions()
    assert it.heard[0].payload["rehearsal"] is True


class TestShards:
    PLAN = (
        step("m", inputs=("rows", "factor"), map=Map(over="rows", shards=3)),
        step("sum", "m"),
    )

    def test_are_cut_from_data_and_arrive_as_a_list_in_order(self, bench):
        times = Act(value=lambda inputs, spec: [n * inputs["factor"] for n in inputs["rows"]])
        plan = plan_of(*self.PLAN, data=("rows", "factor"))
        it = bench(
            plan, data={"rows": list(range(10)), "factor": 10},
            script={"m": [times], "sum": [Act(value=lambda inputs, spec: inputs["m"])]},
        )  # fmt: skip
        assert [(s.shard, s.shards) for s in it.engine.submitted if s.subtask == "m"] == [(0, 3), (1, 3), (2, 3)]
        assert it.values("sum") == [[[0, 10, 20, 30], [40, 50, 60], [70, 80, 90]]]
        (fixed,) = it.kinds(EventType.SHARDS_FIXED)
        assert (fixed.subtask, fixed.payload) == ("m", {"count": 3})

    def test_of_an_upstream_value_are_counted_when_it_exists(self, bench):
        plan = plan_of(step("a"), step("m", "a", map=Map(over="a", rows=2)))
        it = bench(plan, script={"a": [Act(value=[1, 2, 3])], "m": [Act(value=lambda inputs, spec: inputs["a"])]})
        assert it.values("m") == [[1, 2], [3]]
        at = {e.type: e.seq for e in it.heard if e.subtask in {"a", "m"}}
        ended = next(e.seq for e in it.heard if e.type is EventType.ATTEMPT_ENDED and e.subtask == "a")
        assert at[EventType.SHARDS_FIXED] > ended

    def test_frames_cross_as_arrow_pieces(self, bench):
        import pandas as pd

        frame = pd.DataFrame({"x": range(100_000), "y": "text"})
        plan = plan_of(step("m", inputs=("f",), map=Map(over="f", shards=4)), data=("f",))
        count = Act(value=lambda inputs, spec: (len(inputs["f"]), int(inputs["f"].x.iloc[0])))
        it = bench(plan, data={"f": frame}, script={"m": [count]}, workers=[worker("w1", capacity=4)])
        assert it.values("m") == [[25_000, n * 25_000] for n in range(4)]


class TestTrouble:
    def test_lost_goes_to_another_worker(self, bench):
        it = bench(
            plan_of(step("a")), script={"a": [Act(outcome="lost", payload={"reason": "reset"}), Act()]},
            workers=[worker("w1"), worker("w2")],
        )  # fmt: skip
        first, second = it.engine.submitted
        assert first.worker_id != second.worker_id
        assert first.attempt_id != second.attempt_id
        assert it.states() == {"a": "succeeded"}
        numbers = [e.payload["number"] for e in it.kinds(EventType.ATTEMPT_INTENDED)]
        assert numbers == [1, 2]

    def test_what_never_works_fails_with_the_reason(self, bench):
        it = bench(
            plan_of(step("a"), step("b", "a")), script={"a": [Act(outcome="rejected", payload={"reason": "no"})]}
        )
        assert len(it.engine.submitted) == 5
        assert it.states() == {"a": "failed", "b": "skipped"}
        assert it.reasons()["a"] == "given up after 5 tries; last: rejected by w1: no"
        assert it.heard[-1].payload["state"] == "failed"

    def test_a_full_worker_is_asked_again_when_it_says(self, bench):
        full = Act(outcome="rejected", payload={"retry_after": 30, "reason": "full"}, seconds=0.01)
        it = bench(plan_of(step("a")), script={"a": [full, full, Act()]})
        assert it.states() == {"a": "succeeded"}

    def test_a_stream_that_just_stops_is_a_lost_attempt(self, bench):
        it = bench(plan_of(step("a")), script={"a": [Act(silent=True), Act()]})
        assert [e.payload["outcome"] for e in it.kinds(EventType.ATTEMPT_ENDED)] == ["lost", "succeeded"]

    def test_a_bug_in_the_engine_ends_the_run_and_is_raised(self, bench):
        async def drive(it):
            with pytest.raises(ZeroDivisionError):
                await it.runner.run()

        plan = plan_of(step("a"), step("b"))
        it = bench(plan, drive, script={"a": [Act(busy=True)], "b": [Act(crash=ZeroDivisionError("oops"))]})
        assert it.heard[-1].type is EventType.RUN_ENDED
        assert it.heard[-1].payload["state"] == "failed"
        assert "oops" in it.heard[-1].payload["reason"]
        assert it.engine.cancelled, "what still ran was killed"

    def test_bytes_that_are_not_here_are_a_named_problem(self, bench):
        async def drive(it):
            it.data["d"] = {"format": "bytes", "sha256": "0" * 64, "size": 10}
            it.runner = it.make()
            await it.runner.run()

        plan = plan_of(step("a", inputs=("d",)), step("m", inputs=("d",), map=Map(over="d", shards=2)), data=("d",))
        it = bench(plan, drive)
        assert it.states() == {"a": "failed", "m": "failed"}
        assert "attach it again" in it.reasons()["a"]
        assert "cannot be split" in it.reasons()["m"]
        assert it.engine.submitted == []

    def test_another_owner_stops_the_run(self, bench):
        async def drive(it):
            task = asyncio.create_task(it.runner.run())
            await it.heard_of(EventType.ATTEMPT_STARTED, "a")
            await it.store.claim("r1", this_owner("test"))
            assert await task is RunState.INTERRUPTED

        it = bench(plan_of(step("a")), drive, script={"a": [Act(busy=True)]})
        assert it.heard[-1].payload["state"] == "interrupted"
        assert it.written[-1].type is not EventType.RUN_ENDED, "an old owner writes nothing"
        assert it.engine.cancelled == [], "the attempt belongs to the new owner"

    def test_no_worker_is_said_and_waited_for(self, bench):
        async def drive(it):
            task = asyncio.create_task(it.runner.run())
            await it.heard_of(EventType.SUBTASK_STATE, "a", state="ready")
            assert "no registered worker offers gpu" in it.runner.waiting_for("a")
            it.engine.change("w2", labels=frozenset({"gpu"}))
            assert await task is RunState.SUCCEEDED

        it = bench(plan_of(step("a", labels=("gpu",))), drive)
        assert it.engine.submitted[0].worker_id == "w2"
        assert it.kinds(EventType.WORKER_STATE)[-1].payload["worker"] == "w2"

    def test_a_worker_without_the_imports_is_not_asked(self, bench):
        plan = plan_of(step("a", code="import polars\nresult = 1"))
        it = bench(plan, workers=[worker("w1"), worker("w2", modules=frozenset({"polars"}))])
        assert it.engine.submitted[0].worker_id == "w2"
        assert all("import" not in "".join(e.payload["labels"]) for e in it.kinds(EventType.WORKER_STATE))

    def test_a_worker_that_left_gets_nothing_more(self, bench):
        async def drive(it):
            task = asyncio.create_task(it.runner.run())
            await it.heard_of(EventType.ATTEMPT_STARTED, "a")
            it.engine.remove("w2")
            await it.heard_of(EventType.WORKER_STATE, state="removed")
            assert await task is RunState.SUCCEEDED

        plan = plan_of(step("a"), step("b", "a"), step("c", "b"))
        it = bench(plan, drive, workers=[worker("w1"), worker("w2")], script={"a": [Act(seconds=1)]})
        assert {s.worker_id for s in it.engine.submitted if s.subtask != "a"} == {"w1"}


class TestIntents:
    def test_hold_pauses_and_release_goes_on(self, bench):
        async def drive(it):
            it.runner.request(Hold(subtask="b"))
            assert await it.runner.run() is RunState.PAUSED
            assert it.states() == {"a": "succeeded", "b": "held", "c": "waiting"}
            assert it.heard[-1].payload == {"state": "paused", "reason": "held: b"}
            assert await it.runner.run() is RunState.PAUSED, "nothing new, nothing written"
            it.runner.request(Hold(subtask="b", on=False))
            assert await it.runner.run() is RunState.SUCCEEDED

        it = bench(plan_of(step("a"), step("b", "a"), step("c", "b")), drive)
        starts = it.kinds(EventType.RUN_STARTED)
        assert [e.payload["resumed"] for e in starts] == [False, True]
        assert len(it.kinds(EventType.RUN_ENDED)) == 2

    def test_cancel_kills_what_runs_and_skips_what_follows(self, bench):
        async def drive(it):
            task = asyncio.create_task(it.runner.run())
            await it.heard_of(EventType.ATTEMPT_STARTED, "a")
            it.runner.request(Cancel(subtask="a", by="ada"))
            assert await task is RunState.CANCELLED

        it = bench(plan_of(step("a"), step("b", "a"), step("c")), drive, script={"a": [Act(busy=True)]})
        assert it.states() == {"a": "cancelled", "b": "skipped", "c": "succeeded"}
        assert it.engine.cancelled == [s.attempt_id for s in it.engine.submitted if s.subtask == "a"]

    def test_a_kill_that_nobody_confirms_is_not_waited_for_for_ever(self, bench):
        async def drive(it):
            task = asyncio.create_task(it.runner.run())
            await it.heard_of(EventType.ATTEMPT_STARTED, "a")
            it.runner.request(Cancel(by="ada"))
            assert await task is RunState.CANCELLED

        it = bench(plan_of(step("a")), drive, script={"a": [Act(busy=True, deaf=True)]})
        (end,) = it.kinds(EventType.ATTEMPT_ENDED)
        assert end.payload["reason"] == "the worker did not confirm the kill in time"

    def test_skip(self, bench):
        async def drive(it):
            it.runner.request(Skip(subtask="b", by="ada"))
            assert await it.runner.run() is RunState.SUCCEEDED

        it = bench(plan_of(step("a"), step("b"), step("c", "b")), drive)
        assert it.states() == {"a": "succeeded", "b": "skipped", "c": "skipped"}

    def test_rerun_after_the_end(self, bench):
        async def drive(it):
            assert await it.runner.run() is RunState.FAILED
            it.runner.request(Rerun(subtask="b", by="ada"))
            assert await it.runner.run() is RunState.SUCCEEDED

        plan = plan_of(step("a"), step("b", "a"), step("c", "b"))
        it = bench(plan, drive, script={"b": [Act(outcome="failed"), Act(value=2)]})
        assert it.engine.executed == {("a", 0): 1, ("b", 0): 2, ("c", 0): 1}
        (revised,) = it.kinds(EventType.PLAN_REVISED)
        assert revised.payload["reset"] == ["b", "c"]
        assert revised.payload["by"] == "ada"

    def test_rerun_of_what_runs_kills_it_first(self, bench):
        async def drive(it):
            task = asyncio.create_task(it.runner.run())
            await it.heard_of(EventType.ATTEMPT_STARTED, "a")
            it.runner.request(Rerun(subtask="a"))
            assert await task is RunState.SUCCEEDED

        it = bench(plan_of(step("a"), step("b", "a")), drive, script={"a": [Act(busy=True), Act()]})
        ends = [e.payload["outcome"] for e in it.kinds(EventType.ATTEMPT_ENDED)]
        assert ends == ["cancelled", "succeeded", "succeeded"]
        assert len(it.engine.cancelled) == 1

    def test_revise_runs_what_changed_again_and_keeps_the_rest(self, bench):
        async def drive(it):
            assert await it.runner.run() is RunState.FAILED
            plan = it.plan.edit("b", code="result = 'repaired'").add(
                id="d", title="d", code="result = inputs['b']", depends_on=["b"]
            )
            with pytest.raises(PlanNotApproved):
                it.runner.request(Revise(plan=plan))
            it.revised = plan.approve(by="ada")
            it.runner.request(Revise(plan=it.revised, by="ada"))
            assert await it.runner.run() is RunState.SUCCEEDED
            assert (await it.store.get_plan("r1")).digest == it.revised.digest

        it = bench(plan_of(step("a"), step("b", "a")), drive, script={"b": [Act(outcome="failed"), Act(value=2)]})
        assert it.engine.executed == {("a", 0): 1, ("b", 0): 2, ("d", 0): 1}
        assert it.engine.submitted[-2].code == "result = 'repaired'"
        assert it.states()["d"] == "succeeded"

    def test_an_intent_for_nothing_is_refused_at_once(self, bench):
        async def drive(it):
            with pytest.raises(EditError, match="no subtask 'x'"):
                it.runner.request(Cancel(subtask="x"))
            await it.runner.run()
            it.runner.request(Cancel())
            it.runner.request(Skip(subtask="a"))
            assert await it.runner.run() is RunState.SUCCEEDED

        it = bench(plan_of(step("a")), drive)
        assert it.heard[-1].type is EventType.RUN_ENDED
        assert it.kinds(EventType.CANCEL_REQUESTED) == []


class TestCache:
    PLAN = (step("a"), step("m", "a", map=Map(over="a", shards=2)), step("p", "m", cache=False))
    SCRIPT: ClassVar = {"a": [Act(value=[1, 2])], "m": [Act(value=lambda inputs, spec: inputs["a"])]}

    def test_is_shared_over_runs(self, bench, tmp_path):
        plan = plan_of(*self.PLAN)
        one = bench(plan, script=dict(self.SCRIPT))
        two = bench(plan, script=dict(self.SCRIPT), run_id="r2")
        assert one.engine.executed == {("a", 0): 1, ("m", 0): 1, ("m", 1): 1, ("p", 0): 1}
        assert two.engine.executed == {("p", 0): 1}
        assert two.states() == {"a": "cached", "m": "cached", "p": "succeeded"}
        assert {e.payload["run_id"] for e in two.kinds(EventType.SHARD_CACHED)} == {"r1"}

    @pytest.mark.parametrize("change", ["code", "packages", "data"])
    def test_knows_what_makes_a_difference(self, bench, change):
        def once(run_id, *, code="import numpy\nresult = 1", version="2.0", data=1):
            plan = plan_of(step("a", inputs=("d",), code=code), data=("d",))
            around = [worker("w1", packages={"numpy": version, "other": run_id})]
            return bench(plan, data={"d": data}, workers=around, run_id=run_id).states()["a"]

        assert once("r1") == "succeeded"
        assert once("r2") == "cached", "another version of what is not imported changes nothing"
        other = {"code": {"code": "import numpy\nresult = 2"}, "packages": {"version": "2.1"}, "data": {"data": 2}}
        assert once("r3", **other[change]) == "succeeded"

    def test_is_passed_by_when_a_good_subtask_is_run_again(self, bench):
        async def drive(it):
            await it.runner.run()
            it.runner.request(Rerun(subtask="a"))
            await it.runner.run()

        it = bench(plan_of(step("a"), step("b", "a")), drive)
        assert it.engine.executed == {("a", 0): 2, ("b", 0): 1}
        assert it.states() == {"a": "succeeded", "b": "cached"}

    def test_a_result_whose_bytes_are_gone_is_made_again(self, bench, tmp_path):
        import shutil

        big = {"a": [Act(value="x" * 200_000)]}
        bench(plan_of(step("a")), script=dict(big))
        shutil.rmtree(tmp_path / "blobs")
        again = bench(plan_of(step("a")), script=dict(big), run_id="r2")
        assert again.states() == {"a": "succeeded"}


class TestResume:
    PLAN = (
        step("a"),
        step("m", "a", map=Map(over="a", shards=3)),
        step("end", "m"),
    )
    SCRIPT: ClassVar = {"a": [Act(value=[1, 2, 3])], "end": [Act(value=lambda inputs, spec: inputs["m"])]}

    def once(self, bench, *, survive):
        """A run whose owner dies while two shards run, and its resumption."""

        async def drive(it):
            it.engine.survive = survive
            first = asyncio.create_task(it.runner.run())
            await it.heard_of(EventType.ATTEMPT_STARTED, "m", count=2)
            it.engine.script["m"] = [act]
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            epoch = await it.store.claim("r1", this_owner("test"))
            it.heard.clear()
            it.runner = it.make(epoch=epoch, history=await it.journal())
            assert await it.runner.run() is RunState.SUCCEEDED

        act = Act(value=lambda inputs, spec: inputs["a"], seconds=0.5)
        plan = plan_of(*self.PLAN)
        return bench(plan, drive, script={**self.SCRIPT, "m": [act]}, workers=[worker("w1", capacity=2)])

    def test_what_is_finished_is_not_run_again_and_what_was_lost_is(self, bench):
        it = self.once(bench, survive=False)
        assert it.engine.executed == {("a", 0): 1, ("m", 0): 1, ("m", 1): 1, ("m", 2): 1, ("end", 0): 1}
        assert it.values("end") == [[[1], [2], [3]]]
        assert it.heard[0].payload["resumed"] is True
        assert {e.epoch for e in it.written} == {1, 2}
        lost = [e for e in it.kinds(EventType.ATTEMPT_ENDED) if e.payload["outcome"] == "lost"]
        assert len(lost) == 2
        assert all(e.payload["resumed"] for e in lost)

    def test_what_runs_on_remote_workers_is_reattached(self, bench):
        it = self.once(bench, survive=True)
        assert len(it.engine.reattached) == 2
        assert it.engine.executed == {("a", 0): 1, ("m", 0): 1, ("m", 1): 1, ("m", 2): 1, ("end", 0): 1}
        assert len([s for s in it.engine.submitted if s.subtask == "m"]) == 3
        assert it.values("end") == [[[1], [2], [3]]]

    def test_close_leaves_a_run_that_can_be_resumed(self, bench):
        async def drive(it):
            it.engine.survive = True
            task = asyncio.create_task(it.runner.run())
            await it.heard_of(EventType.ATTEMPT_STARTED, "a")
            await it.runner.close()
            assert await task is RunState.INTERRUPTED
            assert [row.run_id for row in await it.store.unfinished()] == ["r1"]
            it.runner = it.make(epoch=await it.store.claim("r1", this_owner("test")), history=await it.journal())
            assert await it.runner.run() is RunState.SUCCEEDED

        it = bench(plan_of(step("a")), drive, script={"a": [Act(seconds=2)]})
        assert it.engine.executed == {("a", 0): 1}

    def test_of_a_finished_run_changes_nothing(self, bench):
        async def drive(it):
            await it.runner.run()
            before = await it.journal()
            it.runner = it.make(epoch=await it.store.claim("r1", this_owner("test")), history=before)
            assert await it.runner.run() is RunState.SUCCEEDED
            assert await it.journal() == before

        bench(plan_of(step("a"), step("b", "a")), drive)

    def test_keeps_revisions(self, bench):
        async def drive(it):
            await it.runner.run()
            plan = it.plan.edit("b", code="result = 3").approve(by="ada")
            it.runner.request(Revise(plan=plan))
            it.runner.request(Hold(subtask="b"))
            assert await it.runner.run() is RunState.PAUSED
            epoch = await it.store.claim("r1", this_owner("test"))
            it.runner = it.make(epoch=epoch, history=await it.journal(), plan=await it.store.get_plan("r1"))
            it.runner.request(Hold(subtask="b", on=False))
            assert await it.runner.run() is RunState.SUCCEEDED

        it = bench(plan_of(step("a"), step("b", "a")), drive)
        assert it.engine.executed == {("a", 0): 1, ("b", 0): 2}
        assert it.engine.submitted[-1].code == "result = 3"


def test_output_reaches_the_journal_at_most_ten_times_a_second(bench):
    class Chatty(FakeEngine):
        async def submit(self, spec):
            for number in range(300):
                yield AttemptEvent(type="stdout", id=number + 1, data={"text": f"{number} "})
                await asyncio.sleep(0.005)
            yield AttemptEvent(type="ended", data={"outcome": "succeeded", "result": {}})

    def clock():
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=asyncio.get_running_loop().time())

    async def drive(it):
        it.engine = Chatty(it.blobs)
        it.runner = it.make(clock=clock)
        await it.runner.run()

    it = bench(plan_of(step("a")), drive)
    said = it.kinds(EventType.ATTEMPT_PROGRESS)
    assert "".join(e.payload["stdout"] for e in said) == "".join(f"{n} " for n in range(300))
    assert all(later.at - sooner.at >= timedelta(seconds=0.099) for sooner, later in pairwise(said[:-1]))
    assert said[-1].payload["event_id"] == 300


def test_the_heartbeat_goes_on_while_attempts_run(bench):
    beats = []

    async def drive(it):
        beat = it.store.beat

        async def counted(*given):
            beats.append(given)
            await beat(*given)

        it.store.beat = counted
        await it.runner.run()

    bench(plan_of(step("a")), drive, script={"a": [Act(seconds=60)]})
    assert len(beats) >= 10
    assert set(beats) == {("r1", 1)}


def test_a_resumed_run_waits_to_meet_the_worker_of_an_attempt(bench):
    async def drive(it):
        it.engine.survive = True
        first = asyncio.create_task(it.runner.run())
        await it.heard_of(EventType.ATTEMPT_STARTED, "a")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        state = it.engine._states.pop("w1")
        it.runner = it.make(epoch=await it.store.claim("r1", this_owner("test")), history=await it.journal())
        second = asyncio.create_task(it.runner.run())
        await asyncio.sleep(2)
        it.engine.change("w1", boot_id=state.boot_id)
        assert await second is RunState.SUCCEEDED

    it = bench(plan_of(step("a")), drive, script={"a": [Act(seconds=5)]})
    assert it.engine.executed == {("a", 0): 1}
    assert len(it.engine.submitted) == 1
