"""Streams of events: resumed where they were cut, honest about what is gone, kept alive through proxies."""

from __future__ import annotations

import asyncio
import json

import pytest

from events import EventRing
from sandbox.base import Ended
from sse import EventStream
from wire import Outcome, Usage

from .conftest import sse

STREAM = {"Accept": "text/event-stream"}


async def lines(_job, sink):
    for number in range(10):
        sink.event("stdout", {"text": f"{number}\n"})
    return Ended(outcome=Outcome.SUCCEEDED, usage=Usage())


@pytest.mark.parametrize(("after", "first"), [(None, 1), ("", 1), ("0", 1), ("5", 6), ("11", 12)])
async def test_a_stream_resumes_after_the_last_event_that_was_seen(worker, after, first):
    worker.sandbox.scripts["lines"] = lines
    await worker.execute("lines", attempt_id="a")
    headers = {} if after is None else {"Last-Event-ID": after}
    events = sse((await worker.client.get("/attempts/a/events", headers=headers)).text)
    assert [int(event["id"]) for event in events] == list(range(first, 13))
    assert events[-1]["event"] == "finished"


async def test_a_stream_after_the_last_event_is_empty_and_ends(worker):
    worker.sandbox.scripts["lines"] = lines
    await worker.execute("lines", attempt_id="a")
    answer = await worker.client.get("/attempts/a/events", headers={"Last-Event-ID": "12"})
    assert (answer.status_code, answer.text) == (200, "")


@pytest.mark.parametrize("after", ["13", "-1", "x", "1.5", "9" * 30, "\u0663"])
async def test_an_event_id_that_never_was_is_400(worker, after):
    worker.sandbox.scripts["lines"] = lines
    await worker.execute("lines", attempt_id="a")
    answer = await worker.client.get("/attempts/a/events", headers={"Last-Event-ID": after.encode()})
    assert answer.status_code == 400


async def test_events_of_an_unknown_attempt_are_404(worker):
    assert (await worker.client.get("/attempts/a/events")).status_code == 404


async def test_a_running_attempt_is_followed_live_by_two_readers(worker):
    go = asyncio.Event()

    async def stepwise(_job, sink):
        sink.event("stdout", {"text": "before"})
        await go.wait()
        sink.event("stdout", {"text": "after"})
        return Ended(outcome=Outcome.SUCCEEDED, usage=Usage())

    worker.sandbox.scripts["stepwise"] = stepwise

    async def follow(method: str, path: str, **more) -> str:
        text = ""
        async with worker.client.stream(method, path, **more) as answer:
            async for piece in answer.aiter_text():
                text += piece
                if "before" in text:
                    followers.add(path)
                if len(followers) == 2:
                    go.set()
        return text

    followers: set[str] = set()
    body = {"task": "stepwise", "attempt_id": "a"}
    first = asyncio.create_task(follow("POST", "/execute", json=body, headers=STREAM))
    await worker.sandbox.started.wait()
    second = asyncio.create_task(follow("GET", "/attempts/a/events"))
    texts = await asyncio.gather(first, second)
    assert texts[0] == texts[1]
    assert [event["event"] for event in sse(texts[0])] == ["started", "stdout", "stdout", "finished"]


def test_evicted_events_become_a_gap_that_counts_them():
    ring = EventRing("boot", most=3)
    for number in range(10):
        ring.add("stdout", {"text": str(number)})
    frames, last = ring.frames(2)
    events = sse(frames.decode())
    assert last == 10
    assert [(event["event"], event["id"]) for event in events] == [
        ("gap", "7"),
        ("stdout", "8"),
        ("stdout", "9"),
        ("stdout", "10"),
    ]
    assert json.loads(events[0]["data"]) == {"id": 7, "type": "gap", "boot_id": "boot", "data": {"lost": 5}}
    assert ring.frames(7)[0].startswith(b"id: 8")
    assert ring.frames(10) == (b"", 10)


def test_the_ring_is_bounded_in_bytes_and_keeps_the_newest():
    ring = EventRing("boot", most_bytes=1000)
    for _ in range(50):
        ring.add("stdout", {"text": "x" * 100})
    assert ring.bytes <= 1000
    ring.add("finished", b"1" * 5000)
    assert sse(ring.frames(0)[0].decode())[-1]["event"] == "finished"


async def stream(ring: EventRing, receive, **more) -> list[dict]:
    sent: list[dict] = []
    response = EventStream(ring, **more)

    async def send(message) -> None:
        sent.append(message)
        if b"keep-alive" in message.get("body", b""):
            ring.close()

    await response({"type": "http"}, receive, send)
    return sent


async def never():
    await asyncio.Event().wait()


async def test_a_silent_stream_is_kept_alive_by_comments():
    sent = await stream(EventRing("boot"), never, keepalive_s=0.01)
    assert [message.get("body") for message in sent[1:]] == [b": keep-alive\n\n", b""]
    headers = dict(sent[0]["headers"])
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-accel-buffering"] == b"no"
    assert b"content-length" not in headers


async def test_a_reader_that_leaves_is_told_to_the_attempt_once():
    left = []

    async def leave():
        return {"type": "http.disconnect"}

    await stream(EventRing("boot"), leave, gone=lambda: left.append(1))
    assert left == [1]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"fraction": float("nan"), "text": "x"}, {"fraction": None, "text": "x"}),
        ({"fraction": float("inf")}, {"fraction": None, "text": ""}),
        ({"fraction": 7, "text": "\ud800" + "y" * 2000}, {"fraction": 1.0, "text": "?" + "y" * 999}),
        ({"fraction": "half", "text": 3}, {"fraction": None, "text": "3"}),
    ],
)
async def test_progress_is_always_json_that_any_reader_accepts(worker, given, told):
    async def going(_job, sink):
        sink.event("progress", given)
        sink.event("finished", {"forged": True})
        return Ended(outcome=Outcome.SUCCEEDED, usage=Usage())

    worker.sandbox.scripts["going"] = going
    answer = await worker.client.post("/execute", json={"task": "going"}, headers=STREAM)
    events = sse(answer.text)
    assert [event["event"] for event in events] == ["started", "progress", "finished"]
    assert json.loads(events[1]["data"])["data"] == told
    assert "forged" not in answer.text
