"""The registry against real workers and bad ones: tokens that open one worker only, heartbeats that end for all."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from nadg_kernel import registry as module
from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.engines.local import worker_environment, worker_folder
from nadg_kernel.engines.tokens import worker_token
from nadg_kernel.errors import SettingsError, WorkerError
from nadg_kernel.fleet import Fleet
from nadg_kernel.registry import Registry
from nadg_kernel.settings import Secret, Settings
from nadg_kernel.stores.base import WorkerRow
from nadg_kernel.stores.blobs import BlobStore
from nadg_kernel.stores.registered import registered
from nadg_kernel.stores.sqlite import SqliteStore
from nadg_kernel.wire import AUTH_HEADER
from tests.supabase.server import free_port
from tests.support import fault_server as faults
from tests.support.fault_server import FaultServer, healthy, page, refusal

SECRET = Secret("s" * 32)
HEADER = AUTH_HEADER.lower()


def unusable(worker_id, url):
    return registered(WorkerRow(worker_id=worker_id, url=url), [], "written by hand")


class Counting:
    """A store that counts the batches written to it."""

    def __init__(self, store):
        self._store, self.batches = store, []

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def upsert_workers(self, rows):
        self.batches.append(list(rows))
        await self._store.upsert_workers(rows)


@pytest.fixture
async def store(tmp_path):
    inner = SqliteStore(tmp_path / "nadg.db")
    await inner.open()
    yield Counting(inner)
    await inner.close()


@pytest.fixture
def registry(store):
    return Registry(store, SECRET)


@pytest.fixture
async def server():
    async with FaultServer() as running:
        yield running


@asynccontextmanager
async def real_worker(port, **settings):
    """A worker process of its own, as `nadg worker` starts it, with these settings."""
    environment = {**worker_environment("real", ""), "NADG_PRELOAD": "", "PORT": str(port), **settings}
    command = [sys.executable, "main.py", "--announce"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=worker_folder(), env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        yield json.loads(line)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


# who is registered


async def test_a_worker_is_added_found_and_removed(registry, store):
    row = await registry.add("https://User-Space.hf.space/")
    assert (row.worker_id, row.url, row.status) == ("user-space", "https://user-space.hf.space", "offline")
    assert await registry.add("https://user-space.hf.space:443", worker_id="other") == row
    assert len(store.batches) == 1
    for spelling in ("user-space", "https://USER-space.hf.space"):
        assert await registry.find(spelling) == row
    assert await registry.remove("https://user-space.hf.space") == row
    assert await registry.rows() == []
    with pytest.raises(WorkerError, match=r"no worker 'user-space' is registered \(there are: none\)"):
        await registry.find("user-space")


async def test_ids_are_made_from_the_host_and_stay_apart(registry):
    made = [
        (await registry.add(url)).worker_id
        for url in ("https://a.b.example", "https://a-b.example", "http://127.0.0.1:7860", "https://local-1")
    ]
    assert made == ["a-b-example", "a-b-example-2", "127-0-0-1-7860", "local-1-2"]


@pytest.mark.parametrize("worker_id", ["local-1", "a b", "../x", "-x", "x" * 101, "x\n", "\x1b[31m", "é"])
async def test_an_id_that_no_worker_may_have(registry, store, worker_id):
    with pytest.raises(WorkerError, match="no id for a worker"):
        await registry.add("https://w.example", worker_id=worker_id)
    assert store.batches == []


async def test_an_id_in_use_is_refused(registry):
    await registry.add("https://a.example", worker_id="w")
    with pytest.raises(WorkerError, match="'w' is taken"):
        await registry.add("https://b.example", worker_id="w")


async def test_a_row_written_by_hand_is_found_in_any_spelling(registry, store):
    await store.upsert_workers(
        [WorkerRow(worker_id="node-1", url="https://W.example/"), WorkerRow(worker_id="x", url="")]
    )
    assert (await registry.find("https://w.example")).worker_id == "node-1"
    assert (await registry.add("https://w.example")).worker_id == "node-1"


async def test_nothing_is_registered_without_a_secret_or_with_a_bad_url(store):
    with pytest.raises(SettingsError, match=r"NADG_GRID_SECRET is not set.*token_hex"):
        await Registry(store, None).add("https://w.example")
    with pytest.raises(WorkerError, match="must be https"):
        await Registry(store, SECRET).add("http://w.example")
    assert store.batches == []


# tokens


async def test_a_token_follows_from_secret_origin_and_generation(registry, store):
    before = await registry.token("https://w.example")
    assert before == worker_token(SECRET, "https://w.example", 1)
    row = await registry.add("https://w.example")
    assert await registry.token(row.worker_id) == before
    await store.upsert_workers([replace(row, generation=4)])
    assert await registry.token("https://w.example") == worker_token(SECRET, "https://w.example", 4)
    with pytest.raises(WorkerError, match="no worker URL"):
        await registry.token("nobody")


async def test_a_token_is_changed_in_two_steps_on_a_real_worker(registry):
    """Between the steps the worker holds both tokens, so that no call fails."""
    port = free_port()
    row = await registry.add(f"http://127.0.0.1:{port}", worker_id="real")
    old, new = (worker_token(SECRET, row.url, generation).reveal() for generation in (1, 2))
    async with real_worker(port, NADG_AUTH_TOKEN=old):
        (beat,) = await registry.heartbeat(tokens=True)
        assert (beat.status, beat.takes_token, beat.ok) == ("active", True, True)
        first = await registry.rotate("real")
        assert (first.done, first.token.reveal(), first.previous.reveal()) == (False, new, old)
        assert "401" in first.reason
        assert new not in repr(first)
        assert (await registry.find("real")).generation == 1
    async with real_worker(port, NADG_AUTH_TOKEN=new, NADG_AUTH_TOKEN_PREVIOUS=old):
        (beat,) = await registry.heartbeat(tokens=True)
        assert beat.takes_token is True, "the old token opens it until the new one is used"
        assert (await registry.rotate("real")).done
        assert (await registry.find("real")).generation == 2
    async with real_worker(port, NADG_AUTH_TOKEN=new):
        (beat,) = await registry.heartbeat(tokens=True)
        assert (beat.takes_token, beat.ok) == (True, True)
    gone = await registry.rotate("real")
    assert not gone.done
    assert "cannot be reached" in gone.reason
    assert (await registry.find("real")).generation == 2


async def test_a_worker_with_another_token_answers_and_cannot_be_counted_on(registry):
    port = free_port()
    await registry.add(f"http://127.0.0.1:{port}", worker_id="real")
    async with real_worker(port, NADG_AUTH_TOKEN="somebody-else"):
        (beat,) = await registry.heartbeat(tokens=True)
        assert (beat.status, beat.takes_token, beat.ok) == ("active", False, False)
        assert "401" in beat.reason
        (beat,) = await registry.heartbeat()
        assert (beat.status, beat.takes_token, beat.ok) == ("active", None, True)
        assert beat.layers or beat.weak


async def test_a_hostile_row_gets_no_other_workers_token(registry, store, server):
    """Whatever is asked of it: it sees its own token only, and none by asking for another's origin."""
    async with FaultServer() as hostile:
        honest = await registry.add(server.url, worker_id="honest")
        hostile.script("GET", "/health", faults.answer(302, b"", Location=f"{server.url}/health"), healthy())
        userinfo = f"http://127.0.0.1:{server.port}@127.0.0.1:{hostile.port}"
        await store.upsert_workers(
            [
                WorkerRow(worker_id="evil-1", url=hostile.url, generation=1),
                WorkerRow(worker_id="evil-2", url=userinfo, generation=1),
                WorkerRow(worker_id="evil-3", url=f"{hostile.url}/?x={honest.url}", generation=1),
                WorkerRow(worker_id="evil-4", url=hostile.url, generation=7, details={"url": honest.url}),
            ]
        )
        for _ in range(2):
            await registry.heartbeat(tokens=True)
        for worker in ("evil-1", "evil-2", "evil-3", "evil-4"):
            await registry.rotate(worker) if worker in {"evil-1", "evil-4"} else None
        sent = {call.headers.get(HEADER) for call in hostile.calls}
        own = {worker_token(SECRET, hostile.url, generation).reveal() for generation in range(1, 10)}
        assert sent - {None} <= own
        assert sent & own, "the test sees what is sent"
        assert not any(HEADER in call.headers for call in hostile.calls_of("GET", "/health"))
        of_honest = worker_token(SECRET, honest.url, 1).reveal().encode()
        assert not any(of_honest in call.raw for call in hostile.calls)
        beats = {beat.worker_id: beat for beat in await registry.heartbeat(tokens=True)}
        assert "no user or password" in beats["evil-2"].reason
        assert "no worker URL" in beats["evil-3"].reason
        assert [beats[name].status for name in ("honest", "evil-2", "evil-3")] == ["active", "offline", "offline"]
        with pytest.raises(WorkerError, match="no user or password"):
            await registry.rotate("evil-2")


async def test_without_a_secret_no_token_is_sent(store, server):
    await store.upsert_workers([WorkerRow(worker_id="w", url=server.url)])
    (beat,) = await Registry(store, None).heartbeat(tokens=True)
    assert (beat.status, beat.takes_token) == ("active", None)
    assert not any(HEADER in call.headers for call in server.calls)


# heartbeat


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        (healthy(), "active", ""),
        (healthy(running=2), "busy", ""),
        (healthy(weak=True), "active", ""),
        (page(503, "This Space is sleeping"), "asleep", "sleeping"),
        (page(503, "Your Space is starting"), "asleep", "starting"),
        (healthy(status="refusing", reason="weak sandbox"), "offline", "weak sandbox"),
        (healthy(protocol=0), "offline", "update the worker"),
        (refusal(401, "who are you"), "offline", "who are you"),
        (page(200, "Hello"), "offline", "no NADG worker"),
        (faults.reset, "offline", "broke"),
        (faults.silent, "offline", "no answer in time"),
        (faults.drip(faults.http(200, b"x" * 100), pause=0.15), "offline", "no answer in 0.4 s"),
    ],
)
async def test_what_an_answer_makes_of_a_worker(registry, server, answer, status, says):
    server.script("GET", "/health", answer)
    await registry.add(server.url, worker_id="w")
    (beat,) = await registry.heartbeat(answer_s=0.2)
    assert beat.status == status
    assert says in beat.reason
    assert beat.ok == (status != "offline")
    (row,) = await registry.rows()
    assert (row.status, row.last_ping is not None) == (status, True)
    assert row.details["reason"] == beat.reason


async def test_an_answer_is_kept_with_what_it_told(registry, store, server):
    server.script("GET", "/health", healthy(labels=["gpu", "eu"], capacity=7), healthy(), faults.reset)
    await registry.add(server.url, worker_id="w")
    (beat,) = await registry.heartbeat()
    (row,) = await registry.rows()
    assert (row.labels, row.capacity) == (("eu", "gpu"), 7)
    assert row.details["boot_id"] == beat.boot_id == faults.BOOT
    assert row.details["layers"] == ["seccomp"]
    assert row.details["latency_ms"] == pytest.approx(beat.seconds * 1000, abs=0.1)
    answered = row.details["answered_at"]
    await registry.heartbeat()
    (beat,) = await registry.heartbeat()
    (row,) = await registry.rows()
    assert (beat.seconds, row.status, row.details["latency_ms"], row.capacity) == (None, "offline", None, 2)
    assert row.details["answered_at"] >= answered
    seen = [line async for batch in store.query("health", {}) for line in batch.to_pylist()]
    assert sorted(line["state"] for line in seen) == ["active", "active", "offline"]
    assert sorted(line["latency_ms"] is None for line in seen) == [False, False, True]


async def test_fifty_workers_are_one_write(registry, store):
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(FaultServer()) for _ in range(50)]
        rows = [WorkerRow(worker_id=f"w{number:02}", url=server.url) for number, server in enumerate(servers)]
        await store.upsert_workers(rows)
        store.batches.clear()
        beats = await registry.heartbeat()
        assert [len(batch) for batch in store.batches] == [50]
        assert [beat.worker_id for beat in beats] == [row.worker_id for row in rows]
        assert {beat.status for beat in beats} == {"active"}
        assert [len(server.calls) for server in servers] == [1] * 50


async def test_nobody_to_ask_is_no_write(registry, store):
    assert await registry.heartbeat() == []
    assert store.batches == []


async def test_workers_are_asked_at_once_and_never_more_than_the_bound(registry, store, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 5)
    waiting, most, full = [], [], asyncio.Condition()

    async def held_until_five_wait(call, wire):
        async with full:
            waiting.append(call)
            most.append(len(waiting))
            full.notify_all()
            await full.wait_for(lambda: len(most) >= 5)
            waiting.remove(call)
        await healthy()(call, wire)

    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(FaultServer()) for _ in range(20)]
        for server in servers:
            server.script("GET", "/health", held_until_five_wait)
        await store.upsert_workers([WorkerRow(worker_id=server.url[-5:], url=server.url) for server in servers])
        beats = await registry.heartbeat()
        assert {beat.status for beat in beats} == {"active"}
        assert max(most) == 5


async def test_a_row_that_breaks_a_library_does_not_end_the_heartbeat(registry, store, server, monkeypatch):
    real = module.WorkerClient

    def broken(endpoint, **more):
        if endpoint.worker_id == "odd":
            raise RuntimeError("something that nobody foresaw")
        return real(endpoint, **more)

    monkeypatch.setattr(module, "WorkerClient", broken)
    await store.upsert_workers(
        [WorkerRow(worker_id="odd", url="https://w.example"), WorkerRow(worker_id="w", url=server.url)]
    )
    odd, good = await registry.heartbeat()
    assert (odd.status, good.status) == ("offline", "active")
    assert "nobody foresaw" in odd.reason


async def test_a_row_that_makes_no_sense_is_never_asked_written_or_given_a_token(registry, store, server):
    """As one that was written by hand: it is shown with the reason, and can be removed."""
    await store.upsert_workers([row := unusable("odd", server.url)])
    assert await registry.rows() == [row]
    (beat,) = await registry.heartbeat(tokens=True)
    assert (beat.status, beat.reason, beat.ok) == ("offline", row.problem, False)
    assert server.calls == []
    assert await registry.rows() == [row]
    for refused in (registry.token("odd"), registry.rotate("odd"), registry.add(server.url)):
        with pytest.raises(WorkerError, match="its details are no JSON object"):
            await refused
    await registry.remove("odd")
    assert (await registry.add(server.url)).problem == ""


async def test_a_grid_shows_a_row_that_makes_no_sense_and_sends_it_nothing(tmp_path, server):
    fleet = Fleet(
        local=0, home=tmp_path, blobs=BlobStore(tmp_path / "blobs"), store=SqliteStore(tmp_path / "n"), secret=SECRET
    )
    await fleet.engine.start()
    fleet.use(row := unusable("odd", server.url))
    (state,) = fleet.engine.snapshot()
    assert (state.health, state.reason) == (WorkerHealth.OFFLINE, row.problem)
    await fleet.engine.close()
    assert server.calls == []


async def test_what_changes_during_a_heartbeat_stays_changed(registry, store):
    """A worker that is removed meanwhile stays removed; a token that is changed stays changed."""
    async with FaultServer() as first, FaultServer() as second:
        removed = await registry.add(first.url, worker_id="removed")
        rotated = await registry.add(second.url, worker_id="rotated")

        async def remove(call, wire):
            await store.remove_worker(removed.worker_id)
            await store.upsert_workers([replace(rotated, generation=2, total_tasks=9)])
            await healthy()(call, wire)

        first.script("GET", "/health", remove)
        assert len(await registry.heartbeat()) == 2
        (row,) = await registry.rows()
        assert (row.worker_id, row.generation, row.total_tasks, row.status) == ("rotated", 2, 9, "active")


# the same on a grid


def test_a_grid_shows_tokens_rotates_and_pings(tmp_path):
    from nadg_kernel import Grid

    settings = Settings(home=tmp_path, grid_secret=SECRET, local_workers=0)
    port = free_port()
    with Grid(settings=settings) as grid:
        assert list(grid.ping().columns)[:3] == ["worker_id", "url", "status"]
        name = grid.add_worker(f"http://127.0.0.1:{port}")
        token = grid.worker_token(name)
        assert token.reveal() not in repr(token)
        assert grid.ping()[["worker_id", "status"]].to_numpy().tolist() == [[name, "offline"]]
        assert not grid.rotate_worker(name).done
        grid.remove_worker(name)
        assert grid.ping().empty


async def test_a_row_takes_no_local_workers_place(tmp_path):
    store = SqliteStore(tmp_path / "nadg.db")
    fleet = Fleet(local=1, home=tmp_path, blobs=BlobStore(tmp_path / "blobs"), store=store, secret=None)
    fleet.use(WorkerRow(worker_id="local-1", url="https://example.com"))
    assert [state.worker_id for state in fleet.engine.snapshot()] == ["registered-local-1"]
    await fleet.engine.close()
