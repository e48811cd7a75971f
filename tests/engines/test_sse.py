"""Events come out of any cut of the bytes the same, and a sender cannot fill the memory."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadg_kernel.engines.sse import SseError, SseEvent, SseParser

STREAM = (
    b": comment\n\n"
    b"id: 1\nevent: started\ndata: {}\n\n"
    b"id: 2\r\nevent: stdout\r\ndata: a\r\ndata: b\r\n\r\n"
    b"data:no space\nretry: 5\n\n\n\n"
    b"event: nothing\n\n"
    b"data: \n\n"
)
EVENTS = [
    SseEvent("started", b"{}"),
    SseEvent("stdout", b"a\nb"),
    SseEvent("message", b"no space"),
    SseEvent("message", b""),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_any_cut_gives_the_same(places):
    parser = SseParser(1000)
    edges = [0, *sorted(places), len(STREAM)]
    events = [event for a, b in pairwise(edges) for event in parser.feed(STREAM[a:b])]
    assert events == EVENTS


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * 101],
        [b"data: " + b"x" * 50 + b"\n"] * 3,
        [b"x" * 60] * 2,
        [b"data: " + b"x" * 101 + b"\n\n"],
    ],
)
def test_an_event_over_the_bound(chunks):
    parser = SseParser(100)

    def feed_all():
        for chunk in chunks:
            parser.feed(chunk)

    with pytest.raises(SseError, match="100 bytes"):
        feed_all()


def test_many_small_events_are_no_large_one():
    parser = SseParser(100)
    assert len(parser.feed(b"data: x\n\n" * 1000)) == 1000


@given(st.binary(max_size=300))
def test_any_bytes_are_events_or_an_error(data):
    try:
        SseParser(1000).feed(data)
    except SseError as error:
        assert "event" in str(error)  # noqa: PT017 - what else may come is the point
