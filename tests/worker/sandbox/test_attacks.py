"""Attacks on the sandbox: stopped with every layer on, and able to get through without the layers that stop them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox.forkserver import ForkServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.serial]

FOLDER = Path(__file__).resolve().parents[1] / "attacks"
PRELUDE = (FOLDER / "prelude.txt").read_text()
ATTACKS = {
    f"{table.stem}: {attack['name']}": attack
    for table in sorted(FOLDER.glob("*.toml"))
    for attack in tomllib.loads(table.read_text())["attack"]
}
KEYS = {"name", "code", "stopped_by", "permissions", "limits", "needs"}
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


class Sandboxes:
    """One sandbox per set of layers that are off, each with a task that lives beside the attacks."""

    def __init__(self, box) -> None:
        self._box = box
        self._boxes: dict[frozenset[str], tuple[object, dict[str, object], asyncio.Task]] = {}

    async def get(self, off: frozenset[str]) -> tuple[object, dict[str, object]]:
        if off not in self._boxes:
            sandbox = ForkServer(preload=(), capacity=2, spares=1, off=off, allow_open_network=bool(off))
            await sandbox.start()
            box = self._box(sandbox)
            sink = box.sink()
            job = box.job(SIBLING, timeout_s=600)
            task = asyncio.ensure_future(box.run_job(job, sink))
            await sink.wait_for("stdout")
            running = sandbox._running[job.attempt_id].process
            folder = sandbox._pool.slot(running).work
            self._boxes[off] = box, {"sibling": running.pid, "sibling_file": str(folder / "own")}, task
        box, facts, _ = self._boxes[off]
        return box, facts

    async def close(self) -> None:
        for box, _, task in self._boxes.values():
            await box.sandbox.close()
            await task


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sandboxes(box_of) -> AsyncIterator[Sandboxes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NADG_TEST_SECRET", "a secret of the worker")
        found = Sandboxes(box_of)
        yield found
        await found.close()


async def gets_through(attack, box, facts, outside) -> bool:
    """Whether the attack had an effect; the world is as before when it returns."""
    before = outside.state()
    given = {
        "outside": str(outside.folder),
        "worker": os.getpid(),
        "port": outside.port,
        "udp_port": outside.udp_port,
        "abstract": outside.abstract,
        **facts,
    }
    tried = await box.run(
        PRELUDE + attack["code"],
        inputs=given,
        permissions=dict.fromkeys(attack.get("permissions", ()), True),
        **attack.get("limits", {}),
    )
    print(tried.ended.detail, tried.stderr)
    changed = outside.state() != before
    outside.restore()
    survived = [int(line.split()[1]) for line in tried.stdout.splitlines() if line.startswith("survivor ")]
    alive = False
    for pid in survived:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
            alive = True
    said = tried.outcome == "succeeded" and tried.ended.result is not None and tried.result is True
    return said or changed or alive


@pytest.mark.parametrize("name", ATTACKS)
async def test_it_is_stopped(name, sandboxes, outside):
    attack = ATTACKS[name]
    assert attack.keys() <= KEYS
    assert set(attack["stopped_by"]) <= LAYERS
    box, facts = await sandboxes.get(frozenset())
    assert set(box.sandbox.report().values()) == {"active"}
    assert not await gets_through(attack, box, facts, outside)
    after = await box.run("import os\nresult = os.listdir('.')")
    assert after.result == []


@pytest.mark.parametrize("name", ATTACKS)
async def test_without_the_layers_that_stop_it_it_gets_through(name, sandboxes, outside):
    attack = ATTACKS[name]
    box, facts = await sandboxes.get(frozenset(attack["stopped_by"]))
    for layer in attack["stopped_by"]:
        assert box.sandbox.report()[layer].startswith("unavailable")
    assert await gets_through(attack, box, facts, outside)
