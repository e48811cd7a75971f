"""What stands where a Space answers: its host's own pages, the gate of a private one, and a worker behind it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nadg_kernel.wire import AUTH_HEADER, PROTOCOL

PAGES = {
    "PAUSED": "<title>This Space is paused</title> paused by its owner",
    "SLEEPING": "<title>This Space is sleeping</title> sleeping due to inactivity",
}
_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass
class Visit:
    """One request that reached a Space's address."""

    method: str
    path: str
    bearer: str | None
    token: str | None


@dataclass
class FakeSpace:
    """A Space. `stages` are told one after the other, the last one for good. `tokens`: who may see it if private."""

    name: str
    private: bool = False
    sdk: str = "docker"
    hardware: str = "cpu-basic"
    files: dict[str, bytes] = field(default_factory=lambda: {"README.md": b"", ".gitattributes": b""})
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    stages: list[str] = field(default_factory=lambda: ["NO_APP_FILE"])
    commits: list[str] = field(default_factory=list)
    logs: dict[str, list[str]] = field(default_factory=lambda: {"build": [], "run": []})
    tokens: set[str] = field(default_factory=set)
    weak: bool = False
    folder: Path | None = None
    """Where the files are laid out and started as a worker; None: a stand-in answers for the worker."""
    visits: list[Visit] = field(default_factory=list)

    def __post_init__(self) -> None:
        handler = type("Handler", (_Front,), {"space": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def stage(self) -> str:
        """What it is in, without going on to the next."""
        return self.stages[0]

    def next_stage(self) -> str:
        """What is told now."""
        return self.stages.pop(0) if len(self.stages) > 1 else self.stages[0]

    def built(self, commit: str, stages: list[str]) -> None:
        """A commit came: the next container runs these files."""
        self.commits.append(commit)
        self.stages = list(stages)
        if self.folder is not None:
            self.end()
            for name, data in self.files.items():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / name).write_bytes(data)
            self._start(self.folder)

    def _start(self, folder: Path) -> None:
        keep = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TMPDIR") if name in os.environ}
        given = {**self.variables, **self.secrets, "HOST": "127.0.0.1", "PORT": "0", "NADG_PRELOAD": ""}
        self.process = subprocess.Popen(
            [sys.executable, "main.py", "--announce", "--parent-stdin"],
            cwd=folder, env={**keep, **given}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.port = json.loads(self.process.stdout.readline())["port"]

    def end(self) -> None:
        """End the worker's process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def close(self) -> None:
        self.end()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def health(self) -> dict[str, Any]:
        refused = self.weak and self.variables.get("NADG_ALLOW_WEAK_SANDBOX") != "1"
        layers = {"seccomp": "active", "landlock": "unavailable: the kernel is too old" if self.weak else "active"}
        return {
            "status": "refusing" if refused else "ok", "reason": "the sandbox is weak" if refused else "",
            "worker_id": self.variables.get("WORKER_ID", ""), "boot_id": f"b{len(self.commits)}", "uptime_s": 1.0,
            "protocol": PROTOCOL, "running": 0, "capacity": 2, "labels": ["cpu"], "sandbox": layers, "weak": self.weak,
        }  # fmt: skip

    def answer(self, path: str, token: str | None) -> tuple[int, Any]:
        """What the stand-in for a worker says."""
        if path == "/health":
            return 200, self.health()
        if token != self.secrets.get("NADG_AUTH_TOKEN"):
            return 401, {"error": "the token is not this worker's", "hint": ""}
        report = {"python": "3.11", "packages": {}, "modules": [], "limits": {}, "max_body_bytes": 1000}
        return 200, {"health": self.health(), **report}


class _Front(BaseHTTPRequestHandler):
    """The host in front of a Space."""

    space: FakeSpace
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        space = self.space
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        bearer, token = self.headers.get("Authorization"), self.headers.get(AUTH_HEADER)
        space.visits.append(Visit(self.command, self.path, bearer, token))
        if space.private and (bearer or "").removeprefix("Bearer ") not in space.tokens:
            return self._page(404, "<title>404</title> Sorry, we can't find the page you are looking for.")
        if space.stage not in {"RUNNING", "RUNNING_BUILDING", "RUNNING_APP_STARTING"}:
            return self._page(503, PAGES.get(space.stage, "<title>Starting</title> The Space is building or starting"))
        if space.process is not None:
            return self._relay(body)
        status, said = space.answer(self.path, token)
        return self._send(status, json.dumps(said).encode(), "application/json")

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the library's names

    def _page(self, status: int, text: str) -> None:
        self._send(status, text.encode(), "text/html")

    def _send(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _relay(self, body: bytes) -> None:
        """Pass a request on to the worker, and its answer back piece by piece."""
        upstream = http.client.HTTPConnection("127.0.0.1", self.space.port, timeout=30)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            upstream.request(self.command, self.path, body=body or None, headers=headers)
            answer = upstream.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            while piece := answer.read1(65_536):
                self.wfile.write(piece)
                self.wfile.flush()
        finally:
            upstream.close()
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass
