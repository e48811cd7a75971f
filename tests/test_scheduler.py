"""What the scheduler decides, event by event."""

from __future__ import annotations

import sys

import pytest

from nadg_kernel.model import DataSchema, EventType, Permissions, RunState
from nadg_kernel.scheduler import RetryPolicy, Scheduler
from tests.support.scheduling import Driver, plan_of, subtask


def test_dependents_start_when_their_own_dependencies_are_done():
    run = Driver(subtask("a"), subtask("b"), subtask("c", "a"), subtask("d", "b", "c"), capacity=4)
    assert run.decide() == ["a.0@w1", "b.0@w1"]
    assert run.states == {"a": "running", "b": "running", "c": "waiting", "d": "waiting"}
    assert run.end("a") == ["c.0@w1"], "no barrier: b still runs"
    assert run.end("b") == []
    assert run.end("c") == ["d.0@w1"]
    run.end("d")
    assert set(run.states.values()) == {"succeeded"}
    assert run.scheduler.run_state is RunState.SUCCEEDED


def test_choice_is_priority_then_longest_path_then_age():
    run = Driver(
        subtask("short"), subtask("long"), subtask("tail", "long"), subtask("urgent", priority=5), subtask("last")
    )
    order = run.decide()
    for name in ("urgent", "long", "short", "last"):
        order += run.end(name)
    assert [item.split(".")[0] for item in order] == ["urgent", "long", "short", "last", "tail"]


def test_estimates_weigh_the_path():
    plan = subtask("a"), subtask("a2", "a"), subtask("b")
    assert Driver(*plan, estimates={"a": 1.0, "a2": 1.0, "b": 10.0}).decide() == ["b.0@w1"]
    assert Driver(*plan, estimates={"b": 10.0}).decide() == ["a.0@w1"], "what is not known counts as the mean"


def test_a_plan_with_a_cycle_or_a_hole_is_refused():
    with pytest.raises(ValueError, match="cycle through a, b"):
        Scheduler(plan_of(subtask("a", "b"), subtask("b", "a")))
    with pytest.raises(ValueError, match="a depends on gone"):
        Scheduler(plan_of(subtask("a", "gone")))


def test_an_empty_plan_has_succeeded():
    assert Driver().scheduler.run_state is RunState.SUCCEEDED


class TestShards:
    def test_wait_until_they_are_counted_and_run_side_by_side(self):
        run = Driver(subtask("m", over="data"), subtask("after", "m"), capacity=3)
        assert run.decide() == []
        assert run.scheduler.unfixed() == ["m"]
        assert run.scheduler.run_state is RunState.RUNNING
        run.apply(EventType.SHARDS_FIXED, "m", count=3)
        assert run.decide() == ["m.0@w1", "m.1@w1", "m.2@w1"]
        assert run.scheduler.unfixed() == []
        run.end("m", 1)
        run.end("m", 0)
        assert run.end("m", 2) == ["after.0@w1"]

    def test_are_counted_once(self):
        run = Driver(subtask("m", over="data"), capacity=9)
        run.apply(EventType.SHARDS_FIXED, "m", count=2)
        run.apply(EventType.SHARDS_FIXED, "m", count=5)
        assert len(run.decide()) == 2

    def test_one_that_fails_leaves_its_siblings_be(self):
        run = Driver(subtask("m", over="data"), subtask("after", "m"))
        run.apply(EventType.SHARDS_FIXED, "m", count=3)
        run.decide()
        assert run.end("m", 0, "failed", error={"type": "ValueError", "message": "no", "line": 3}) == ["m.1@w1"]
        assert run.states["m"] == "running"
        run.end("m", 1)
        run.end("m", 2)
        assert run.states == {"m": "failed", "after": "skipped"}
        assert run.reasons == {"m": "shard 0: ValueError: no (line 3)", "after": "m was failed"}
        assert run.scheduler.run_state is RunState.FAILED

    def test_none_at_all_is_done_at_once(self):
        run = Driver(subtask("m", over="data"), subtask("after", "m"))
        run.apply(EventType.SHARDS_FIXED, "m", count=0)
        assert run.decide() == ["after.0@w1"]


class TestRetry:
    def test_lost_is_sent_again_later_and_elsewhere(self):
        run = Driver(subtask("a"), workers=("w1", "w2"))
        (start,) = run.decide()
        first = start[-2:]
        assert run.end("a", outcome="lost", reason="connection reset") == []
        assert run.states["a"] == "ready"
        assert run.reasons["a"] == f"lost on {first}: connection reset; will be tried again"
        assert 0.25 <= run.wake_at <= 0.75
        (again,) = run.until(1.0)
        assert again[-2:] != first

    def test_the_only_worker_gets_it_again(self):
        run = Driver(subtask("a"))
        run.decide()
        run.end("a", outcome="lost")
        assert run.until(1.0) == ["a.0@w1"]

    @pytest.mark.parametrize("outcome", ["lost", "rejected"])
    def test_is_bounded_and_keeps_the_last_reason(self, outcome):
        run = Driver(subtask("a"), subtask("b", "a"), policy=RetryPolicy(tries=5, breaker_failures=99))
        tries = len(run.decide())
        while run.running:
            run.end("a", outcome=outcome, reason="gone")
            tries += len(run.until(run.now + 60))
        assert tries == 5
        assert run.states == {"a": "failed", "b": "skipped"}
        word = "lost on" if outcome == "lost" else "rejected by"
        assert run.reasons["a"] == f"given up after 5 tries; last: {word} w1: gone"

    def test_delays_double_with_seeded_jitter(self):
        def delays(seed):
            run = Driver(subtask("a"), seed=seed, policy=RetryPolicy(tries=6, breaker_failures=99))
            run.decide()
            out = []
            for _ in range(5):
                run.end("a", outcome="lost")
                out.append(run.wake_at - run.now)
                run.until(run.wake_at)
            return out

        assert delays(1) == delays(1)
        assert delays(1) != delays(2)
        for number, delay in enumerate(delays(1)):
            assert 0.25 * 2**number <= delay <= 0.75 * 2**number

    def test_lost_with_network_only_if_it_may_be_repeated(self):
        run = Driver(subtask("once", network=True), subtask("twice", network=True, repeatable=True), capacity=2)
        run.decide()
        run.end("once", outcome="lost")
        run.end("twice", outcome="lost")
        run.until(5.0)
        assert run.states == {"once": "failed", "twice": "running"}
        assert "repeatable" in run.reasons["once"]

    def test_rejected_with_network_has_not_run_and_is_sent_again(self):
        run = Driver(subtask("a", network=True))
        run.decide()
        run.end("a", outcome="rejected")
        assert run.until(5.0) == ["a.0@w1"]

    def test_what_the_code_did_only_if_the_subtask_asks(self):
        run = Driver(subtask("never"), subtask("once", retries=1), capacity=2)
        run.decide()
        run.end("never", outcome="failed", error={"type": "KeyError", "message": "'x'"})
        run.end("once", outcome="timed_out")
        assert run.until(5.0) == ["once.0@w1"]
        run.end("once", outcome="failed")
        assert run.states == {"never": "failed", "once": "failed"}
        assert run.reasons == {"never": "KeyError: 'x'", "once": "failed"}

    def test_a_full_worker_is_left_alone_as_long_as_it_says_and_costs_no_try(self):
        run = Driver(subtask("a"), policy=RetryPolicy(tries=2))
        run.decide()
        for round_ in range(10):
            assert run.end("a", outcome="rejected", retry_after=7, reason="full") == []
            assert run.wake_at == 7 * (round_ + 1)
            assert run.until(run.wake_at - 0.1) == []
            assert run.until(run.wake_at) == ["a.0@w1"]

    def test_another_worker_takes_at_once_what_a_full_one_refused(self):
        run = Driver(subtask("a"), workers=("w1", "w2"))
        (first,) = run.decide()
        (second,) = run.end("a", outcome="rejected", retry_after=7)
        assert first != second


class TestBreaker:
    def test_opens_after_failures_in_a_row_and_lets_one_probe_through(self):
        run = Driver(*(subtask(f"s{i}") for i in range(9)), capacity=3)
        run.decide()
        for name in ("s0", "s1", "s2", "s3", "s4"):
            run.end(name, outcome="lost")
        assert run.running == {}
        assert run.until(1.9) == [], "open for two seconds"
        assert len(run.until(2.0)) == 1, "half open: one probe, though three slots are free"
        (probe,) = run.running.values()
        assert len(run.end(probe.shard.subtask)) == 3, "closed again"

    def test_opens_longer_when_the_probe_fails(self):
        run = Driver(*(subtask(f"s{i}") for i in range(9)), policy=RetryPolicy(breaker_failures=1, tries=99))
        run.decide()
        waits = []
        for _ in range(7):
            (item,) = run.running.values()
            at = run.now
            run.end(item.shard.subtask, outcome="lost")
            while not run.running:
                run.until(run.wake_at)
            waits.append(run.now - at)
        assert waits == [2, 4, 8, 16, 32, 60, 60]

    def test_a_new_boot_is_a_new_worker(self):
        run = Driver(*(subtask(f"s{i}") for i in range(5)), policy=RetryPolicy(breaker_failures=1))
        run.decide()
        run.end("s0", outcome="lost")
        run.worker("w1", boot_id="b2")
        assert run.decide() == ["s1.0@w1"]

    def test_code_that_fails_is_no_fault_of_the_worker(self):
        run = Driver(*(subtask(f"s{i}") for i in range(9)))
        run.decide()
        for i in range(8):
            assert run.end(f"s{i}", outcome="failed") == [f"s{i + 1}.0@w1"]


class TestWorkers:
    def test_labels_and_permissions_say_who_may(self):
        gpu = subtask("g", permissions=Permissions(gpu=True))
        run = Driver(gpu, subtask("m", labels=("model:x",)), subtask("any"), workers=())
        run.worker("plain")
        run.worker("rich", labels=("gpu", "model:x"), capacity=2)
        assert sorted(run.decide()) == ["any.0@plain", "g.0@rich", "m.0@rich"]

    def test_capacity_is_kept(self):
        run = Driver(*(subtask(f"s{i}") for i in range(9)), workers=("w1", "w2"), capacity=2)
        assert len(run.decide()) == 4
        assert len(run.end("s0")) == 1
        run.worker("w1", capacity=0)
        run.worker("w2", capacity=3)
        assert len(run.decide()) == 1

    @pytest.mark.parametrize("state", ["asleep", "waking", "refusing", "offline"])
    def test_only_ready_ones_get_attempts(self, state):
        run = Driver(subtask("a"), workers=())
        run.worker("w1", state=state, reason="because")
        assert run.decide() == []
        assert run.states["a"] == "ready"
        assert run.reasons["a"] == f"no worker is ready: w1 is {state} (because)"
        assert run.scheduler.run_state is RunState.RUNNING
        run.worker("w1")
        assert run.decide() == ["a.0@w1"]

    def test_none_and_none_that_fits_are_said_in_words(self):
        run = Driver(subtask("a", labels=("gpu",)), workers=())
        run.decide()
        assert run.reasons["a"] == "no worker is registered"
        run.worker("w1", labels=("cpu",))
        run.decide()
        assert run.reasons["a"] == "no registered worker offers gpu (labels of w1: cpu)"
        assert run.scheduler.waiting_for("a") == run.reasons["a"]
        run.worker("w1", labels=("cpu", "gpu"))
        assert run.decide() == ["a.0@w1"]

    def test_one_that_is_removed_takes_nothing(self):
        run = Driver(subtask("a"))
        run.worker("w1", state="removed")
        assert run.decide() == []
        assert run.reasons["a"] == "no worker is registered"

    def test_waiting_for_says_what_else_is_in_the_way(self):
        run = Driver(subtask("a"), subtask("b"), subtask("c", "a", "b"), subtask("h", hold=True))
        run.decide()
        assert run.scheduler.waiting_for("a") == ""
        assert run.scheduler.waiting_for("b") == "all workers that could take it are busy"
        assert run.scheduler.waiting_for("c") == "waits for a, b"
        assert run.scheduler.waiting_for("h") == "held by a person"

    def test_the_one_that_holds_the_data_is_preferred(self):
        chain = [subtask("a"), subtask("b"), subtask("a2", "a"), subtask("b2", "b")]
        run = Driver(*chain, workers=("w1", "w2"), capacity=2)
        first = dict(item.split(".0@") for item in run.decide())
        assert set(first.values()) == {"w1", "w2"}
        run.end("a", size=10_000_000, seconds=9.0)
        assert run.attempt("a2")
        run.end("b", size=10_000_000)
        second = {item.shard.subtask: item.worker for item in run.running.values()}
        assert second == {"a2": first["a"], "b2": first["b"]}

    def test_attached_data_stays_where_it_was_sent(self):
        data = {"big": DataSchema(size=50_000_000)}
        plan = plan_of(subtask("a", inputs=("big",)), subtask("b", "a", inputs=("big",)), data=data)
        for names in (("w1", "w2"), ("w2", "w1")):
            run = Driver(plan=plan, workers=names)
            (first,) = run.decide()
            (second,) = run.end("a", size=1, seconds=30.0)
            assert first[-2:] == second[-2:]

    def test_the_faster_one_gets_the_next(self):
        run = Driver(subtask("m", over="x"), workers=("slow", "fast"))
        run.apply(EventType.SHARDS_FIXED, "m", count=50)
        run.decide()
        for _ in range(20):
            for key, item in list(run.running.items()):
                run.end("m", attempt_id=key, seconds=4.0 if item.worker == "slow" else 0.5)
        for item in list(run.running.values()):
            run.apply(EventType.HOLD_SET, "m", on=True)
            run.end("m", item.shard.number, seconds=4.0 if item.worker == "slow" else 0.5)
        run.apply(EventType.HOLD_SET, "m", on=False)
        starts = run.decide()
        assert starts[0].endswith("@fast")

    def test_attempts_spread_over_workers(self):
        run = Driver(*(subtask(f"s{i}") for i in range(4)), workers=("w1", "w2"), capacity=4)
        assert sorted(item[-2:] for item in run.decide()) == ["w1", "w1", "w2", "w2"]


class TestIntents:
    def test_held_stops_a_start_only(self):
        run = Driver(subtask("a"), subtask("b"), subtask("c", "a", "b"))
        run.decide()
        run.apply(EventType.HOLD_SET, "b", on=True)
        run.apply(EventType.HOLD_SET, "a", on=True)
        run.decide()
        assert run.states == {"a": "running", "b": "held", "c": "waiting"}
        assert run.end("a") == []
        assert run.scheduler.run_state is RunState.PAUSED
        run.apply(EventType.HOLD_SET, "b", on=False)
        assert run.decide() == ["b.0@w1"]

    def test_all_can_be_held_and_released(self):
        run = Driver(subtask("a"), subtask("b"))
        run.apply(EventType.HOLD_SET, None, on=True)
        assert run.decide() == []
        assert run.scheduler.run_state is RunState.PAUSED
        run.apply(EventType.HOLD_SET, None, on=False)
        assert run.decide() == ["a.0@w1"]

    def test_the_plan_may_hold_from_the_start(self):
        run = Driver(subtask("a", hold=True), subtask("b", "a"))
        assert run.decide() == []
        assert run.states == {"a": "held", "b": "waiting"}
        assert run.scheduler.run_state is RunState.PAUSED

    def test_held_shards_in_a_delay_start_neither_at_its_end_nor_before(self):
        run = Driver(subtask("a"))
        run.decide()
        run.end("a", outcome="lost")
        run.apply(EventType.HOLD_SET, "a", on=True)
        assert run.until(10.0) == []
        run.apply(EventType.HOLD_SET, "a", on=False)
        assert run.decide() == ["a.0@w1"]

    def test_skip_skips_what_depends_on_it(self):
        run = Driver(subtask("a"), subtask("b", "a"), subtask("c", "b"), subtask("d"))
        run.apply(EventType.SUBTASK_STATE, "b", state="skipped", by="ada")
        run.decide()
        assert run.states["b"] == run.states["c"] == "skipped"
        assert run.reasons["b"] == "skipped by ada"
        assert run.end("a") == ["d.0@w1"]
        run.end("d")
        assert run.scheduler.run_state is RunState.SUCCEEDED

    def test_a_report_of_a_state_is_no_intent(self):
        run = Driver(subtask("a"))
        run.apply(EventType.SUBTASK_STATE, "a", state="skipped", reason="a replay")
        assert run.decide() == ["a.0@w1"]

    def test_cancel_of_one_kills_it_and_siblings_go_on(self):
        run = Driver(subtask("a"), subtask("a2", "a"), subtask("b"), capacity=2)
        run.decide()
        run.apply(EventType.CANCEL_REQUESTED, "a", by="ada")
        run.decide()
        assert [item.attempt_id for item in run.cancels] == [run.attempt("a")]
        assert run.states["a"] == "running", "until its end is known"
        run.end("a", outcome="cancelled")
        run.end("b")
        assert run.states == {"a": "cancelled", "a2": "skipped", "b": "succeeded"}
        assert run.reasons["a"] == "cancelled by ada"
        assert run.scheduler.run_state is RunState.CANCELLED

    @pytest.mark.parametrize("outcome", ["succeeded", "failed", "lost", "rejected", "cancelled"])
    def test_cancelled_is_cancelled_however_the_attempt_ends(self, outcome):
        run = Driver(subtask("a", retries=3))
        run.decide()
        run.apply(EventType.CANCEL_REQUESTED, "a", by="ada")
        run.end("a", outcome=outcome)
        assert run.until(100.0) == []
        assert run.states["a"] == "cancelled"

    def test_cancel_of_the_run_ends_all_that_is_not_over(self):
        run = Driver(subtask("a", priority=1), subtask("b"), subtask("c", "b"), subtask("m", over="x"))
        run.decide()
        run.end("a")
        run.apply(EventType.CANCEL_REQUESTED, None, by="ada")
        run.decide()
        assert run.states == {"a": "succeeded", "b": "running", "c": "cancelled", "m": "cancelled"}
        run.end("b", outcome="cancelled")
        assert run.scheduler.run_state is RunState.CANCELLED

    def test_someone_at_the_worker_may_cancel_too(self):
        run = Driver(subtask("a"), subtask("b", "a"))
        run.decide()
        run.end("a", outcome="cancelled", reason="deleted at the worker")
        assert run.states == {"a": "cancelled", "b": "skipped"}


class TestRevision:
    def test_rerun_puts_a_subtask_and_its_descendants_back(self):
        run = Driver(subtask("a"), subtask("b", "a"), subtask("c", "b"), subtask("d"), capacity=2)
        run.decide()
        run.end("a")
        run.end("d")
        run.end("b", outcome="failed")
        assert run.scheduler.run_state is RunState.FAILED
        run.apply(EventType.PLAN_REVISED, digest="x", by="ada", changed=[], reset=["b"])
        assert run.decide() == ["b.0@w1"]
        assert run.states == {"a": "succeeded", "b": "running", "c": "waiting", "d": "succeeded"}
        assert run.end("b") == ["c.0@w1"]

    def test_what_still_runs_is_cancelled_and_no_longer_counts(self):
        run = Driver(subtask("a"), subtask("b", "a"), capacity=2)
        run.decide()
        old = run.attempt("a")
        run.apply(EventType.PLAN_REVISED, digest="x", by="ada", changed=["a"], reset=["a"])
        assert not run.scheduler.current(old)
        assert run.decide() == ["a.0@w1"]
        assert [item.attempt_id for item in run.cancels] == [old]
        assert run.end("a", attempt_id=old) == [], "the old result does not let b start"
        assert run.end("a") == ["b.0@w1"]

    def test_a_new_plan_may_add_drop_and_change(self):
        run = Driver(subtask("a"), subtask("b", "a"), subtask("gone", "a"), capacity=4)
        run.decide()
        run.end("a")
        run.end("b", outcome="failed")
        run.scheduler.revise(plan_of(subtask("a"), subtask("b", "a", "new"), subtask("new", labels=("gpu",))))
        run.apply(EventType.PLAN_REVISED, digest="y", by="ada", changed=["b", "new", "gone"], reset=["b"])
        assert run.decide() == []
        assert [item.shard.subtask for item in run.cancels] == ["gone"]
        run.worker("w2", labels=("gpu",))
        assert run.decide() == ["new.0@w2"]
        run.end("gone", outcome="cancelled")
        (again,) = run.end("new")
        assert again.startswith("b.0")
        run.end("b")
        assert run.scheduler.run_state is RunState.SUCCEEDED

    def test_a_new_queue_finds_workers_that_were_free_before(self):
        run = Driver(subtask("a"), workers=())
        run.worker("w1", labels=("gpu",), capacity=2)
        run.decide()
        run.scheduler.revise(plan_of(subtask("a"), subtask("b", labels=("gpu",))))
        run.apply(EventType.PLAN_REVISED, digest="y", by="ada", changed=["b"], reset=[])
        assert run.decide() == ["b.0@w1"]

    def test_priorities_may_change_while_shards_wait(self):
        run = Driver(subtask("a"), subtask("b"), subtask("c"))
        run.decide()
        run.scheduler.revise(plan_of(subtask("a"), subtask("b"), subtask("c", priority=1)))
        run.apply(EventType.PLAN_REVISED, digest="y", by="ada", changed=["c"], reset=[])
        assert run.end("a") == ["c.0@w1"]
        assert run.end("c") == ["b.0@w1"]

    def test_shards_are_counted_again_only_where_the_source_is_made_again(self):
        run = Driver(subtask("a"), subtask("m", "a", over="a"), subtask("n", over="data"), capacity=9)
        run.apply(EventType.SHARDS_FIXED, "n", count=1)
        run.decide()
        run.end("a")
        run.end("n", 0)
        run.apply(EventType.SHARDS_FIXED, "m", count=1)
        run.decide()
        run.end("m", 0)
        run.apply(EventType.PLAN_REVISED, digest="x", by="ada", changed=[], reset=["a", "n"])
        assert run.decide() == ["a.0@w1", "n.0@w1"]
        run.end("a")
        assert run.scheduler.unfixed() == ["m"]

    def test_a_rerun_below_something_failed_stays_skipped(self):
        run = Driver(subtask("a"), subtask("b", "a"))
        run.decide()
        run.end("a", outcome="failed")
        run.apply(EventType.PLAN_REVISED, digest="x", by="ada", changed=[], reset=["b"])
        run.decide()
        assert run.states == {"a": "failed", "b": "skipped"}
        assert run.scheduler.run_state is RunState.FAILED


class TestCache:
    def test_a_cached_shard_needs_no_worker(self):
        run = Driver(subtask("a"), subtask("b", "a"), workers=())
        run.decide()
        assert run.scheduler.opened() == ["a"]
        run.apply(EventType.SHARD_CACHED, "a", 0, key="k", result={"value": {"size": 5}})
        run.decide()
        assert run.states == {"a": "cached", "b": "ready"}
        assert run.scheduler.opened() == ["b"]

    def test_some_cached_shards_and_some_run_make_succeeded(self):
        run = Driver(subtask("m", over="x"))
        run.apply(EventType.SHARDS_FIXED, "m", count=2)
        run.apply(EventType.SHARD_CACHED, "m", 0, key="k", result={})
        assert run.decide() == ["m.1@w1"]
        run.end("m", 1)
        assert run.states["m"] == "succeeded"


def test_the_same_journal_gives_the_same_states_again():
    parts = [subtask("a"), subtask("m", "a", over="a"), subtask("b", "m"), subtask("h", hold=True), subtask("x")]
    run = Driver(*parts, workers=("w1", "w2"))
    run.decide()
    run.end("x", outcome="lost")
    run.end("a")
    run.apply(EventType.SHARDS_FIXED, "m", count=3)
    run.decide()
    run.end("m", 0)
    run.end("m", 1, "lost")
    run.apply(EventType.CANCEL_REQUESTED, "x", by="ada")
    run.until(1.0)
    again = Scheduler(plan_of(*parts), seed=1)
    for happened in run.journal:
        if happened.type is not EventType.WORKER_STATE:
            again.apply(happened, 0.0)
    assert {name: again.state(name) for name in "ambhx"} == {name: run.scheduler.state(name) for name in "ambhx"}
    assert again.attempts() == run.scheduler.attempts()
    assert again.run_state is run.scheduler.run_state


def test_what_was_lost_with_our_own_process_costs_no_try():
    run = Driver(subtask("a"), policy=RetryPolicy(tries=2))
    run.decide()
    for _ in range(5):
        assert run.end("a", outcome="lost", resumed=True) == ["a.0@w1"]


def test_a_prompt_needs_a_worker_with_a_model():
    run = Driver(subtask("any", kind="prompt"), subtask("one", kind="prompt", labels=("model:b",)), workers=("plain",))
    run.decide()
    assert run.reasons["any"].startswith("no registered worker offers a language model")
    run.worker("clever", labels=("model:a",), capacity=2)
    assert run.decide() == ["any.0@clever"]
    assert run.reasons["one"] == "no registered worker offers model:b (labels of plain: none; clever: model:a)"


def calls(work):
    """How many calls of functions, ours or built in, a piece of work makes."""
    count = 0

    def profile(_frame, what, _argument):
        nonlocal count
        count += what in {"call", "c_call"}

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("shape", ["wide", "deep", "mapped"])
def test_the_work_of_a_decision_hardly_grows_with_the_plan(shape):
    def drive(size):
        if shape == "mapped":
            parts, count = [subtask("m", over="x")], size
        else:
            parts = [subtask(f"s{n}", *([f"s{n - 1}"] if shape == "deep" and n else [])) for n in range(size)]
            count = 0
        run = Driver(*parts, workers=[f"w{n}" for n in range(10)], capacity=3)
        if count:
            run.apply(EventType.SHARDS_FIXED, "m", count=count)

        def work():
            run.decide()
            while run.running:
                key, item = next(iter(run.running.items()))
                run.end(item.shard.subtask, attempt_id=key)

        return calls(work) / size

    assert drive(4000) <= 1.1 * drive(200)
