"""Stand-ins on this machine for what is elsewhere: a model that answers by a function, and a worker with a token.

They are for trying things out without a key or an account; both speak the real protocols and end with the kernel.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from nadg_kernel.engines.local import worker_environment, worker_folder
from nadg_kernel.errors import WorkerUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nadg_kernel.settings import Secret

_END_S = 3.0
_SHOWN_CHARS = 1500


class StandInModel:
    """A server that speaks OpenAI's chat completions and answers each prompt with `answer(prompt)`.

    It understands nothing: what it says is what the function says. `asked` keeps the prompts in their order.
    """

    def __init__(self, answer: Callable[[str], str], name: str = "stand-in") -> None:
        """Serve on a free loopback port at once, until `close` or the end of the kernel."""
        self.name = name
        self.asked: list[str] = []
        self._answer = answer
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name=f"nadg-{name}", daemon=True).start()

    @property
    def url(self) -> str:
        """The base URL, as `NADG_WORKER_MODEL=openai:NAME@URL` takes it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def setting(self) -> str:
        """The value of NADG_WORKER_MODEL for a worker that uses this model."""
        return f"openai:{self.name}@{self.url}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        """Use as a context manager: closed at the end."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close."""
        self.close()

    def _chunks(self, prompt: str) -> Iterator[dict[str, Any]]:
        """The answer word by word, as models send it, then what it took: a word counts as a token here."""
        self.asked.append(prompt)
        words = self._answer(prompt).split(" ")
        for number, word in enumerate(words):
            yield _choice({"content": word if number == 0 else f" {word}"})
        yield _choice({}, "stop")
        yield {"choices": [], "usage": {"prompt_tokens": len(prompt.split()), "completion_tokens": len(words)}}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Answer as `/chat/completions` does when it streams."""
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for chunk in model._chunks(body["messages"][-1]["content"]):
                    self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
                self.wfile.write(b"data: [DONE]\n\n")

            def log_message(self, *_args: object) -> None:
                """Say nothing: stderr belongs to the notebook."""

        return Handler


class StandInWorker:
    """A worker on this machine that a grid registers like a remote one: by its URL, with a token of its own.

    `token` gives the token for its URL (`grid.worker_token`); keywords are the worker's settings, such as
    `NADG_WORKER_MODEL="..."` or `NADG_CAPACITY=1`. Raises WorkerUnreachable if it does not start.
    """

    def __init__(self, token: Callable[[str], Secret], worker_id: str = "stand-in", **settings: object) -> None:
        """Start it and wait until it serves."""
        self.worker_id = worker_id
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = worker_environment(worker_id, token(self.url).reveal())
        environment |= {"PORT": str(port), **{name: str(value) for name, value in settings.items()}}
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker; stderr belongs to the notebook
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
            [sys.executable, str(worker_folder() / "main.py"), "--announce", "--parent-stdin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=environment,
            text=True,
            cwd=tempfile.gettempdir(),
            start_new_session=os.name == "posix",  # interrupting the kernel is not meant for it
        )
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        if not self._process.stdout.readline():
            self._process.wait()
            self._said.seek(0)
            said = self._said.read().decode("utf-8", "replace").strip()[-_SHOWN_CHARS:]
            self.close()
            raise WorkerUnreachable(f"worker {worker_id} did not start: {said}")

    def close(self) -> None:
        """End it at once, and by force after 3 s."""
        assert self._process.stdin is not None  # noqa: S101 - as above
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._said.close()

    def __enter__(self) -> Self:
        """Use as a context manager: ended at the end."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """End it."""
        self.close()


def _choice(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _free_port() -> int:
    """A port that was free just now: the token depends on it, so it is chosen before the worker binds it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
