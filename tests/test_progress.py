"""A run's events add up to what is shown, in text and in HTML."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from nadg_kernel.errors import RunFailed
from nadg_kernel.model import Event, EventType, Map, Outcome, Plan, Result, RunState, SubtaskState
from nadg_kernel.progress import RunProgress
from nadg_kernel.results import ResultView
from nadg_kernel.runview import run_html, run_text
from nadg_kernel.values import encode, to_ref

START = datetime(2026, 1, 1, tzinfo=UTC)


class Journal:
    """Builds events one second apart."""

    def __init__(self):
        self.seq = 0

    def __call__(self, kind, subtask=None, shard=None, **payload):
        self.seq += 1
        at = START + timedelta(seconds=self.seq)
        return Event(
            run_id="r",
            epoch=1,
            seq=self.seq,
            at=at,
            type=EventType(kind),
            subtask=subtask,
            shard=shard,
            payload=payload,
        )


class Memory(dict):
    def put(self, data):
        raise AssertionError

    def get(self, sha256):
        return self[sha256]

    def has(self, sha256):
        return sha256 in self


@pytest.fixture
def plan():
    plan = Plan(command="count <b>things</b>").add(id="a", code="result = 1").add(id="b", code="result = 2")
    return plan.add(id="c", code='result = inputs["a"]', depends_on=["a"], map=Map(over="a", shards=2), inputs=["a"])


def result(value, **more):
    refs = {}
    ref = to_ref(encode(value), 1 << 20, refs.__setitem__)
    return Result(value=ref, **more).to_json()


def played(plan, events):
    progress = RunProgress(plan)
    for event in events:
        progress.apply(event)
    return progress


def attempt(e, name, shard, outcome, **more):
    return [
        e("attempt_intended", name, shard, worker="w1", number=1),
        e("attempt_ended", name, shard, outcome=outcome, worker="w1", seconds=1.0, **more),
    ]


def test_a_whole_run(plan):
    e = Journal()
    events = [
        e("run_started"),
        e("subtask_state", "a", state="running"),
        e("shards_fixed", "a", count=1),
        *attempt(e, "a", 0, "succeeded", result=result([1, 2], stdout="hello\n")),
        e("subtask_state", "a", state="succeeded"),
        e("shards_fixed", "b", count=1),
        *attempt(e, "b", 0, "failed", error={"type": "KeyError", "message": "'x'", "line": 3, "traceback": "line 3"}),
        e("subtask_state", "b", state="failed"),
        e("shards_fixed", "c", count=2),
        e("subtask_state", "c", state="running"),
        *attempt(e, "c", 1, "succeeded", result=result(pd.DataFrame({"n": [2]}))),
    ]
    progress = played(plan, events)
    assert progress.counts() == {SubtaskState.SUCCEEDED: 1, SubtaskState.FAILED: 1, SubtaskState.RUNNING: 1}
    assert progress.subtasks["c"].fraction == 0.5
    assert progress.subtasks["a"].seconds == 2.0
    text = run_text(progress)
    assert "2 of 3 done, 1 failed, 1 running" in text
    assert "KeyError: 'x' at line 3" in text
    html = run_html(progress)
    assert "<b>things</b>" not in html
    assert "&lt;b&gt;things" in html

    for event in [
        *attempt(e, "c", 0, "succeeded", result=result(pd.DataFrame({"n": [1]}))),
        e("subtask_state", "c", state="succeeded"),
        e("run_ended", state="failed"),
    ]:
        progress.apply(event)
    assert progress.state is RunState.FAILED
    view = ResultView(progress.subtasks["c"], Memory(), mapped=True)
    assert [frame.n.tolist() for frame in view.value] == [[1], [2]]
    (shown,) = view.bundles()
    assert "2 rows x 1 columns" in shown["text/plain"]
    single = ResultView(progress.subtasks["a"], Memory(), mapped=False)
    assert (single.value, single.stdout) == ([1, 2], "hello\n")
    failed = ResultView(progress.subtasks["b"], Memory(), mapped=False)
    assert "KeyError" in repr(failed)
    with pytest.raises(RunFailed, match="b failed: KeyError"):
        _ = failed.value


def test_lost_attempts_are_not_failures_until_the_scheduler_says_so(plan):
    e = Journal()
    progress = played(plan, [e("run_started"), *attempt(e, "a", 0, "lost", reason="worker went away")])
    assert progress.subtasks["a"].shards[0].state is SubtaskState.READY
    assert progress.subtasks["a"].error is None
    progress.apply(e("attempt_intended", "a", 0, worker="w2", number=2))
    assert progress.subtasks["a"].worker == "w2"
    assert progress.subtasks["a"].attempts == 2


def test_output_while_running_is_bounded(plan):
    e = Journal()
    events = [e("attempt_intended", "a", 0, worker="w1", number=1)]
    events += [
        e("attempt_progress", "a", 0, stdout="x" * 9_999 + "\n", fraction=0.25, text="quarter") for _ in range(5)
    ]
    item = played(plan, events).subtasks["a"]
    assert len(item.stdout) == 20_000
    assert (item.fraction, item.text) == (0.25, "quarter")


def test_a_revision_resets_what_it_names(plan):
    e = Journal()
    progress = played(plan, attempt(e, "a", 0, "succeeded", result=result(1)))
    progress.apply(e("plan_revised", reset=["a"]))
    assert progress.subtasks["a"].shards == {}
    assert progress.subtasks["a"].state is SubtaskState.WAITING


def test_values_shown_once_when_they_were_displayed_too(plan):
    e = Journal()
    ref = to_ref(encode({"text/markdown": "# Report", "text/plain": "# Report"}), 1 << 20, {}.__setitem__)
    ref = {**ref, "format": "mime"}
    given = Result(value=to_ref(encode("# Report"), 1 << 20, {}.__setitem__), displays=(ref,)).to_json()
    progress = played(
        plan, [*attempt(e, "a", 0, "succeeded", result=given), e("subtask_state", "a", state="succeeded")]
    )
    bundles = ResultView(progress.subtasks["a"], Memory(), mapped=False).bundles()
    assert sum("<h1>Report</h1>" in bundle.get("text/html", "") for bundle in bundles) == 1
    assert Outcome.SUCCEEDED is progress.subtasks["a"].shards[0].outcome


def test_a_table_that_is_displayed_and_returned_is_shown_once(plan):
    from nadg_kernel.values import mime_bundle

    e = Journal()
    frame = pd.DataFrame({"n": [1, 2]})
    refs = [
        {**to_ref(encode(mime_bundle(shown)), 1 << 20, {}.__setitem__), "format": "mime"}
        for shown in (frame, frame * 2)
    ]
    given = Result(value=to_ref(encode(frame), 1 << 20, {}.__setitem__), displays=tuple(refs)).to_json()
    progress = played(
        plan, [*attempt(e, "a", 0, "succeeded", result=given), e("subtask_state", "a", state="succeeded")]
    )
    bundles = ResultView(progress.subtasks["a"], Memory(), mapped=False).bundles()
    assert ["<iframe" in bundle["text/html"] for bundle in bundles] == [False, True]
