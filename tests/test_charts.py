"""Every figure: with data, with none, without any help of colour, and nothing in it that a browser would run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nadg_kernel import charts
from tests.stores.frames import made_frames

FIGURES = [
    (charts.worker_states, ["health"]),
    (charts.latency, ["health"]),
    (charts.worker_success, ["attempts"]),
    (charts.worker_load, ["attempts", "workers"]),
    (charts.cold_starts, ["attempts", "health"]),
    (charts.layers, ["workers"]),
    (charts.timeline, ["attempts"]),
    (charts.critical_path, ["history", "plan"]),
    (charts.queue_and_run, ["attempts"]),
    (charts.throughput, ["attempts"]),
    (charts.failures, ["attempts"]),
    (charts.slowest, ["history"]),
    (charts.cache_hits, ["history"]),
    (charts.tokens, ["attempts"]),
    (charts.split_changes, ["edits", "runs"]),
]
EVERY = pytest.mark.parametrize(("function", "takes"), FIGURES, ids=[function.__name__ for function, _ in FIGURES])


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return made_frames(tmp_path_factory.mktemp("history"))


@pytest.fixture
def full(both):
    return both[1]


@pytest.fixture
def empty(both):
    return both[0]


def drawn(function, takes, frames):
    figure = function(*(getattr(frames, name) for name in takes))
    json.loads(figure.to_json())
    return figure


def something_to_see(figure):
    """Every trace has marks with numbers behind them, and some mark has a size."""
    if not figure.data:
        return False
    sizes = []
    for trace in figure.data:
        values = {"heatmap": trace.z if trace.type == "heatmap" else None, "scatter": trace.y}.get(trace.type)
        if trace.type == "bar":
            values = trace.x if trace.orientation == "h" else trace.y
        numbers = np.asarray(values, dtype="float64").ravel()
        if not len(numbers) or np.isnan(numbers).all():
            return False
        sizes.append(np.nanmax(np.abs(numbers)))
    return max(sizes) > 0


def test_every_public_figure_is_tested():
    public = {name for name, item in vars(charts).items() if callable(item) and item.__module__ == charts.__name__}
    assert {name for name in public if not name.startswith("_")} == {f.__name__ for f, _ in FIGURES} | {"empty"}


@EVERY
def test_with_data(function, takes, full):
    figure = drawn(function, takes, full)
    assert something_to_see(figure)
    assert len(figure.layout.annotations) == 0


@EVERY
def test_without_data_a_sentence_says_why(function, takes, empty):
    figure = drawn(function, takes, empty)
    assert len(figure.data) == 0
    (note,) = figure.layout.annotations
    assert note.text.endswith(".")
    assert figure.layout.title.text


@EVERY
def test_readable_in_light_and_dark(function, takes, full):
    layout = drawn(function, takes, full).layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
    for background in ("#FFFFFF", "#111111"):
        assert contrast(layout.font.color, background) > 4


@EVERY
def test_traces_differ_in_more_than_colour(function, takes, full):
    figure = drawn(function, takes, full)
    if len(figure.data) > 1:
        looks = [
            (trace.marker.pattern.shape, None) if trace.type == "bar" else (trace.marker.symbol, trace.line.dash)
            for trace in figure.data
        ]
        assert len(set(looks)) == len(looks)


@EVERY
def test_texts_of_others_are_no_html(function, takes, full):
    frames = type(full)(**vars(full))
    for name in ("history", "attempts", "workers", "health", "edits"):
        frame = getattr(frames, name).copy()
        for column in ("title", "worker", "subtask", "reason", "error", "field"):
            if column in frame:
                frame[column] = frame[column].where(frame[column].isna(), "<a href='javascript:x'>" + frame[column])
        setattr(frames, name, frame)
    if function is charts.critical_path:
        frames.history["subtask"] = full.history["subtask"]
    assert "<a href" not in json.dumps(json.loads(drawn(function, takes, frames).to_json()))


def test_a_long_timeline_says_what_it_leaves_out(full, monkeypatch):
    monkeypatch.setattr(charts, "MOST_BARS", 2)
    figure = charts.timeline(full.attempts)
    assert "newest 2 of 5" in figure.layout.title.text
    assert sum(len(trace.y) for trace in figure.data) == 2


def test_the_state_that_a_worker_is_in_now_is_seen(full):
    figure = charts.worker_states(full.health)
    drawn = {trace.name: list(trace.x) for trace in figure.data}
    assert set(drawn) == {"busy", "offline", "asleep"}
    assert min(length for lengths in drawn.values() for length in lengths) >= 1000


@EVERY
def test_a_figure_of_good_data_that_draws_nothing_is_found(function, takes, full):
    """`something_to_see` is what the tests above go by: it tells a figure from an emptied one."""
    figure = drawn(function, takes, full)
    assert something_to_see(figure)
    for trace in figure.data:
        trace.update({name: [] if trace[name] is not None else None for name in ("x", "y", "z") if name in trace})
    assert not something_to_see(figure)


def test_spans_have_the_length_that_they_took(full):
    figure = charts.timeline(full.attempts[full.attempts["attempt_id"] == "a1"])
    (trace,) = figure.data
    assert list(trace.x) == [1000.0]
    assert trace.name == "lost"


def contrast(first, second):
    """As WCAG 2 defines it."""

    def luminance(color):
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)
