"""A worker's service on a real socket, with a scripted sandbox where the test is about the service."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

# The worker's modules import each other as top-level names, as they do where the folder is deployed alone.
WORKER = Path(__file__).resolve().parents[2] / "worker-node"
sys.path.insert(0, str(WORKER))

from app import create_app  # noqa: E402
from config import Config  # noqa: E402
from listening import listen  # noqa: E402
from sandbox.base import Ended, Job, Sink  # noqa: E402
from service import Service  # noqa: E402
from wire import Outcome, Usage  # noqa: E402

collect_ignore = [] if os.name == "posix" else ["test_service_posix.py"]

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""These tests speak plain http; a context of its own costs each client 50 ms for certificates."""

Script = Callable[[Job, Sink], Awaitable[Ended]]


class ScriptedSandbox:
    """Runs coroutines that a test gave by name in place of code; everything else succeeds and echoes its code."""

    def __init__(self) -> None:
        self.weak = False
        self.layers = {"session": "active", "seccomp": "active"}
        self.scripts: dict[str, Script] = {}
        self.ran: list[Job] = []
        self.started = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[Ended]] = {}

    def report(self) -> dict[str, str]:
        return self.layers

    async def start(self) -> None:
        pass

    async def run(self, job: Job, sink: Sink) -> Ended:
        self.ran.append(job)
        task = asyncio.ensure_future(self.scripts.get(job.code, echo)(job, sink))
        self._tasks[job.attempt_id] = task
        self.started.set()
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                task.cancel()
                raise
            return Ended(outcome=Outcome.CANCELLED, usage=Usage(seconds=0.1), layers=("session",))
        finally:
            del self._tasks[job.attempt_id]

    def cancel(self, attempt_id: str) -> bool:
        task = self._tasks.get(attempt_id)
        return task is not None and task.cancel()

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()


async def echo(job: Job, sink: Sink) -> Ended:
    sink.event("stdout", {"text": job.code + "\n"})
    return Ended(outcome=Outcome.SUCCEEDED, usage=Usage(seconds=0.001), layers=("session", "seccomp"))


async def forever(_job: Job, sink: Sink) -> Ended:
    sink.event("stdout", {"text": "on my way\n"})
    await asyncio.Event().wait()
    raise AssertionError


@dataclass
class Running:
    """A service on a port, and a client of it."""

    service: Service
    sandbox: ScriptedSandbox
    client: httpx2.AsyncClient
    port: int
    app: Any = field(repr=False)

    async def execute(self, task: str, **more: Any) -> httpx2.Response:
        return await self.client.post("/execute", json={"task": task, **more})


@contextlib.asynccontextmanager
async def serving(config: Config, sandbox: ScriptedSandbox | None = None) -> AsyncIterator[Running]:
    """Serve on a free port of loopback, whatever public host the configuration claims."""
    sandbox = sandbox or ScriptedSandbox()
    sandbox.scripts.setdefault("forever", forever)
    app = create_app(config, sandbox)
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    async with (
        served(app, listening),
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20, verify=NO_TLS) as client,
    ):
        yield Running(service=app.state.service, sandbox=sandbox, client=client, port=port, app=app)


@contextlib.asynccontextmanager
async def served(app: Any, listening: socket.socket) -> AsyncIterator[None]:
    """Serve an application as uvicorn does, without its signal handlers and its tenth of a second at the end."""
    config = uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=1)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listening])
    assert server.started
    try:
        yield
    finally:
        await server.shutdown(sockets=[listening])


@pytest.fixture
async def worker() -> AsyncIterator[Running]:
    """A worker on loopback without a token and with four places."""
    async with serving(Config(worker_id="w1", capacity=4)) as running:
        yield running


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Poll what has no event of its own; fail after a deadline."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def sse(text: str) -> list[dict[str, str]]:
    """The events of a stream's text; comments are left out."""
    blocks = [block for block in text.split("\n\n") if block.strip() and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
