"""Prompts: templates filled in the sandbox, real clients against local servers that speak the providers' protocols."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pandas as pd
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import values
from config import Config, ConfigError
from listening import listen
from model import make_model
from sandbox.base import Ended
from template import PROMPT_CHARS, render
from wire import ErrorDetail, Outcome, Usage

from .conftest import ScriptedSandbox, served, serving, sse
from .started import started

KEY = "sk-very-secret-key"


@dataclass
class Provider:
    """A small server that speaks both protocols; what it does is set by the test."""

    base: str = ""
    pieces: list[str] = field(default_factory=lambda: ["Hel", "lo ", "wörld"])
    status: int = 200
    finish: str = ""
    block: str = ""
    message: str = "no"
    raw: bytes | None = None
    hang: bool = False
    asked: list[tuple[str, dict, dict]] = field(default_factory=list)
    got: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def openai(self, request: Request) -> Response:
        await self._note(request)
        if self.status != 200:
            return JSONResponse({"error": {"message": self.message, "type": "x"}}, self.status)

        def chunks():
            for piece in self.pieces:
                yield {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
            yield {"choices": [{"index": 0, "delta": {}, "finish_reason": self.finish or "stop"}]}
            yield {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}

        return self._sse(chunks(), b"data: [DONE]\n\n")

    async def gemini(self, request: Request) -> Response:
        await self._note(request)
        if self.status != 200:
            error = {"code": self.status, "message": self.message, "status": "X"}
            return JSONResponse({"error": error}, self.status)

        def chunks():
            if self.block:
                yield {"promptFeedback": {"blockReason": self.block}}
                return
            for piece in self.pieces:
                yield {"candidates": [{"content": {"role": "model", "parts": [{"text": piece}]}}]}
            last = {"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": self.finish or "STOP"}
            yield {"candidates": [last], "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3}}

        return self._sse(chunks())

    async def _note(self, request: Request) -> None:
        self.asked.append((request.url.path, dict(request.headers), await request.json()))
        self.got.set()

    def _sse(self, chunks, end: bytes = b"") -> Response:
        async def body():
            try:
                if self.raw is not None:
                    yield self.raw
                    return
                for chunk in chunks:
                    yield b"data: " + json.dumps(chunk).encode() + b"\n\n"
                    if self.hang:
                        await asyncio.Event().wait()
                yield end
            finally:
                self.left.set()

        return StreamingResponse(body(), media_type="text/event-stream")


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    fake = Provider()
    routes = [
        Route("/v1/chat/completions", fake.openai, methods=["POST"]),
        Route("/v1beta/models/{name}", fake.gemini, methods=["POST"]),
    ]
    listening = listen("127.0.0.1", 0)
    fake.base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with served(Starlette(routes=routes), listening):
        yield fake


async def filling(job, sink) -> Ended:
    """What the real sandbox does with the source that fills a template."""
    inputs = {name: values.decode(values.from_ref(ref, lambda _: b"")) for name, ref in job.inputs.items()}
    space = {"inputs": inputs, "shard": job.shard, "shards": job.shards}
    try:
        exec(compile(job.code, "task", "exec"), space)  # noqa: S102 - our own template source
    except ValueError as error:
        detail = ErrorDetail(type="ValueError", message=str(error))
        return Ended(outcome=Outcome.FAILED, detail=detail, usage=Usage())
    result = values.to_ref(values.encode(space["result"]), 1000, sink.keep)
    return Ended(outcome=Outcome.SUCCEEDED, result=result, usage=Usage())


class FillingSandbox(ScriptedSandbox):
    """Runs the filling of templates for real."""

    async def run(self, job, sink):
        if "def render(" in job.code:
            self.scripts[job.code] = filling
        return await super().run(job, sink)


@contextlib.asynccontextmanager
async def prompting(model: str, key: str = KEY, **more):
    async with serving(Config(model=model, model_key=key, **more), FillingSandbox()) as worker:
        yield worker


KINDS = ["openai", "gemini"]


def setting(kind: str, provider: Provider) -> str:
    return f"openai:tiny:1b@{provider.base}/v1" if kind == "openai" else f"gemini:tiny@{provider.base}"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_prompt_is_filled_streamed_and_counted(provider, kind):
    async with prompting(setting(kind, provider)) as worker:
        body = {
            "task": "Translate {word} {shard}/{shards}",
            "kind": "prompt",
            "shard": 1,
            "shards": 2,
            "attempt_id": "p",
        }
        body["inputs"] = {"word": {"value": "cat"}}
        answer = await worker.client.post("/execute", json=body, headers={"Accept": "text/event-stream"})
        events = sse(answer.text)
        assert [event["event"] for event in events] == ["started", "stdout", "stdout", "stdout", "finished"]
        told = json.loads(events[-1]["data"])["data"]
        assert told["outcome"] == "succeeded"
        assert told["output"] == "Hello wörld"
        assert told["result"]["value"] == "Hello wörld"
        assert (told["usage"]["prompt_tokens"], told["usage"]["output_tokens"]) == (7, 3)
        path, headers, sent = provider.asked[0]
        prompt = 'Translate <data name="word">\ncat\n</data> 1/2'
        if kind == "openai":
            assert headers["authorization"] == f"Bearer {KEY}"
            assert sent["messages"] == [{"role": "user", "content": prompt}]
            assert sent["model"] == "tiny:1b"
        else:
            assert path == "/v1beta/models/tiny:streamGenerateContent"
            assert headers["x-goog-api-key"] == KEY
            assert sent["contents"][0]["parts"][0]["text"] == prompt


@pytest.mark.parametrize(("kind", "label"), [("openai", "model:tiny:1b"), ("gemini", "model:tiny")])
async def test_the_label_names_the_model_and_nothing_tells_the_key_or_the_address(provider, kind, label):
    async with prompting(setting(kind, provider)) as worker:
        for path in ("/health", "/status"):
            answer = await worker.client.get(path)
            assert label in answer.text
            assert KEY not in answer.text
            assert provider.base not in answer.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "outcome", "says"),
    [
        (429, "rejected", "429"),
        (503, "rejected", "503"),
        (400, "failed", "400: no ***"),
        (404, "failed", "404"),
        (401, "failed", "refused the key"),
    ],
)
async def test_a_providers_error_is_told_without_the_key(provider, kind, status, outcome, says):
    provider.status, provider.message = status, f"no {KEY}"
    async with prompting(setting(kind, provider)) as worker:
        told = (await worker.execute("Say hi", kind="prompt")).json()
        assert told["outcome"] == outcome
        assert says in told["error"]
        assert KEY not in json.dumps(told)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_provider_out_of_reach_is_rejected_so_that_another_worker_may_try(kind):
    with listen("127.0.0.1", 0) as closed:
        base = f"http://127.0.0.1:{closed.getsockname()[1]}"
    async with prompting(setting(kind, Provider(base=base))) as worker:
        told = (await worker.execute("Say hi", kind="prompt")).json()
        assert told["outcome"] == "rejected"
        assert "out of reach" in told["error"]


@pytest.mark.parametrize(
    ("kind", "finish", "outcome", "truncated"),
    [
        ("openai", "length", "succeeded", ["answer"]),
        ("gemini", "MAX_TOKENS", "succeeded", ["answer"]),
        ("openai", "content_filter", "failed", []),
        ("gemini", "SAFETY", "failed", []),
    ],
)
async def test_an_answer_that_was_cut_or_withheld_says_so(provider, kind, finish, outcome, truncated):
    provider.finish = finish
    async with prompting(setting(kind, provider)) as worker:
        told = (await worker.execute("Say hi", kind="prompt")).json()
        assert (told["outcome"], told["truncated"]) == (outcome, truncated)
        if outcome == "failed":
            assert finish in told["error"]


async def test_a_blocked_prompt_says_so(provider):
    provider.block = "PROHIBITED_CONTENT"
    async with prompting(setting("gemini", provider)) as worker:
        told = (await worker.execute("Say hi", kind="prompt")).json()
        assert told["outcome"] == "failed"
        assert "PROHIBITED_CONTENT" in told["error"]


@pytest.mark.parametrize(
    "raw", [b"data: {\n\n", b"data: [1]\n\n", b'data: {"choices": 3}\n\n', b'data: {"choices": [1]}\n\n']
)
async def test_a_stream_that_is_not_the_protocol_fails_clearly(provider, raw):
    provider.raw = b"data: " + raw + b"\n\n"
    async with prompting(setting("openai", provider)) as worker:
        told = (await worker.execute("Say hi", kind="prompt")).json()
        assert told["outcome"] == "failed"
        assert "not that of an OpenAI-compatible server" in told["error"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_prompt_can_be_cancelled_and_the_provider_is_left(provider, kind):
    provider.hang = True
    async with prompting(setting(kind, provider)) as worker:
        call = asyncio.create_task(worker.execute("Say hi", kind="prompt", attempt_id="a"))
        await provider.got.wait()
        deleted = (await worker.client.delete("/attempts/a")).json()
        assert deleted["status"] == "cancelled"
        assert (await call).json()["outcome"] == "cancelled"
        await asyncio.wait_for(provider.left.wait(), 5)


async def test_a_prompt_that_takes_too_long_times_out_with_what_it_said(provider):
    provider.hang = True
    async with prompting(setting("openai", provider)) as worker:
        told = (await worker.execute("Say hi", kind="prompt", limits={"timeout_s": 0.3})).json()
        assert (told["status"], told["outcome"]) == ("timed_out", "timed_out")
        assert "0.3 s" in told["error"]


async def test_a_prompt_larger_than_the_bound_fails_before_it_is_sent(provider):
    async with prompting(setting("openai", provider)) as worker:
        told = (await worker.execute("x" * (PROMPT_CHARS + 1), kind="prompt")).json()
        assert told["outcome"] == "failed"
        assert "map over the data" in told["error"]
        assert provider.asked == []


async def test_a_large_prompt_comes_back_from_the_sandbox_whole(provider):
    async with prompting(setting("openai", provider)) as worker:
        await worker.execute("y" * 50_000, kind="prompt")
        assert provider.asked[0][2]["messages"][0]["content"] == "y" * 50_000


@pytest.mark.parametrize(
    ("model", "key", "says"),
    [
        ("gemini", "k", "gemini:<model>"),
        ("gemini:", "k", "gemini:<model>"),
        ("openai:name", "k", "base url"),
        ("claude:name", "k", "gemini:<model>"),
        ("openai:name@ftp://x", "k", "https://"),
        ("gemini:name", "", "NADG_WORKER_MODEL_KEY"),
    ],
)
def test_a_wrong_setting_is_named(model, key, says):
    with pytest.raises(ConfigError, match=says):
        make_model(model, key)


def test_a_template_names_inputs_in_braces_and_leaves_other_braces_alone():
    assert render('{"a": {n}} {unknown} {{n}} { n }', {"n": 3}) == '{"a": 3} {unknown} 3 3'
    assert render("{a.b} {a}", {"a": 1, "a.b": 2}) == "2 1"


def test_what_a_template_does_not_name_follows_as_data():
    frame = pd.DataFrame({"x": [1, 2]})
    assert (
        render("Sum up.", {"t": frame})
        == f'Sum up.\n\n<data name="t">\nx{os.linesep}1{os.linesep}2{os.linesep}\n</data>'
    )
    assert render("Sum up.", {"l": [1, {"k": None}]}) == 'Sum up.\n\n<data name="l">\n[1, {"k": null}]\n</data>'


def test_data_cannot_close_its_own_tag_nor_be_filled_again():
    text = render("{a}", {"a": "</data> {b} </DATA>", "b": 1})
    assert text.count("</data>") == 1
    assert "</DATA>" not in text
    assert "{b}" in text


@pytest.mark.serial
async def test_a_real_worker_fills_in_its_sandbox_and_no_task_sees_the_key(provider, tmp_path):
    settings = {"NADG_WORKER_MODEL": setting("openai", provider), "NADG_WORKER_MODEL_KEY": KEY}
    async with started(tmp_path, **settings) as worker:
        body = {"task": "Count {n}", "kind": "prompt", "inputs": {"n": {"value": 3}}}
        told = (await worker.client.post("/execute", json=body)).json()
        assert told["output"] == "Hello wörld", told
        assert provider.asked[0][2]["messages"][0]["content"] == "Count 3"
        code = "import os, sys\nprint(dict(os.environ), sys.argv, sorted(globals()))"
        told = (await worker.client.post("/execute", json={"task": code})).json()
        assert told["status"] == "completed"
        assert KEY not in json.dumps(told)
