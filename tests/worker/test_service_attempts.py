"""Attempts over HTTP: run once per id, answered in the protocol's words, killed when asked, never a 500."""

from __future__ import annotations

import asyncio
import contextlib
import json

import httpx2
import pytest

from attempts import Attempts, Identity
from blobs import Blobs
from config import Config
from sandbox.base import Ended, Job
from wire import ErrorDetail, Limits, Outcome, Permissions, Usage

from .conftest import ScriptedSandbox, echo, serving, sse, until

STREAM = {"Accept": "text/event-stream"}


async def test_the_seeds_two_calls_answer_as_they_were_documented(worker):
    health = (await worker.client.get("/health")).json()
    assert health["status"] == "ok"
    body = b'{"task": "print(\\"Hello from NADG\\")", "task_id": 1}'
    answer = await worker.client.post("/execute", content=body, headers={"Content-Type": "application/json"})
    told = answer.json()
    assert answer.status_code == 200
    assert told["task_id"] == 1
    assert told["status"] == "completed"
    assert told["outcome"] == "succeeded"
    assert told["output"] == 'print("Hello from NADG")\n'  # the scripted sandbox echoes the code that it was given
    assert told["error"] is None
    assert told["executed_at"].endswith("+00:00")
    assert told["worker_id"] == "w1"
    assert told["boot_id"] == health["boot_id"]
    assert told["layers"] == ["session", "seccomp"]


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("succeeded", "completed"),
        ("failed", "failed"),
        ("timed_out", "timed_out"),
        ("cancelled", "cancelled"),
        ("rejected", "failed"),
        ("lost", "failed"),
    ],
)
async def test_every_outcome_has_its_status_and_one_line_of_error(worker, outcome, status):
    async def end(_job, _sink):
        detail = ErrorDetail(type="ValueError", message="first\nsecond", line=3, traceback="...")
        return Ended(outcome=Outcome(outcome), detail=detail, usage=Usage(), notes=("two processes were killed",))

    worker.sandbox.scripts["end"] = end
    told = (await worker.execute("end")).json()
    assert (told["outcome"], told["status"]) == (outcome, status)
    assert told["error"] == (None if outcome == "succeeded" else "ValueError: first")
    assert told["detail"]["line"] == 3
    assert told["detail"]["hint"] == "two processes were killed"


async def test_the_request_reaches_the_sandbox_whole(worker):
    await worker.execute(
        "x",
        inputs={"a": {"format": "json", "value": [1, 2]}, "b": {"format": "list", "items": [{"value": None}]}},
        limits={"timeout_s": 5, "memory_mb": 128, "disk_mb": 9, "output_kb": 7, "processes": 3},
        permissions={"network": True},
        shard=1,
        shards=3,
        something_newer=True,
    )
    (job,) = worker.sandbox.ran
    assert job.inputs["a"]["value"] == [1, 2]
    assert job.inputs["b"]["items"] == [{"format": "json", "size": 0, "note": ""}]
    assert job.limits == Limits(timeout_s=5, memory_mb=128, disk_mb=9, output_kb=7, processes=3)
    assert job.permissions == Permissions(network=True)
    assert (job.shard, job.shards) == (1, 3)


async def test_a_broken_sandbox_loses_the_attempt_and_says_so(worker):
    async def broken(_job, _sink):
        message = "a path /secret/place"
        raise RuntimeError(message)

    worker.sandbox.scripts["broken"] = broken
    told = (await worker.execute("broken")).json()
    assert (told["status"], told["outcome"]) == ("failed", "lost")
    assert told["error"] == "attempt lost: the sandbox broke (RuntimeError)"
    assert "/secret" not in json.dumps(told)
    assert (await worker.execute("fine")).json()["outcome"] == "succeeded"


async def test_a_sandbox_that_does_not_start_leaves_a_worker_that_says_why():
    class Broken(ScriptedSandbox):
        async def start(self) -> None:
            raise OSError

    async with serving(Config(), Broken()) as worker:
        health = (await worker.client.get("/health")).json()
        assert health["status"] == "refusing"
        assert "did not start" in health["reason"]
        assert (await worker.execute("1")).status_code == 503


@pytest.mark.parametrize(
    ("task", "hinted"),
    [
        ("Analyze the sentiment of all reviews, please", True),
        ("Say hello", False),
        ("x = = 3", False),
        ("def f(:", False),
    ],
)
async def test_prose_that_was_sent_as_python_gets_a_hint_at_prompts(worker, task, hinted):
    async def syntax(_job, _sink):
        return Ended(outcome=Outcome.FAILED, detail=ErrorDetail(type="SyntaxError", message="x"), usage=Usage())

    worker.sandbox.scripts[task] = syntax
    told = (await worker.execute(task)).json()
    assert ("`prompt`" in told["detail"]["hint"]) is hinted


@pytest.mark.parametrize(
    "result",
    [
        {"format": "json", "value": "\ud800"},
        {"format": "pickle", "value": 1},
        {"format": "json", "size": -1},
        {"format": "json", "value": {1: 2}},
        {"format": "list", "items": 3},
        {"format": "json", "value": {"a": object()}},
    ],
)
async def test_a_forged_result_fails_the_attempt_and_not_the_worker(worker, result):
    async def forged(_job, sink):
        sink.event("display", {"format": "mime", "size": "many"})
        return Ended(outcome=Outcome.SUCCEEDED, result=result, usage=Usage())

    worker.sandbox.scripts["forged"] = forged
    told = (await worker.execute("forged", attempt_id="f")).json()
    assert (told["status"], told["outcome"]) == ("failed", "failed")
    assert told["error"].startswith("ResultError")
    assert "display" in told["truncated"]
    assert (await worker.client.get("/attempts/f")).json()["status"] == "failed"


async def test_lone_surrogates_in_output_become_question_marks(worker):
    async def odd(_job, sink):
        sink.event("stdout", {"text": "a\ud800b"})
        detail = ErrorDetail.model_construct(type="E\ud800", message="m\udfff", traceback="t\ud800", line=None, hint="")
        return Ended(outcome=Outcome.FAILED, detail=detail, usage=Usage(), notes=("n\ud800",))

    worker.sandbox.scripts["odd"] = odd
    told = (await worker.execute("odd")).json()
    assert told["output"] == "a?b"
    assert told["error"] == "E?: m?"


async def test_output_is_bounded_here_too(worker):
    async def flood(_job, sink):
        for _ in range(100):
            sink.event("stdout", {"text": "é" * 1000})
            sink.event("display", {"format": "mime", "value": {"text/plain": "x" * 1_000_000}})
        return Ended(outcome=Outcome.SUCCEEDED, usage=Usage())

    worker.sandbox.scripts["flood"] = flood
    told = (await worker.execute("flood", limits={"output_kb": 3})).json()
    assert len(told["output"].encode()) == 3 * 1024
    assert len(told["displays"]) == 8
    assert told["truncated"] == ["display", "stdout"]


async def test_the_same_id_and_body_is_the_same_attempt_and_runs_once(worker):
    first = asyncio.create_task(worker.execute("forever", attempt_id="a", task_id="t"))
    await worker.sandbox.started.wait()
    second = asyncio.create_task(worker.execute("forever", attempt_id="a", task_id="t"))
    other = await worker.execute("different", attempt_id="a")
    assert other.status_code == 409
    assert "another body" in other.json()["error"]
    await worker.client.delete("/attempts/a")
    answers = [(await task).json() for task in (first, second)]
    assert answers[0] == answers[1]
    third = (await worker.execute("forever", attempt_id="a", task_id="t")).json()
    assert third == answers[0]
    assert len(worker.sandbox.ran) == 1


async def test_delete_kills_and_the_answer_stays(worker):
    running = asyncio.create_task(worker.execute("forever", attempt_id="a"))
    await worker.sandbox.started.wait()
    assert (await worker.client.get("/attempts/a")).json()["status"] == "running"
    deleted = (await worker.client.delete("/attempts/a")).json()
    assert deleted["status"] == "cancelled"
    assert deleted["answer"]["outcome"] == "cancelled"
    assert (await running).json()["output"] == "on my way\n"
    again = (await worker.client.delete("/attempts/a")).json()
    assert again["answer"] == deleted["answer"]


async def test_delete_before_the_post_leaves_a_tombstone(worker):
    deleted = (await worker.client.delete("/attempts/early")).json()
    assert deleted["status"] == "cancelled"
    told = (await worker.execute("print(1)", attempt_id="early", task_id=7)).json()
    assert (told["status"], told["outcome"], told["task_id"]) == ("cancelled", "cancelled", 7)
    assert worker.sandbox.ran == []
    assert (await worker.execute("print(2)", attempt_id="early", task_id=7)).status_code == 409


async def test_an_attempt_of_another_boot_is_unknown(worker):
    answer = await worker.client.get("/attempts/of-another-boot")
    assert answer.status_code == 404
    assert "lost" in answer.json()["hint"]


async def test_full_is_429_with_retry_after_and_a_place_comes_back(worker):
    tasks = [asyncio.create_task(worker.execute("forever", attempt_id=f"a{n}")) for n in range(4)]
    await until(lambda: len(worker.sandbox.ran) == 4)
    answer = await worker.execute("one more")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert (await worker.client.get("/health")).json()["running"] == 4
    await worker.client.delete("/attempts/a2")
    assert (await worker.execute("one more")).status_code == 200
    for n in range(4):
        await worker.client.delete(f"/attempts/a{n}")
    await asyncio.gather(*tasks)


async def test_a_disconnect_kills_a_plain_call_without_an_id(worker):
    for headers in ({}, STREAM):
        worker.sandbox.started.clear()
        with contextlib.suppress(httpx2.TransportError, TimeoutError):
            request = worker.client.post("/execute", json={"task": "forever"}, headers=headers)
            call = asyncio.create_task(request)
            await worker.sandbox.started.wait()
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await call
        await until(lambda: worker.service.attempts.running == 0)
        status = (await worker.client.get("/status")).json()
    assert status["counters"]["cancelled"] == 2


async def test_a_disconnect_leaves_an_attempt_with_an_id_alone(worker):
    for headers, name in (({}, "plain"), (STREAM, "streamed")):
        worker.sandbox.started.clear()
        body = {"task": "forever", "attempt_id": name}
        call = asyncio.create_task(worker.client.post("/execute", json=body, headers=headers))
        await worker.sandbox.started.wait()
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
        assert (await worker.client.get(f"/attempts/{name}")).json()["status"] == "running"
    assert worker.service.attempts.running == 2


async def test_while_draining_nothing_new_starts_and_what_runs_can_be_read(worker):
    running = asyncio.create_task(worker.execute("forever", attempt_id="a"))
    await worker.sandbox.started.wait()
    worker.service.draining = True
    refused = await worker.execute("new")
    assert refused.status_code == 503
    assert "Retry-After" in refused.headers
    assert (await worker.client.get("/health")).json()["status"] == "draining"
    assert (await worker.client.get("/attempts/a")).json()["status"] == "running"
    await worker.client.delete("/attempts/a")
    await running


BAD_REQUESTS = [
    (b"", 400, "not JSON"),
    (b"{", 400, "not JSON"),
    (b"\xff\xfe", 400, "not JSON"),
    (b"[]", 422, "body"),
    (b"{}", 422, "task: Field required"),
    (b'{"task": 1}', 422, "task"),
    (b'{"task": "\\ud800"}', 400, "not JSON"),
    (b'{"task": "x", "attempt_id": "../etc"}', 422, "attempt_id"),
    (b'{"task": "x", "attempt_id": ""}', 422, "attempt_id"),
    (b'{"task": "x", "kind": "shell"}', 422, "kind"),
    (b'{"task": "x", "limits": {"timeout_s": 0}}', 422, "timeout_s"),
    (b'{"task": "x", "limits": {"timeout_s": 86400}}', 422, "this worker grants 3600"),
    (b'{"task": "x", "limits": {"timeout_s": NaN}}', 422, "timeout_s"),
    (b'{"task": "x", "shard": 1}', 422, "shard 1 does not exist"),
    (b'{"task": "x", "protocol": 2}', 400, "protocol mismatch: this worker speaks 1, the request 2"),
    (b'{"assignment": "x", "protocol": 7}', 400, "protocol mismatch: this worker speaks 1, the request 7"),
    (b'{"task": "x", "kind": "prompt"}', 422, "no model"),
    (b'{"task": "x", "inputs": {"": {"value": 1}}}', 422, "inputs"),
    (b'{"task": "x", "task_id": %s}' % (b"9" * 5000), 400, "not JSON"),
    (b"[" * 100_000, 400, "not JSON"),
    (b'{"task": "x", "inputs": {"a": {"value": %s1%s}}}' % (b"[" * 5000, b"]" * 5000), 400, "not JSON"),
]


async def test_a_bad_request_is_refused_with_a_reason(worker):
    for body, status, says in BAD_REQUESTS:
        answer = await worker.client.post("/execute", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status, (body[:100], answer.text)
        assert says in answer.json()["error"], body[:100]
    assert worker.sandbox.ran == []


async def test_an_input_file_outside_the_working_directory_is_refused(worker):
    for path in ["../x", "/x", "a/../b", "a//b", "", ".", "a\\b", "c:x", "a\x00", "a\n"]:
        answer = await worker.execute("x", files=[{"path": path, "sha256": "0" * 64, "size": 1}])
        assert answer.status_code == 422, path
        assert "relative path" in answer.json()["error"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_413_before_parsing(chunked):
    async with serving(Config(max_body_mb=1)) as worker:
        body = b'{"task": "' + b"x" * (2 * 1024 * 1024)  # no JSON: whoever parsed it would say 400

        async def chunks():
            for start in range(0, len(body), 65_536):
                yield body[start : start + 65_536]

        content = chunks() if chunked else body
        answer = await worker.client.post("/execute", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert "blobs" in answer.json()["hint"]


async def test_unknown_routes_and_methods_are_refused_in_the_same_form(worker):
    for method, path, status in (("GET", "/nope", 404), ("GET", "/execute", 405), ("GET", "/attempts/%2e%2e", 422)):
        answer = await worker.client.request(method, path)
        assert answer.status_code == status
        assert set(answer.json()) == {"error", "hint", "missing"}


async def test_status_lists_packages_limits_and_counters(worker):
    await worker.execute("1")
    status = (await worker.client.get("/status")).json()
    assert "fastapi" in status["packages"]
    assert "pandas" in status["modules"]
    assert "os" not in status["modules"]
    assert status["limits"]["timeout_s"] == 3600
    assert status["counters"]["succeeded"] == 1
    assert len(status["recent_seconds"]) == 1
    assert status["max_body_bytes"] == 16 * 1024 * 1024


def job(name: str) -> Job:
    return Job(attempt_id=name, code="x", inputs={}, files={}, blobs={}, limits=Limits(), permissions=Permissions())


async def test_answers_go_after_an_hour_or_beyond_the_size_and_their_ids_never_run_again(tmp_path):
    now = [0.0]
    identity = Identity(worker_id="w", boot_id="b")
    attempts = Attempts(identity, Blobs(tmp_path, 1000), capacity=9, answers_bytes=18_000, clock=lambda: now[0])
    sandbox = ScriptedSandbox()

    async def run(name: str) -> None:
        attempt = attempts.start(job(name), sandbox, task_id=None, digest=b"d", pins=())
        await attempt.done.wait()

    await run("old")
    now[0] = 3601.0
    await run("new")
    assert attempts.get("old") is None
    assert attempts.get("new") is not None
    with pytest.raises(Exception, match="no longer kept") as gone:
        attempts.known("old", b"d", None)
    assert gone.value.status == 410
    with pytest.raises(Exception, match="no longer kept"):
        await attempts.cancel("old")
    for n in range(20):
        await run(f"many{n}")
    assert attempts.get("new") is None
    assert attempts.get("many19") is not None
    assert 1 <= attempts.kept < 6


async def test_a_sandbox_that_hangs_gives_its_place_back(worker, monkeypatch):
    monkeypatch.setattr("attempts.OVERTIME_S", 0.0)
    told = (await worker.execute("forever", limits={"timeout_s": 0.1})).json()
    assert told["error"] == "attempt lost: the sandbox did not end it in time"
    assert worker.service.attempts.running == 0


async def test_closing_ends_what_runs_as_lost_and_answers_it(tmp_path):
    attempts = Attempts(Identity(worker_id="w", boot_id="b"), Blobs(tmp_path, 1000), capacity=9, answers_bytes=18_000)
    sandbox = ScriptedSandbox()
    sandbox.scripts["x"] = lambda _job, _sink: asyncio.sleep(3600)
    attempt = attempts.start(job("a"), sandbox, task_id=None, digest=b"d", pins=())
    await sandbox.started.wait()
    await attempts.close()
    assert attempt.done.is_set()
    assert attempt.outcome in {Outcome.LOST, Outcome.CANCELLED}
    assert attempts.running == 0


async def test_a_stream_tells_all_and_ends_with_the_plain_answer(worker):
    async def busy(_job, sink):
        sink.event("stderr", {"text": "warn\n"})
        sink.event("progress", {"fraction": 0.5, "text": "half"})
        sink.event("display", {"format": "mime", "value": {"text/plain": "hi"}, "size": 19})
        return await echo(_job, sink)

    worker.sandbox.scripts["busy"] = busy
    answer = await worker.client.post("/execute", json={"task": "busy", "attempt_id": "s"}, headers=STREAM)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = sse(answer.text)
    assert [event["event"] for event in events] == ["started", "stderr", "progress", "display", "stdout", "finished"]
    assert [int(event["id"]) for event in events] == [1, 2, 3, 4, 5, 6]
    content = [json.loads(event["data"]) for event in events]
    assert {item["boot_id"] for item in content} == {worker.service.identity.boot_id}
    assert content[2]["data"] == {"fraction": 0.5, "text": "half"}
    plain = (await worker.execute("busy", attempt_id="s")).json()
    assert plain == content[-1]["data"]
    assert plain["displays"][0]["value"] == {"text/plain": "hi"}
