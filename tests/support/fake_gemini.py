"""A local server that speaks Gemini's REST protocol as far as the planner uses it, and refuses all else."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

KEY = "AIza-test-key-0123456789"
MODEL = "gemini-3.8-flash"

_BODY = {"contents", "generationConfig", "safetySettings", "systemInstruction", "tools", "toolConfig", "cachedContent"}
_CONFIG = {
    "candidateCount", "maxOutputTokens", "responseJsonSchema", "responseMimeType", "responseSchema", "stopSequences",
    "temperature", "thinkingConfig", "topK", "topP",
}  # fmt: skip
_KEYWORDS = {
    "$defs", "$ref", "type", "title", "description", "enum", "items", "prefixItems", "minItems", "maxItems", "minimum",
    "maximum", "anyOf", "oneOf", "properties", "additionalProperties", "required",
}  # fmt: skip


@dataclass
class Say:
    """An answer. `pieces`: how many chunks it is streamed in, `pause`: seconds between them."""

    text: str | dict
    finish: str = "STOP"
    pieces: int = 2
    pause: float = 0.0

    @property
    def plain(self) -> str:
        return self.text if isinstance(self.text, str) else json.dumps(self.text)


@dataclass
class Fail:
    """An error answer, as the API words it."""

    code: int
    status: str
    message: str = "made up"
    details: list[dict] = field(default_factory=list)

    def body(self) -> dict:
        error = {"code": self.code, "message": self.message, "status": self.status, "details": self.details}
        return {"error": error}


@dataclass
class Raw:
    """Any bytes with any status: a proxy's page, for example."""

    body: bytes
    code: int = 200
    kind: str = "text/html"


@dataclass
class Blocked:
    """A prompt that is refused: no candidates, and no error either."""

    reason: str = "SAFETY"


class Silent:
    """An answer without candidates."""


class Hang:
    """No answer until the server closes."""


class Drop:
    """The connection ends in the middle of the answer."""


def quota(per: str, delay: str | None = None) -> Fail:
    """A 429 as Gemini sends it: `per` is PerMinute or PerDay."""
    details: list[dict] = [
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"quotaId": f"GenerateRequests{per}PerProjectPerModel-FreeTier", "quotaValue": "10"}],
        }
    ]
    if delay is not None:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
    return Fail(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", details)


@dataclass
class Seen:
    """One request."""

    path: str
    prompt: str
    body: dict[str, Any]


class FakeGemini:
    """Use as a context manager; `url` is its address. `reply(prompt, number)` gives the step for each request."""

    def __init__(self, reply: Callable[[str, int], Any]):
        self.reply = reply
        self.seen: list[Seen] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def step(self, seen: Seen) -> Any:
        with self._lock:
            self.seen.append(seen)
            return self.reply(seen.prompt, len(self.seen))


def scripted(*steps: Any) -> Callable[[str, int], Any]:
    """The steps one after another; the last one repeats."""
    return lambda _prompt, number: steps[min(number, len(steps)) - 1]


class _Handler(BaseHTTPRequestHandler):
    fake: FakeGemini
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        """Tests read `seen` instead."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        match = re.fullmatch(r"/v1beta/models/([\w.-]+):(\w+)(?:\?.*)?", self.path)
        refused = self._refused(match, body)
        if refused is not None:
            self._json(refused.code, refused.body())
            return
        assert match is not None
        contents = body.get("generateContentRequest", body)["contents"]
        prompt = "".join(part.get("text", "") for item in contents for part in item["parts"])
        if match[2] == "countTokens":
            self.fake.seen.append(Seen(self.path, prompt, body))
            self._json(200, {"totalTokens": max(1, len(prompt) // 4)})
            return
        step = self.fake.step(Seen(self.path, prompt, body))
        self._play(step, prompt, stream=match[2] == "streamGenerateContent")

    def _refused(self, match: re.Match[str] | None, body: dict) -> Fail | None:
        if self.headers.get("x-goog-api-key") != KEY:
            reason = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
            return Fail(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", reason)
        if match is None or match[2] not in {"generateContent", "streamGenerateContent", "countTokens"}:
            return Fail(404, "NOT_FOUND", f"no method at {self.path}")
        if match[1] != MODEL:
            return Fail(404, "NOT_FOUND", f"models/{match[1]} is not found for API version v1beta")
        config = body.get("generationConfig", {})
        inner = {"generateContentRequest"} if match[2] == "countTokens" else set()
        unknown = (set(body) - _BODY - {"model"} - inner) | (set(config) - _CONFIG)
        unknown |= set(_strange(config.get("responseJsonSchema", {})))
        if unknown:
            return Fail(400, "INVALID_ARGUMENT", f"Unknown name {min(unknown)!r}: Cannot find field.")
        return None

    def _play(self, step: Any, prompt: str, *, stream: bool) -> None:
        if isinstance(step, Fail):
            self._json(step.code, step.body())
        elif isinstance(step, Raw):
            self._send(step.code, step.kind, step.body)
        elif isinstance(step, Hang):
            self.fake.closing.wait(30)
            self.close_connection = True
        elif isinstance(step, Drop):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream" if stream else "application/json")
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b'data: {"candidates": [{"content": {"parts": [{"text": "{"}]}}]}\r\n\r\n')
            self.close_connection = True
        else:
            chunks = list(_chunks(step, prompt))
            if stream:
                self._stream(chunks, getattr(step, "pause", 0.0))
            else:
                self._json(200, _whole(chunks))

    def _stream(self, chunks: list[dict], pause: float) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            data = f"data: {json.dumps(chunk)}\r\n\r\n".encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
            if pause:
                time.sleep(pause)
        self.wfile.write(b"0\r\n\r\n")

    def _json(self, code: int, body: dict) -> None:
        self._send(code, "application/json", json.dumps(body).encode())

    def _send(self, code: int, kind: str, data: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _chunks(step: Any, prompt: str) -> Any:
    usage = {"promptTokenCount": max(1, len(prompt) // 4), "totalTokenCount": max(1, len(prompt) // 4)}
    if isinstance(step, Blocked):
        yield {"promptFeedback": {"blockReason": step.reason}, "usageMetadata": usage}
        return
    if isinstance(step, Silent):
        yield {"usageMetadata": usage, "modelVersion": MODEL}
        return
    text = step.plain
    size = max(1, -(-len(text) // max(1, step.pieces)))
    parts = [text[start : start + size] for start in range(0, len(text), size)] or [""]
    for number, part in enumerate(parts, 1):
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": part}]}, "index": 0}
        chunk: dict[str, Any] = {"candidates": [candidate], "modelVersion": MODEL}
        if number == len(parts):
            candidate["finishReason"] = step.finish
            answered = max(1, len(text) // 4)
            total = usage["promptTokenCount"] + answered
            chunk["usageMetadata"] = {**usage, "candidatesTokenCount": answered, "totalTokenCount": total}
        yield chunk


def _whole(chunks: list[dict]) -> dict:
    last = dict(chunks[-1])
    if "candidates" in last:
        text = "".join(chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks)
        candidate = dict(last["candidates"][0], content={"role": "model", "parts": [{"text": text}]})
        last["candidates"] = [candidate]
    return last


def _strange(schema: Any, *, names: bool = False) -> Any:
    """Schema keywords that Gemini does not take; the keys under `properties` and `$defs` are names."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if not names and key not in _KEYWORDS:
                yield key
            yield from _strange(value, names=not names and key in {"properties", "$defs"})
    elif isinstance(schema, list):
        for item in schema:
            yield from _strange(item)
