"""Sandboxes to try code in: the same tests run over every back end that this system has."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

WORKER = Path(__file__).resolve().parents[3] / "worker-node"
sys.path.insert(0, str(WORKER))

from sandbox.base import Ended, Job, Sandbox  # noqa: E402
from sandbox.spawn import SpawnPool  # noqa: E402
from values import decode, encode, from_ref, to_ref  # noqa: E402
from wire import INLINE_BYTES, Limits, Permissions  # noqa: E402

BACK_ENDS = ["fork", "spawn"] if sys.platform == "linux" else ["spawn"]
_SERIAL = itertools.count()
# These read /proc or try Linux's own means.
collect_ignore = (
    []
    if sys.platform == "linux"
    else ["test_sandbox_leftovers.py", "test_sandbox_layers.py", "test_sandbox_hostile.py", "test_attacks.py"]
)


@dataclass
class Tried:
    """What came of a piece of code."""

    ended: Ended
    events: list[tuple[str, dict[str, Any]]]
    kept: dict[str, bytes]

    @property
    def outcome(self) -> str:
        return str(self.ended.outcome)

    @property
    def stdout(self) -> str:
        return self.text("stdout")

    @property
    def stderr(self) -> str:
        return self.text("stderr")

    @property
    def detail(self) -> Any:
        assert self.ended.detail is not None, self
        return self.ended.detail

    @property
    def result(self) -> Any:
        assert self.ended.result is not None, self
        return decode(from_ref(self.ended.result, self.kept.__getitem__))

    @property
    def artifacts(self) -> dict[str, bytes]:
        return {artifact.path: self.kept[artifact.sha256] for artifact in self.ended.artifacts}

    def text(self, kind: str) -> str:
        return "".join(data["text"] for name, data in self.events if name == kind)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [data for name, data in self.events if name == kind]


@dataclass
class KeepingSink:
    """Keeps everything in memory, and tells who waits for the next event."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def event(self, kind: str, data: dict[str, Any]) -> None:
        self.events.append((kind, data))
        self.news.set()

    def keep(self, sha256: str, data: bytes) -> None:
        assert hashlib.sha256(data).hexdigest() == sha256
        self.kept[sha256] = data

    def keep_file(self, fd: int, size: int) -> str:
        data = os.read(fd, size) if size else b""
        sha256 = hashlib.sha256(data).hexdigest()
        self.kept[sha256] = data
        return sha256

    async def wait_for(self, kind: str) -> None:
        async with asyncio.timeout(20):
            while not any(name == kind for name, _ in self.events):
                self.news.clear()
                await self.news.wait()


@dataclass
class Box:
    """A started sandbox and a folder for input blobs."""

    sandbox: Sandbox
    blobs: Path

    def job(
        self,
        code: str,
        *,
        inputs: dict[str, Any] | None = None,
        files: dict[str, bytes] | None = None,
        permissions: dict[str, bool] | None = None,
        shard: tuple[int, int] = (0, 1),
        **limits: Any,
    ) -> Job:
        blobs: dict[str, Path] = {}

        def keep(sha256: str, data: bytes) -> None:
            blobs[sha256] = self.blobs / sha256
            blobs[sha256].write_bytes(data)

        refs = {name: to_ref(encode(value), INLINE_BYTES, keep) for name, value in (inputs or {}).items()}
        laid = {}
        for path, data in (files or {}).items():
            laid[path] = self.blobs / hashlib.sha256(data).hexdigest()
            laid[path].write_bytes(data)
        return Job(
            attempt_id=f"try-{next(_SERIAL)}",
            code=code,
            inputs=refs,
            files=laid,
            blobs=blobs,
            limits=Limits(**({"timeout_s": 20} | limits)),
            permissions=Permissions(**(permissions or {})),
            shard=shard[0],
            shards=shard[1],
        )

    def sink(self) -> KeepingSink:
        return KeepingSink()

    async def run(self, code: str, **more: Any) -> Tried:
        return await self.run_job(self.job(code, **more), KeepingSink())

    async def run_job(self, job: Job, sink: KeepingSink) -> Tried:
        ended = await self.sandbox.run(job, sink)
        return Tried(ended, sink.events, sink.kept)


def make(back_end: str, **arguments: Any) -> Sandbox:
    if back_end == "fork":
        from sandbox.forkserver import ForkServer

        return ForkServer(**({"preload": (), "capacity": 4} | arguments))
    return SpawnPool(**({"preload": (), "capacity": 4} | arguments))


@pytest.fixture(scope="module")
def box_of(tmp_path_factory: pytest.TempPathFactory):
    """Makes a Box of a sandbox that a test started itself."""
    return lambda sandbox: Box(sandbox, tmp_path_factory.mktemp("blobs"))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def forked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Box]:
    """The fork server alone, with every layer on."""
    sandbox = make("fork")
    await sandbox.start()
    yield Box(sandbox, tmp_path_factory.mktemp("blobs"))
    await sandbox.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=BACK_ENDS)
async def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Box]:
    sandbox = make(request.param)
    await sandbox.start()
    yield Box(sandbox, tmp_path_factory.mktemp("blobs"))
    await sandbox.close()
