"""Numbers of the history, worked out by hand on a small one."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from nadg_kernel import analytics
from tests.stores.frames import made_frames
from tests.stores.made import START


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return made_frames(tmp_path_factory.mktemp("history"))


@pytest.fixture
def full(both):
    return both[1]


@pytest.fixture
def empty(both):
    return both[0]


def rows(frame):
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def test_types(full, empty):
    for found in (full, empty):
        assert str(found.attempts["shard"].dtype) == "Int64"
        assert str(found.attempts["seconds"].dtype) == "float64"
        assert str(found.runs["rehearsal"].dtype) == "boolean"
        assert str(found.attempts["started_at"].dtype).endswith("UTC]")
    assert full.attempts["prompt_tokens"].sum() == 10


def test_summary_says_what_the_store_says(full):
    ours = analytics.summary(full.attempts)
    theirs = full.summary.rename_axis(None)
    assert len(ours) == 4
    pd.testing.assert_frame_equal(ours, theirs, check_dtype=False)


def test_worker_health(full):
    found = analytics.worker_health(full.attempts, full.health, full.workers)
    one, two = rows(found)
    assert (one["worker"], one["attempts"], one["failed"], one["lost"]) == ("w1", 4, 1, 1)
    assert one["success"] == pytest.approx(1 / 3)
    assert (one["p50_s"], one["state"], one["cold_starts"]) == (3.0, "offline", 2)
    assert (one["latency_p50_ms"], one["latency_p95_ms"]) == (20.0, 29.0)
    assert 0 < one["load"] < 0.001, "three seconds of two slots in a day"
    assert (two["success"], two["p50_s"], two["state"], two["latency_p50_ms"]) == (1.0, 2.0, "asleep", None)
    assert list(analytics.worker_health(full.attempts)["worker"]) == ["w1", "w2"]


def test_worker_states_are_spans(full):
    found = analytics.worker_states(full.health, until=START + timedelta(hours=1))
    spans = [(row["worker"], row["state"], row["end"] - row["start"]) for row in rows(found)]
    gone = full.health["at"].max() - START
    assert spans == [
        ("w1", "busy", gone),
        ("w1", "offline", timedelta(hours=1) - gone),
        ("w2", "asleep", timedelta(hours=1)),
    ]


def test_latency(full):
    (only,) = rows(analytics.latency(full.health))
    assert (only["worker"], only["p50_ms"], only["p95_ms"]) == ("w1", 20.0, 29.0)


def test_layers(full):
    found = [(row["layer"], row["active"], row["note"]) for row in rows(analytics.layers(full.workers))]
    assert found == [("landlock", False, "no: old"), ("seccomp", True, "active")]
    live = pd.DataFrame({"worker": ["w1", "w2"], "layers": ["seccomp, uid", ""]})
    assert list(analytics.layers(live)["layer"]) == ["seccomp", "uid"]


def test_timeline_puts_what_overlaps_into_lanes(full):
    found = analytics.timeline(full.attempts)
    assert list(found["attempt_id"]) == ["a1", "a2", "a3", "b1", "b2"]
    assert set(found["lane"]) == {0}
    assert list(found["queue_s"]) == [1.0] * 5
    at = pd.Timestamp(START)
    second = pd.Timedelta(seconds=1)
    overlapping = full.attempts.head(4).assign(
        worker="w1",
        attempt_id=list("abcd"),
        started_at=[at, at + second, at + 2 * second, at + 3 * second],
        ended_at=[at + 3 * second, at + 2 * second, at + 4 * second, pd.NaT],
    )
    found = analytics.timeline(overlapping)
    assert list(found["lane"]) == [0, 1, 1, 0]
    assert found["end"].iloc[-1] == at + 4 * second


def test_critical_path(full):
    run = full.history[full.history["run_id"] == "r1"]
    found = analytics.critical_path(run, full.plan)
    assert list(found["subtask"]) == ["load", "clean"]
    assert list(found["seconds"]) == [7.0, 4.0]
    assert list(found["waited_s"]) == [0.0, 1.0]


def test_queue_and_run(full):
    found = rows(analytics.queue_and_run(full.attempts))
    assert found[0] == {"run_id": "r2", "subtask": "clean", "attempts": 1, "queue_s": 1.0, "run_s": 5.0}
    load = next(row for row in found if row["subtask"] == "load")
    assert (load["attempts"], load["queue_s"], load["run_s"]) == (2, 2.0, 3.0)


def test_throughput(full):
    found = [(row["at"].day, row["outcome"], row["count"]) for row in rows(analytics.throughput(full.attempts))]
    assert found == [(24, "failed", 1), (24, "lost", 1), (24, "succeeded", 1), (25, "succeeded", 1)]


def test_failures_by_cause(full):
    found = [(row["outcome"], row["cause"], row["count"]) for row in rows(analytics.failures(full.attempts))]
    assert found == [("failed", "ValueError", 1), ("lost", "connection reset", 1)]


def test_slowest(full):
    found = analytics.slowest(full.history, most=2)
    assert list(found["seconds"]) == [7.0, 4.0]
    assert list(found["title"]) == ["The load", "The clean"]


def test_cache_hits(full):
    first, second = rows(analytics.cache_hits(full.history))
    assert (first["done"], first["cached"], first["share"]) == (1, 0, 0.0)
    assert (second["done"], second["cached"], second["share"]) == (2, 1, 0.5)


def test_tokens(full):
    (only,) = rows(analytics.tokens(full.attempts))
    assert (only["prompt_tokens"], only["output_tokens"]) == (10, 4)


def test_what_people_change_in_a_split(full):
    found = {row["change"]: (row["edits"], row["runs"]) for row in rows(analytics.split_changes(full.edits, full.runs))}
    assert found == {"add": (9, 3), "drop": (2, 2), "edit code": (2, 2), "edit limits": (2, 2)}
    assert analytics.split_changes(full.edits[full.edits["kind"] == "drop"], full.runs)["share"].tolist() == [
        pytest.approx(2 / 3),
        pytest.approx(1 / 3),
    ]
    untouched = analytics.split_changes(full.edits.head(0), full.runs)
    assert rows(untouched) == [{"change": analytics.UNTOUCHED, "edits": 0, "runs": 3, "share": 1.0}]


def test_events(full):
    found = analytics.events(full.journal)
    assert len(found) == len(full.journal)
    assert list(found["type"])[:2] == ["run_started", "subtask_state"]
    assert found["seconds"].sum() == 6.0
    assert analytics.events([]).empty


def test_spreadsheets_run_nothing_of_it():
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "plain", "a=b", "", None]
    frame = pd.DataFrame({"text": texts, "=head": range(10), "number": [-1.5] * 10})
    safe = analytics.spreadsheet_safe(frame)
    assert safe["text"].dropna().tolist() == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'\rx", "plain", "a=b", ""]
    assert list(safe.columns) == ["text", "'=head", "number"]
    assert safe["number"].equals(frame["number"])
    assert frame["text"][0] == "=1+1", "the frame itself is left alone"


@pytest.mark.parametrize(
    ("function", "takes"),
    [
        (analytics.summary, ["attempts"]),
        (analytics.worker_health, ["attempts", "health", "workers"]),
        (analytics.worker_states, ["health"]),
        (analytics.latency, ["health"]),
        (analytics.layers, ["workers"]),
        (analytics.timeline, ["attempts"]),
        (analytics.critical_path, ["history", "plan"]),
        (analytics.queue_and_run, ["attempts"]),
        (analytics.throughput, ["attempts"]),
        (analytics.failures, ["attempts"]),
        (analytics.slowest, ["history"]),
        (analytics.cache_hits, ["history"]),
        (analytics.tokens, ["attempts"]),
        (analytics.split_changes, ["edits", "runs"]),
    ],
)
def test_nothing_gives_the_same_columns(function, takes, full, empty):
    """An empty history has empty frames, with the columns of a full one."""
    nothing = function(*(getattr(empty, name) for name in takes))
    something = function(*(getattr(full, name) for name in takes))
    assert len(nothing) == 0 < len(something)
    assert list(nothing.columns) == list(something.columns)
