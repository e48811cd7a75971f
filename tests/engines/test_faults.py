"""Whatever a worker or the network does, an attempt ends once, with the outcome that it deserves and a reason."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.engines.client import WorkerEndpoint
from nadg_kernel.model import Limits, Outcome
from nadg_kernel.settings import Secret
from nadg_kernel.wire import AUTH_HEADER, ExecuteRequest
from tests.engines.made import TOKEN, all_of, end_of, endpoint, make_engine, spec, until
from tests.support import fault_server as faults
from tests.support.fault_server import FaultServer, chunk, event, finished, raw, refusal, started

BLOB = b"b" * 100
SHA = hashlib.sha256(BLOB).hexdigest()
STREAM = faults.STREAM_HEAD + started()
ANSWER = STREAM + finished("a1") + faults.STREAM_END


def last_of(server, method, path=""):
    return server.calls_of(method, path)[-1]


async def test_an_attempt_that_succeeds(server, engine, blobs):
    parts = [
        started(),
        event(2, "stdout", {"text": "hi\n"}),
        event(3, "progress", {"fraction": 0.5, "text": "half"}),
        event(4, "display", {"format": "mime", "data": "e30=", "size": 2}),
        event(5, "gap", {"lost": 3}),
        event(6, "artifact", {"path": "f", "sha256": SHA, "size": 3}),
        event(7, "stderr", {"text": "e"}),
        event(8, "a kind of a later version", {}),
        finished("a1", 9, output="hi\n"),
    ]
    server.script("POST", "/execute", raw(faults.STREAM_HEAD + b"".join(parts) + faults.STREAM_END))
    events = await all_of(engine.submit(spec()))
    assert [event.type for event in events] == ["started", "stdout", "progress", "display", "gap", "stderr", "ended"]
    assert events[0].data["boot_id"] == faults.BOOT
    assert events[2].data == {"fraction": 0.5, "text": "half"}
    end = events[-1].data
    assert (end["outcome"], end["worker"], end["error"]) == ("succeeded", "w", None)
    assert end["result"]["value"]["value"] == 42
    assert end["result"]["stdout"] == "hi\n"
    sent = last_of(server, "POST")
    assert sent.headers["host"] == f"127.0.0.1:{server.port}"
    assert sent.headers[AUTH_HEADER.lower()] == TOKEN
    ExecuteRequest.model_validate_json(sent.body)


async def test_an_answer_without_a_stream_is_taken_too(server, engine):
    body = json.loads(finished("a1").split(b"data: ", 1)[1].split(b"\n", 1)[0])["data"]
    server.script("POST", "/execute", faults.answer(200, json.dumps(body).encode()))
    assert (await end_of(engine.submit(spec())))["outcome"] == "succeeded"


async def test_connections_are_used_again(server, engine):
    async def answer(call, wire):
        await wire.send(ANSWER.replace(b"a1", json.loads(call.body)["attempt_id"].encode()))

    server.script("POST", "/execute", answer)
    for number in range(10):
        assert (await end_of(engine.submit(spec(f"c{number}"))))["outcome"] == "succeeded"
    assert server.connections <= 2  # one more for the watch


async def test_bytes_one_at_a_time(server, engine):
    server.script("POST", "/execute", faults.drip(ANSWER))
    assert (await end_of(engine.submit(spec())))["outcome"] == "succeeded"


REFUSALS = {
    "bad request": (refusal(400, "no"), "rejected", "no"),
    "wrong token": (refusal(401, "the token is not this worker's"), "rejected", "token"),
    "not allowed": (refusal(403, "no"), "rejected", "no"),
    "other body": (refusal(409, "exists with another body"), "rejected", "another body"),
    "too large": (refusal(413, "larger than 5 bytes"), "rejected", "larger than"),
    "bad field": (refusal(422, "limits.timeout_s"), "rejected", "timeout_s"),
    "full": (refusal(429, "all places are taken", Retry_After="7"), "rejected", "places"),
    "draining": (refusal(503, "stopping"), "rejected", "stopping"),
    "forgotten": (refusal(410, "no longer kept"), "lost", "no longer kept"),
    "broken worker": (refusal(500, "the worker failed"), "lost", "failed"),
    "missing without names": (refusal(424, "blobs are missing"), "rejected", "missing"),
    "redirect": (faults.answer(302, b"", Location="http://127.0.0.1:1/"), "rejected", "redirect"),
    "asleep": (faults.page(200, "This Space is sleeping due to inactivity"), "rejected", "asleep"),
    "paused": (faults.page(503, "This Space has been paused by its owner"), "rejected", "paused"),
    "building": (faults.page(503, "Your Space is building"), "rejected", "waking"),
    "another site": (faults.page(200, "Welcome to nginx!"), "rejected", "no NADG worker.*Welcome to nginx"),
    "not found": (faults.page(404, "Not Found"), "rejected", "404"),
    "json of something else": (faults.answer(404, b'{"detail": "x"}'), "rejected", "404"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_refusals(name, server, engine):
    behaviour, outcome, says = REFUSALS[name]
    server.script("POST", "/execute", behaviour)
    end = await end_of(engine.submit(spec()))
    assert end["outcome"] == outcome
    assert pytest.approx(end.get("retry_after"), abs=0) == {"full": 7, "draining": 1}.get(name)
    assert re.search(says, end["reason"])
    assert len(server.calls_of("POST")) == 1


def dated(seconds, skew_s):
    """An answer that names a time to come back, `seconds` from now by a clock that is `skew_s` off."""
    now = datetime.now(UTC) + timedelta(seconds=skew_s)
    dates = {"Date": format_datetime(now, usegmt=True)}
    return refusal(429, "full", **dates, Retry_After=format_datetime(now + timedelta(seconds=seconds), usegmt=True))


@pytest.mark.parametrize("skew_s", [0, -7 * 3600, 7 * 3600], ids=["right", "behind", "ahead"])
async def test_a_date_to_come_back_is_read_by_the_workers_own_clock(skew_s, server, engine):
    server.script("POST", "/execute", dated(30, skew_s))
    assert (await end_of(engine.submit(spec())))["retry_after"] == 30


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 1),
        ({"Retry_After": "Wed, 21 Oct 2099 07:28:00 GMT"}, 3600),
        ({"Retry_After": "soon"}, 1),
        ({"Retry_After": "-5"}, 1),
        ({"Retry_After": "99999999"}, 3600),
    ],
)
async def test_a_time_to_come_back_that_makes_no_sense(headers, wait, server, engine):
    server.script("POST", "/execute", refusal(429, "full", **headers))
    assert (await end_of(engine.submit(spec())))["retry_after"] == pytest.approx(wait)


@pytest.mark.parametrize("at", ["1970-01-01T00:00:00+00:00", "2099-12-31T23:59:59+14:00", "", "half past nine"])
@pytest.mark.parametrize("seconds", [None, -5.0, 1e12, 0.25])
async def test_a_worker_whose_clock_is_wrong(at, seconds, server, engine):
    """What it says of time is not believed where it cannot be; nothing else depends on it."""
    usage = {} if seconds is None else {"seconds": seconds}
    answer = STREAM + finished("a1", executed_at=at, usage=usage) + faults.STREAM_END
    server.script("POST", "/execute", raw(answer))
    end = await end_of(engine.submit(spec()))
    assert end["outcome"] == "succeeded"
    assert end["seconds"] == 0.25 if seconds == 0.25 else 0 <= end["seconds"] < 60


UNREACHED = {
    "refused": "http://127.0.0.1:1",
    "tls to a plain port": "https://127.0.0.1:{port}",
    "unresolvable": "https://no-such-host.invalid",
    "private address": "https://10.0.0.1",
}


@pytest.mark.parametrize("name", UNREACHED)
async def test_what_was_never_sent_is_rejected(name, server, blobs):
    url = UNREACHED[name].format(port=server.port)
    engine = make_engine([WorkerEndpoint(worker_id="w", url=url, token=Secret(TOKEN))], blobs)
    end = await end_of(engine.submit(spec()))
    assert end["outcome"] == "rejected"
    assert "w" in end["reason"]
    await engine.close()


BREAKS = {
    "reset at once": faults.reset,
    "hang up at once": faults.hang_up,
    "never answers": faults.silent,
    "reset in mid-stream": raw(STREAM, then="reset"),
    "cut in mid-stream": raw(STREAM),
    "silent in mid-stream": raw(STREAM, then="silent"),
    "cut in mid-event": raw(STREAM + finished("a1")[:100]),
    "stream that ends early": raw(STREAM + faults.STREAM_END),
    "empty stream": raw(faults.STREAM_HEAD + faults.STREAM_END),
    "garbage bytes": raw(b"\x00\xff\x00garbage\r\n\r\n"),
    "garbage in the stream": raw(STREAM + chunk(b"\x00\xff nonsense\n\n")),
    "json that is no event": raw(STREAM + chunk(b"data: [1]\n\n")),
    "bad chunk": raw(STREAM + b"zz\r\n"),
    "gateway 502": faults.page(502, "Bad Gateway"),
    "gateway 503": faults.page(503, "Service Unavailable"),
    "gateway 504": faults.page(504, "Gateway Timeout"),
}


def test_the_table_of_faults_is_whole_and_true():
    """Each fault that is tried here stands in the table with the outcome that its test asserts."""
    text = (Path(__file__).parents[2] / "docs" / "scheduling.md").read_text("utf-8")
    section = text.partition("## Every fault")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| `(\w+)` \| .+ \|$", section, re.MULTILINE)
    told = {re.sub(r" \(.*\)", "", name): outcome for names, outcome in rows for name in names.split(", ")}
    tried = {name: outcome for name, (_, outcome, _) in REFUSALS.items()}
    tried |= dict.fromkeys(UNREACHED, "rejected") | dict.fromkeys(BREAKS, "lost")
    assert {name: told.get(name) for name in tried} == tried
    assert set(told.values()) <= {str(outcome) for outcome in Outcome}


@pytest.mark.parametrize("name", BREAKS)
async def test_a_broken_stream_is_resumed(name, server, engine):
    server.script("POST", "/execute", BREAKS[name])
    rest = started() + finished("a1")
    server.script("GET", "/attempts/a1/events", raw(faults.STREAM_HEAD + rest + faults.STREAM_END))
    events = await all_of(engine.submit(spec()))
    assert [event.type for event in events] == ["started", "ended"]
    assert events[-1].data["outcome"] == "succeeded"
    assert len(server.calls_of("POST")) == 1


@pytest.mark.parametrize("name", BREAKS)
async def test_a_broken_stream_that_stays_broken_is_lost(name, server, engine):
    server.script("POST", "/execute", BREAKS[name])
    server.script("GET", "/attempts/a1/events", BREAKS[name])
    end = await end_of(engine.submit(spec()))
    assert end["outcome"] == "lost"
    assert len(end["reason"]) > 10
    assert len(server.calls_of("POST")) == 1


async def test_the_rest_is_asked_for_by_the_last_id(server, engine):
    server.script("POST", "/execute", raw(STREAM + event(2, "stdout", {"text": "a"}), then="reset"))
    server.script(
        "GET",
        "/attempts/a1/events",
        raw(faults.STREAM_HEAD + event(3, "stdout", {"text": "b"}), then="reset"),
        raw(faults.STREAM_HEAD + finished("a1", 4) + faults.STREAM_END),
    )
    events = await all_of(engine.submit(spec()))
    assert "".join(event.data["text"] for event in events if event.type == "stdout") == "ab"
    asked = [call.headers["last-event-id"] for call in server.calls_of("GET", "/attempts")]
    assert asked == ["2", "3"]
    assert all(call.headers[AUTH_HEADER.lower()] == TOKEN for call in server.calls_of("GET", "/attempts"))


async def test_a_request_that_did_not_arrive_is_sent_again_on_the_same_boot(server, engine):
    await until(engine, "w", lambda state: state.health is WorkerHealth.READY)
    server.script("POST", "/execute", faults.reset, raw(ANSWER))
    server.script("GET", "/attempts/a1/events", refusal(404, "no attempt a1 on this boot"))
    assert (await end_of(engine.submit(spec())))["outcome"] == "succeeded"
    first, second = server.calls_of("POST")
    assert first.body == second.body


async def test_a_request_that_did_not_arrive_is_lost_after_a_restart(server, engine):
    """It may have run on the old boot, so only the scheduler may send it again."""
    await until(engine, "w", lambda state: state.health is WorkerHealth.READY)
    server.script("POST", "/execute", faults.reset)
    server.script("GET", "/attempts/a1/events", refusal(404, "no attempt a1 on this boot"))
    server.script("GET", "/health", faults.healthy("boot-2"))
    end = await end_of(engine.submit(spec()))
    assert end["outcome"] == "lost"
    assert "restarted" in end["reason"]
    assert len(server.calls_of("POST")) == 1


@pytest.mark.parametrize("answer", ["404", "another boot"])
async def test_a_restart_in_mid_stream_is_lost_at_once(answer, server, engine):
    server.script("POST", "/execute", raw(STREAM, then="reset"))
    other = raw(faults.STREAM_HEAD + finished("a1", 3, boot_id="boot-2") + faults.STREAM_END)
    server.script("GET", "/attempts/a1/events", refusal(404, "no attempt") if answer == "404" else other)
    end = await end_of(engine.submit(spec()))
    assert end["outcome"] == "lost"
    assert "restarted" in end["reason"]
    assert len(server.calls_of("GET", "/attempts")) == 1


async def test_an_attempt_that_never_ends_is_lost_and_cancelled(server, engine):
    async def forever(_call, wire):
        await wire.send(STREAM)
        while True:
            await wire.send(chunk(b": keep-alive\n\n"))
            await asyncio.sleep(0.02)

    server.script("POST", "/execute", forever)
    end = await end_of(engine.submit(spec(limits=Limits(timeout_s=0.1))))
    assert end["outcome"] == "lost"
    assert "limit" in end["reason"]
    assert len(server.calls_of("DELETE", "/attempts/a1")) == 1


LONG = "x" * 200_000
BAD_ANSWERS = {
    "another attempt": {"attempt_id": "a2"},
    "no outcome": {"outcome": "wonderful"},
    "too much output": {"output": LONG},
    "too much stderr": {"stderr": LONG},
    "path outside": {"artifacts": [{"path": "../up", "sha256": SHA, "size": 1}]},
    "absolute path": {"artifacts": [{"path": "/etc/passwd", "sha256": SHA, "size": 1}]},
    "windows path": {"artifacts": [{"path": "c:\\x", "sha256": SHA, "size": 1}]},
    "one path twice": {"artifacts": [{"path": "f", "sha256": SHA, "size": 1}] * 2},
    "files over the disk": {"artifacts": [{"path": "f", "sha256": SHA, "size": 2**40}]},
    "result over the memory": {"result": {"format": "bytes", "sha256": SHA, "size": 2**40}},
    "a dict without keys": {"result": {"format": "dict", "items": [{"value": 1}], "value": None}},
    "bad base64": {"result": {"format": "bytes", "data": "!!"}},
    "an unknown format": {"result": {"format": "pickle", "data": "gA=="}},
    "nested without end": {"result": json.loads('{"format":"list","items":[' * 90 + '{"value":1}' + "]}" * 90)},
    "too many displays": {"displays": [{"format": "mime", "data": "e30="}] * 1001},
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
async def test_answers_over_the_bounds_are_refused(name, server, engine):
    server.script("POST", "/execute", raw(STREAM + finished("a1", **BAD_ANSWERS[name]) + faults.STREAM_END))
    server.script("GET", "/attempts/a1/events", refusal(404, "gone"))
    end = await end_of(engine.submit(spec(limits=Limits(timeout_s=5, output_kb=64))))
    assert end["outcome"] == "lost"
    assert end["result"] is None


async def test_a_flood_of_output_is_cut_off(server, engine):
    async def flood(_call, wire):
        await wire.send(STREAM)
        for number in range(2, 100_000):
            await wire.send(event(number, "stdout", {"text": LONG}))

    server.script("POST", "/execute", flood)
    end = await end_of(engine.submit(spec(limits=Limits(timeout_s=5, output_kb=1024))))
    assert end["outcome"] == "lost"
    assert "stdout" in end["reason"]
    assert len(server.calls_of("DELETE")) == 1


async def test_an_event_without_end_is_cut_off(server, blobs, monkeypatch):
    monkeypatch.setattr("nadg_kernel.engines.answers.Intake.most_event_bytes", 100_000)
    engine = make_engine([endpoint(server)], blobs)
    sent = 0

    async def endless(_call, wire):
        nonlocal sent
        await wire.send(STREAM + chunk(b"data: "))
        while True:
            await wire.send(chunk(b"x" * 50_000))
            sent += 50_000

    server.script("POST", "/execute", endless)
    server.script("GET", "/attempts", refusal(404, "gone"))
    end = await end_of(engine.submit(spec()))
    assert end["outcome"] == "lost"
    await engine.close()


class TestBlobs:
    def ref(self, data=BLOB):
        return {"format": "bytes", "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}

    def result(self, **fields):
        return raw(STREAM + finished("a1", result=self.ref(), **fields) + faults.STREAM_END)

    async def test_large_inputs_are_sent_first_and_once(self, server, engine, blobs):
        blobs.put(BLOB)
        server.script("PUT", "/blobs", faults.answer(204, b""))
        server.script("POST", "/execute", raw(ANSWER), raw(ANSWER.replace(b"a1", b"a2")))
        for name in ("a1", "a2"):
            end = await end_of(engine.submit(spec(name, inputs={"x": self.ref()}, files={"f.bin": (SHA, 100)})))
            assert end["outcome"] == "succeeded"
        assert [(call.method, call.path) for call in server.calls if call.method != "GET"] == [
            ("PUT", f"/blobs/{SHA}"),
            ("POST", "/execute"),
            ("POST", "/execute"),
        ]
        assert server.calls_of("PUT")[0].body == BLOB

    async def test_shards_that_share_an_input_send_it_once(self, server, engine, blobs):
        blobs.put(BLOB)
        server.script("PUT", "/blobs", faults.answer(204, b""))

        async def answer(call, wire):
            await wire.send(ANSWER.replace(b"a1", json.loads(call.body)["attempt_id"].encode()))

        server.script("POST", "/execute", answer)
        ends = await asyncio.gather(*(end_of(engine.submit(spec(f"b{n}", inputs={"x": self.ref()}))) for n in range(8)))
        assert {end["outcome"] for end in ends} == {"succeeded"}
        assert len(server.calls_of("PUT")) == 1

    async def test_several_are_on_their_way_at_once(self, server, engine, blobs):
        data = [bytes([number]) * 100 for number in range(40)]
        inputs = {"x": {"format": "list", "items": [self.ref(item) for item in data], "size": 4000}}
        for item in data:
            blobs.put(item)
        met, together = 0, asyncio.Event()

        async def only_together(_call, wire):
            nonlocal met
            met += 1
            if met == 3:
                together.set()
            await together.wait()
            await wire.send(faults.http(204, b""))

        server.script("PUT", "/blobs", only_together)
        server.script("POST", "/execute", raw(ANSWER))
        assert (await end_of(engine.submit(spec(inputs=inputs))))["outcome"] == "succeeded"
        assert len(server.calls_of("PUT")) == 40

    async def test_what_the_worker_lost_is_sent_again(self, server, engine, blobs):
        blobs.put(BLOB)
        server.script("PUT", "/blobs", faults.answer(204, b""))
        server.script("POST", "/execute", refusal(424, "blobs are missing", [SHA]), raw(ANSWER))
        assert (await end_of(engine.submit(spec(inputs={"x": self.ref()}))))["outcome"] == "succeeded"
        assert len(server.calls_of("PUT")) == 2

    async def test_a_restarted_worker_is_given_everything_again(self, server, engine, blobs):
        blobs.put(BLOB)
        server.script("PUT", "/blobs", faults.answer(204, b""))
        server.script("POST", "/execute", raw(ANSWER), raw(ANSWER.replace(b"a1", b"a2").replace(b"boot-1", b"boot-2")))
        await until(engine, "w", lambda state: state.health is WorkerHealth.READY)
        assert (await end_of(engine.submit(spec("a1", inputs={"x": self.ref()}))))["outcome"] == "succeeded"
        server.boot_id = "boot-2"
        await until(engine, "w", lambda state: state.boot_id == "boot-2")
        assert (await end_of(engine.submit(spec("a2", inputs={"x": self.ref()}))))["outcome"] == "succeeded"
        assert len(server.calls_of("PUT")) == 2

    async def test_not_for_ever(self, server, engine, blobs):
        blobs.put(BLOB)
        server.script("PUT", "/blobs", faults.answer(204, b""))
        server.script("POST", "/execute", refusal(424, "blobs are missing", [SHA]))
        end = await end_of(engine.submit(spec(inputs={"x": self.ref()})))
        assert (end["outcome"], len(server.calls_of("POST"))) == ("rejected", 4)

    @pytest.mark.parametrize("behaviour", [faults.reset, refusal(507, "the blob store is full"), faults.silent])
    async def test_inputs_that_cannot_be_sent_reject(self, behaviour, server, engine, blobs):
        blobs.put(BLOB)
        server.script("PUT", "/blobs", behaviour)
        end = await end_of(engine.submit(spec(inputs={"x": self.ref()})))
        assert end["outcome"] == "rejected"
        assert server.calls_of("POST") == []

    async def test_inputs_that_are_not_here_reject(self, server, engine):
        end = await end_of(engine.submit(spec(inputs={"x": self.ref()})))
        assert end["outcome"] == "rejected"
        assert "blob folder" in end["reason"]

    async def test_results_are_here_before_the_end(self, server, engine, blobs):
        server.script("GET", "/blobs", faults.answer(200, BLOB, "application/octet-stream"))
        server.script("POST", "/execute", self.result(artifacts=[{"path": "a/f", "sha256": SHA, "size": 100}]))
        async for got in engine.submit(spec()):
            if got.type == "ended":
                assert blobs[SHA] == BLOB
                assert got.data["result"]["artifacts"] == [{"path": "a/f", "sha256": SHA, "size": 100}]
        assert len(server.calls_of("GET", "/blobs")) == 1

    @pytest.mark.parametrize("behaviour", [faults.reset, faults.silent, faults.page(502, "Bad Gateway")])
    async def test_a_fetch_that_broke_is_tried_again(self, behaviour, server, engine, blobs):
        good = faults.answer(200, BLOB, "application/octet-stream")
        truncated = raw(faults.http(200, BLOB, "application/octet-stream")[:-10])
        server.script("GET", "/blobs", truncated, behaviour, good)
        server.script("POST", "/execute", self.result())
        patient = make_engine([endpoint(server)], blobs)
        assert (await end_of(patient.submit(spec())))["outcome"] == "succeeded"
        await patient.close()

    @pytest.mark.parametrize(
        ("behaviour", "says"),
        [
            (faults.answer(200, b"c" * 100, "application/octet-stream"), "not its 100 bytes"),
            (faults.answer(200, BLOB + b"more", "application/octet-stream"), "larger than"),
            (faults.answer(200, BLOB[:-1], "application/octet-stream"), "not its 100 bytes"),
            (refusal(404, "no blob here"), "cannot be fetched"),
            (faults.reset, "cannot be fetched"),
        ],
        ids=["other bytes", "more", "fewer", "evicted", "gone"],
    )
    async def test_a_result_whose_bytes_do_not_come_is_lost(self, behaviour, says, server, engine, blobs):
        server.script("GET", "/blobs", behaviour)
        server.script("POST", "/execute", self.result())
        end = await end_of(engine.submit(spec()))
        assert end["outcome"] == "lost"
        assert says in end["reason"]
        assert blobs == {}

    async def test_a_result_that_cannot_be_kept_is_lost(self, server, engine, blobs, monkeypatch):
        from nadg_kernel.errors import StoreError

        def full(_data):
            raise StoreError("cannot keep 100 bytes: No space left on device")

        monkeypatch.setattr(blobs, "put", full, raising=False)
        server.script("GET", "/blobs", faults.answer(200, BLOB, "application/octet-stream"))
        server.script("POST", "/execute", self.result())
        end = await end_of(engine.submit(spec()))
        assert end["outcome"] == "lost"
        assert "No space left" in end["reason"]

    async def test_large_requests_send_inline_values_as_blobs(self, server, engine, blobs, monkeypatch):
        monkeypatch.setattr("nadg_kernel.engines.request.MOST_BODY_BYTES", 20_000)
        server.script("PUT", "/blobs", faults.answer(204, b""))
        server.script("POST", "/execute", raw(ANSWER))
        inputs = {
            "many": {"format": "list", "items": [{"format": "json", "value": "v" * 3000, "size": 3002}] * 9, "size": 1},
            "small": {"format": "json", "value": 1, "size": 1},
        }
        assert (await end_of(engine.submit(spec(inputs=inputs))))["outcome"] == "succeeded"
        sent = json.loads(server.calls_of("POST")[0].body)
        assert "value" not in sent["inputs"]["many"]["items"][0]
        assert sent["inputs"]["small"]["value"] == 1
        assert server.calls_of("PUT")[0].body == b'"' + b"v" * 3000 + b'"'


class TestReattach:
    async def test_goes_on_after_an_event(self, server, engine):
        server.script("GET", "/attempts/a1/events", raw(faults.STREAM_HEAD + finished("a1", 8) + faults.STREAM_END))
        assert (await end_of(engine.reattach(spec(), after_id=7)))["outcome"] == "succeeded"
        assert server.calls_of("GET", "/attempts")[0].headers["last-event-id"] == "7"
        assert server.calls_of("POST") == []

    @pytest.mark.parametrize("status", [400, 401, 404, 410])
    async def test_what_nobody_knows_is_lost(self, status, server, engine):
        server.script("GET", "/attempts", refusal(status, "no"))
        assert (await end_of(engine.reattach(spec())))["outcome"] == "lost"
        assert server.calls_of("POST") == []

    async def test_an_unreachable_worker_is_asked_for_a_while(self, server, engine):
        server.script("GET", "/attempts", faults.reset, faults.page(503, "x"), raw(ANSWER))
        assert (await end_of(engine.reattach(spec())))["outcome"] == "succeeded"

    async def test_an_unknown_worker(self, engine):
        assert (await end_of(engine.reattach(spec(worker_id="nobody"))))["outcome"] == "lost"
        assert (await end_of(engine.submit(spec(worker_id="nobody"))))["outcome"] == "rejected"


class TestCancel:
    async def test_is_a_delete(self, server, engine):
        gone = asyncio.Event()

        async def until_cancelled(_call, wire):
            await wire.send(STREAM)
            await gone.wait()
            await wire.send(finished("a1", outcome="cancelled", status="cancelled", result=None) + faults.STREAM_END)

        async def delete(_call, wire):
            gone.set()
            await wire.send(
                faults.http(200, json.dumps({"attempt_id": "a1", "status": "cancelled", "boot_id": "b"}).encode())
            )

        server.script("POST", "/execute", until_cancelled)
        server.script("DELETE", "/attempts/a1", delete)
        events = []
        async for got in engine.submit(spec()):
            events.append(got)
            if got.type == "started":
                await engine.cancel("a1", "w")
        assert events[-1].data["outcome"] == "cancelled"

    async def test_before_it_was_sent(self, server, engine, blobs):
        blobs.put(BLOB)
        uploading, go_on = asyncio.Event(), asyncio.Event()

        async def slow(_call, wire):
            uploading.set()
            await go_on.wait()
            await wire.send(faults.http(204, b""))

        server.script("PUT", "/blobs", slow)
        server.script("DELETE", "/attempts", refusal(500, "x"))
        running = asyncio.ensure_future(end_of(engine.submit(spec(inputs={"x": TestBlobs().ref()}))))
        await uploading.wait()
        await engine.cancel("a1", "w")
        go_on.set()
        assert (await running)["outcome"] == "cancelled"
        assert server.calls_of("POST") == []

    async def test_is_tried_again_and_never_raises(self, server, engine):
        server.script("DELETE", "/attempts", faults.reset)
        await engine.cancel("a1", "w")
        assert len(server.calls_of("DELETE")) == 4
        await engine.cancel("a1", "nobody")


async def test_a_reader_that_leaves_closes_the_connection(server, engine):
    left = asyncio.Event()

    async def watched(_call, wire):
        await wire.send(STREAM)
        await wire.silence()
        left.set()

    server.script("POST", "/execute", watched)
    stream = engine.submit(spec())
    assert (await anext(stream)).type == "started"
    await stream.aclose()
    async with asyncio.timeout(5):
        await left.wait()


async def test_a_worker_that_is_lost_ends_its_attempts_at_once(server, blobs):
    engine = make_engine([endpoint(server)], blobs, patience=None, timeouts=None)
    server.script("POST", "/execute", raw(STREAM, then="silent"))
    ended = []
    async for got in engine.submit(spec()):
        if got.type == "started":
            engine.lose_worker(endpoint(server), "its process ended with code -9")
        ended.append(got)
    assert ended[-1].data["outcome"] == "lost"
    assert ended[-1].data["reason"] == "worker w is gone: its process ended with code -9"
    assert (await end_of(engine.submit(spec("a2"))))["outcome"] == "rejected"
    assert engine.snapshot()[0].reason == "its process ended with code -9"
    await engine.close()


async def test_dead_proxies_do_not_matter_on_this_machine(server, blobs, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    engine = make_engine([endpoint(server)], blobs)
    server.script("POST", "/execute", raw(ANSWER))
    assert (await end_of(engine.submit(spec())))["outcome"] == "succeeded"
    await engine.close()


async def test_a_token_is_sent_to_its_own_worker_only(blobs):
    async with FaultServer() as good, FaultServer() as rogue:
        rogue.script("POST", "/execute", faults.answer(307, b"", Location=f"{good.url}/execute"))
        rogue.script("GET", "/", faults.answer(302, b"", Location=f"{good.url}/"))
        good.script("POST", "/execute", raw(ANSWER), faults.answer(302, b"", Location=f"{rogue.url}/execute"))
        engine = make_engine(
            [endpoint(good, "good", "token-of-good"), endpoint(rogue, "rogue", "token-of-rogue")], blobs
        )
        assert (await end_of(engine.submit(spec(worker_id="good"))))["outcome"] == "succeeded"
        assert (await end_of(engine.submit(spec("a2", worker_id="good"))))["outcome"] == "rejected"
        assert (await end_of(engine.submit(spec("a3", worker_id="rogue"))))["outcome"] == "rejected"
        await engine.cancel("a3", "rogue")
        await engine.close()
        assert b"token-of-good" not in b"".join(call.raw for call in rogue.calls)
        assert b"token-of-rogue" not in b"".join(call.raw for call in good.calls)
        assert b"token-of-rogue" in b"".join(call.raw for call in rogue.calls)
        for call in rogue.calls:
            assert call.path != "/health" or AUTH_HEADER.lower() not in call.headers
    assert "token-of" not in repr(engine.snapshot())
