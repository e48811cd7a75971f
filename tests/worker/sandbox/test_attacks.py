"""Attacks through the HTTP API: stopped with every layer on, able to get through without those that stop them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import tempfile
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
import uvicorn

from app import create_app
from config import Config
from listening import listen
from sandbox.forkserver import ForkServer

pytestmark = pytest.mark.serial
module_loop = pytest.mark.asyncio(loop_scope="module")

FOLDER = Path(__file__).resolve().parents[1] / "attacks"
PRELUDE = (FOLDER / "prelude.txt").read_text()
ATTACKS = {
    f"{table.stem}: {attack['name']}": attack
    for table in sorted(FOLDER.glob("*.toml"))
    for attack in tomllib.loads(table.read_text())["attack"]
}
KEYS = {"name", "code", "stopped_by", "permissions", "limits", "root"}
# Nobody but root has a second user id to give, and what needs root's rights gets through for root only.
ROOT = os.geteuid() == 0
POSSIBLE = [name for name, attack in ATTACKS.items() if ROOT or not attack.get("root")]
LAYERS = {
    "environment", "session", "identity", "non_dumpable", "no_new_privileges",
    "rlimits", "landlock", "seccomp", "watch", "tree",
}  # fmt: skip
SIBLING = "print('sibling', flush=True)\nopen('own', 'w').write('sibling')\nimport time\ntime.sleep(600)"


class Outside:
    """What a task must not touch: files, sockets, a sibling, the worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o777)
        self._fill()
        self._servers = []
        self.abstract = f"nadg-attack-{os.getpid()}"
        for family, kind, address in (
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            (socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "sock")),
            (socket.AF_UNIX, socket.SOCK_DGRAM, str(folder / "dgram")),
            (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.abstract}"),
        ):
            server = socket.socket(family, kind)
            server.bind(address)
            if kind == socket.SOCK_STREAM:
                server.listen(50)
            self._servers.append(server)
        for name in ("sock", "dgram"):
            (folder / name).chmod(0o777)
        self.port, self.udp_port = (server.getsockname()[1] for server in self._servers[:2])

    def _fill(self) -> None:
        for name, content, mode in (("target", "untouched", 0o666), ("spare", "", 0o666), ("private", "secret", 0o600)):
            path = self.folder / name
            path.unlink(missing_ok=True)
            path.write_text(content)
            path.chmod(mode)
        (self.folder / "empty").mkdir(exist_ok=True)
        (self.folder / "empty").chmod(0o777)

    def state(self) -> list[object]:
        found: list[object] = []
        for path in sorted(self.folder.iterdir()):
            status = path.lstat()
            attributes = os.listxattr(path, follow_symlinks=False)
            found.append((path.name, status.st_mode, status.st_uid, status.st_size, status.st_mtime_ns, attributes))
        return found

    def restore(self) -> None:
        for path in self.folder.iterdir():
            if path.name not in ("target", "spare", "private", "empty", "sock", "dgram"):
                path.unlink() if not path.is_dir() or path.is_symlink() else path.rmdir()
        self._fill()

    def close(self) -> None:
        for server in self._servers:
            server.close()


@pytest.fixture(scope="module")
def outside():
    folder = Path(tempfile.mkdtemp(prefix="nadg-outside-"))
    found = Outside(folder)
    yield found
    found.close()
    shutil.rmtree(folder)


@dataclass
class Worker:
    """A worker that serves, and what an attack may know about it."""

    client: httpx2.AsyncClient
    facts: dict[str, object]

    async def layers(self) -> dict[str, str]:
        return (await self.client.get("/health")).json()["sandbox"]

    async def execute(self, task: str, **more: object) -> dict[str, object]:
        answer = await self.client.post("/execute", json={"task": task, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()


class Workers:
    """One worker per set of layers that are off, each with a task that lives beside the attacks."""

    def __init__(self, box_of) -> None:
        self._box_of = box_of
        self._stack = contextlib.AsyncExitStack()
        self._workers: dict[frozenset[str], Worker] = {}

    async def get(self, off: frozenset[str]) -> Worker:
        if off not in self._workers:
            sandbox = ForkServer(preload=(), capacity=2, spares=1, off=off, allow_open_network=bool(off))
            client = await self._serve(create_app(Config(capacity=3), sandbox))
            self._workers[off] = Worker(client, await self._sibling(sandbox))
        return self._workers[off]

    async def _serve(self, app) -> httpx2.AsyncClient:
        config = uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=1)
        server, listening = uvicorn.Server(config), listen("127.0.0.1", 0)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            assert not serving.done(), "the worker did not start"
            await asyncio.sleep(0.005)

        async def stop() -> None:
            server.should_exit = True
            await serving

        self._stack.push_async_callback(stop)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        client = httpx2.AsyncClient(
            base_url=url, trust_env=False, timeout=60, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        return await self._stack.enter_async_context(client)

    async def _sibling(self, sandbox: ForkServer) -> dict[str, object]:
        box = self._box_of(sandbox)
        job, sink = box.job(SIBLING, timeout_s=600), box.sink()
        task = asyncio.ensure_future(box.run_job(job, sink))
        await sink.wait_for("stdout")
        running = sandbox._running[job.attempt_id].process
        file = sandbox._pool.slot(running).work / "own"

        async def stop() -> None:
            sandbox.cancel(job.attempt_id)
            await task

        self._stack.push_async_callback(stop)
        return {"sibling": running.pid, "sibling_file": str(file)}

    async def close(self) -> None:
        await self._stack.aclose()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers(box_of) -> AsyncIterator[Workers]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NADG_TEST_SECRET", "a secret of the worker")
        found = Workers(box_of)
        yield found
        await found.close()


async def gets_through(attack, worker, outside) -> bool:
    """Whether the attack had an effect; the world is as before when it returns."""
    before = outside.state()
    given = {
        "outside": str(outside.folder),
        "worker": os.getpid(),
        "port": outside.port,
        "udp_port": outside.udp_port,
        "abstract": outside.abstract,
        **worker.facts,
    }
    answer = await worker.execute(
        PRELUDE + attack["code"],
        inputs={name: {"format": "json", "value": value} for name, value in given.items()},
        permissions=dict.fromkeys(attack.get("permissions", ()), True),
        limits={"timeout_s": 20, **attack.get("limits", {})},
    )
    print(answer["outcome"], answer["detail"], answer["stderr"])
    changed = outside.state() != before
    outside.restore()
    survived = [int(line.split()[1]) for line in answer["output"].splitlines() if line.startswith("survivor ")]
    alive = False
    for pid in survived:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
            alive = True
    said = answer["outcome"] == "succeeded" and (answer["result"] or {}).get("value") is True
    return said or changed or alive


@module_loop
@pytest.mark.parametrize("name", ATTACKS)
async def test_it_is_stopped(name, workers, outside):
    attack = ATTACKS[name]
    assert attack.keys() <= KEYS
    assert set(attack["stopped_by"]) <= LAYERS
    worker = await workers.get(frozenset())
    assert set((await worker.layers()).values()) == {"active"}
    assert not await gets_through(attack, worker, outside)
    after = await worker.execute("import os\nresult = os.listdir('.')")
    assert after["result"]["value"] == []


@module_loop
@pytest.mark.parametrize("name", POSSIBLE)
async def test_without_the_layers_that_stop_it_it_gets_through(name, workers, outside):
    attack = ATTACKS[name]
    off = frozenset(attack["stopped_by"]) - (frozenset() if ROOT else {"identity"})
    worker = await workers.get(off)
    layers = await worker.layers()
    for layer in off:
        assert layers[layer].startswith("unavailable")
    assert await gets_through(attack, worker, outside)


def test_there_are_enough_of_them():
    codes = [attack["code"] for attack in ATTACKS.values()]
    assert len(set(codes)) >= 75
