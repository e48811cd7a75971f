"""A local server that speaks OpenAI's chat completions, and a worker process that has its model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

WORKER = Path(__file__).parents[2] / "worker-node"


class FakeOpenAI:
    """Use as a context manager; `reply(prompt)` gives each answer, `prompts` keeps what was asked."""

    def __init__(self, reply: Callable[[str], str]):
        self.reply = reply
        self.prompts: list[str] = []
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    fake: FakeOpenAI
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        """Tests read `prompts` instead."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"]
        self.fake.prompts.append(prompt)
        text = self.fake.reply(prompt)
        usage = {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(text) // 4}
        if not body.get("stream"):
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice]}
            self._send("application/json", json.dumps({**whole, "usage": usage}).encode())
            return
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": usage},
        ]
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]
        self._send("text/event-stream", "".join(lines).encode())

    def _send(self, kind: str, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def worker_with_model(fake: FakeOpenAI, home: Path, port: int, token: str, capacity: int = 2) -> Iterator[None]:
    """A worker process on a port of this machine whose model is the fake's, labelled `model:tiny`."""
    keep = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    own = {
        "PORT": str(port),
        "NADG_AUTH_TOKEN": token,
        "NADG_CAPACITY": str(capacity),
        "TMPDIR": str(home),
        "TEMP": str(home),
    }
    model = {"NADG_WORKER_MODEL": f"openai:tiny@{fake.base_url}", "NADG_PRELOAD": ""}
    process = subprocess.Popen(
        [sys.executable, "main.py"],
        cwd=WORKER,
        env={**keep, **own, **model},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)
        if process.stdin is not None:
            process.stdin.close()
