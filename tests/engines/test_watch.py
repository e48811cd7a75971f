"""What is known of a worker follows what it answers, is pushed when it changes, and ends with the engine."""

from __future__ import annotations

import asyncio

import pytest

from nadg_kernel.engines import health as looks
from nadg_kernel.engines.base import WorkerHealth, WorkerState
from nadg_kernel.engines.client import WorkerEndpoint
from nadg_kernel.engines.faults import NotOurs
from nadg_kernel.engines.tokens import registered_endpoint
from nadg_kernel.wire import AUTH_HEADER
from tests.engines.made import TOKEN, end_of, endpoint, make_engine, spec, until
from tests.support import fault_server as faults
from tests.support.fault_server import FaultServer, healthy, page, refusal


async def test_a_ready_worker(server, engine):
    assert [(s.worker_id, s.health, s.reason) for s in engine.snapshot()] == [("w", "offline", "not asked yet")]
    state = await until(engine, "w", lambda state: state.health is WorkerHealth.READY)
    assert (state.capacity, state.labels, state.sandbox) == (2, frozenset({"cpu"}), {"seccomp": "active"})
    assert (state.boot_id, state.modules, state.packages) == (faults.BOOT, frozenset({"pandas"}), {"pandas": "3.1"})
    assert state.latency_ms > 0
    assert engine.snapshot() == (state,)
    assert AUTH_HEADER.lower() not in server.calls_of("GET", "/health")[0].headers
    assert server.calls_of("GET", "/status")[0].headers[AUTH_HEADER.lower()] == TOKEN


@pytest.mark.parametrize(
    ("answer", "health", "says"),
    [
        (healthy(protocol=2), "refusing", "speaks protocol 2, this package 1: update the nadg-kernel"),
        (healthy(protocol=0), "refusing", "update the worker"),
        (healthy(status="draining"), "refusing", "draining"),
        (healthy(status="refusing", reason="weak sandbox"), "refusing", "weak sandbox"),
        (refusal(401, "who are you"), "refusing", "who are you"),
        (page(503, "This Space is sleeping"), "asleep", "sleeping"),
        (page(503, "Your Space is starting"), "waking", "starting"),
        (page(200, "Hello"), "offline", "no NADG worker"),
        (page(502, "Bad Gateway"), "offline", "502"),
        (faults.answer(200, b'{"status": "ok"}'), "offline", "should be Health"),
        (faults.answer(200, b"[" * 100_000), "offline", "Health"),
        (faults.answer(200, b"x" * 300_000), "offline", "larger than"),
        (faults.answer(302, b"", Location="http://127.0.0.1:1/"), "offline", "redirect"),
        (faults.raw(b"garbage\r\n\r\n"), "offline", "broke"),
        (faults.raw(faults.http(200, b"{}")[:-1]), "offline", "broke off"),
        (faults.reset, "offline", "broke"),
        (faults.silent, "offline", "no answer in time"),
    ],
)
async def test_what_an_answer_says_of_a_worker(answer, health, says, server, engine):
    server.script("GET", "/health", answer)
    state = await until(engine, "w", lambda state: state.reason != "not asked yet")
    assert state.health == health
    assert says in state.reason


async def test_a_wrong_token_is_seen_before_work_is_sent(server, engine):
    server.script("GET", "/status", refusal(401, "the token is not this worker's"))
    state = await until(engine, "w", lambda state: state.reason != "not asked yet")
    assert state.health == "refusing"
    assert "token" in state.reason


async def test_changes_are_pushed(server, engine):
    answers = [healthy(), healthy(running=2), page(503, "sleeping"), healthy("boot-2")]
    server.script("GET", "/health", *answers)
    seen = []
    async with asyncio.timeout(30):
        async for state in engine.workers():
            seen.append(state)
            if state.boot_id == "boot-2":
                break
    assert [(s.health, s.running) for s in seen if s.reason != "not asked yet"][-4:] == [
        ("ready", 0), ("ready", 2), ("asleep", 0), ("ready", 0)
    ]  # fmt: skip


async def test_a_restarted_worker_says_anew_what_it_has(server, engine):
    await until(engine, "w", lambda state: state.health is WorkerHealth.READY)
    server.boot_id = "boot-2"
    await until(engine, "w", lambda state: state.boot_id == "boot-2")
    assert len(server.calls_of("GET", "/status")) == 2


async def test_trouble_of_an_attempt_brings_the_next_look_forward(server, blobs):
    engine = make_engine([endpoint(server)], blobs, pace=1000)
    await until(engine, "w", lambda state: state.health is WorkerHealth.READY)
    server.script("GET", "/health", healthy(status="draining"))
    server.script("POST", "/execute", page(200, "This Space is sleeping"))
    assert (await end_of(engine.submit(spec())))["outcome"] == "rejected"
    await until(engine, "w", lambda state: state.health is WorkerHealth.REFUSING)
    await engine.close()


async def test_wake_visits_and_looks_again(server, blobs):
    engine = make_engine([endpoint(server)], blobs, pace=1000)
    server.script("GET", "/health", page(503, "sleeping"), healthy())
    await until(engine, "w", lambda state: state.health is WorkerHealth.ASLEEP)
    await engine.wake("w")
    await until(engine, "w", lambda state: state.health is WorkerHealth.READY)
    visits = [call for call in server.calls if call.path == "/"]
    assert len(visits) == 1
    assert AUTH_HEADER.lower() not in visits[0].headers
    await engine.wake("w")
    await engine.wake("nobody")
    assert len([call for call in server.calls if call.path == "/"]) == 1
    await engine.close()


async def test_workers_come_move_and_go(blobs):
    async with FaultServer() as first, FaultServer() as second:
        engine = make_engine([], blobs)
        assert engine.snapshot() == ()
        await engine.start()
        engine.put_worker(endpoint(first, "a"))
        engine.put_worker(endpoint(first, "b"))
        await until(engine, "a", lambda state: state.health is WorkerHealth.READY)
        second.boot_id = "boot-2"
        engine.put_worker(endpoint(second, "a"))
        moved = await until(engine, "a", lambda state: state.boot_id == "boot-2")
        assert moved.url == second.url
        assert [state.worker_id for state in engine.snapshot()] == ["a", "b"]
        feed = engine.workers()
        await anext(feed)
        engine.drop_worker("b")
        async with asyncio.timeout(30):
            while "removed" not in (await anext(feed)).reason:
                pass
        await feed.aclose()
        engine.drop_worker("nobody")
        assert [state.worker_id for state in engine.snapshot()] == ["a"]
        await engine.close()


async def test_readers_end_with_the_engine(engine):
    reading = asyncio.ensure_future(anext_all(engine))
    await asyncio.sleep(0)
    await engine.close()
    async with asyncio.timeout(10):
        await reading


async def anext_all(engine):
    async for _state in engine.workers():
        pass


async def test_a_slow_reader_gets_the_newest(server, engine):
    feed = engine.workers()
    await anext(feed)
    for number in range(3, 9):
        server.script("GET", "/health", healthy(running=number))
        await until(engine, "w", lambda state, number=number: state.running == number)
    async with asyncio.timeout(10):
        assert (await anext(feed)).running == 8
    await feed.aclose()


@pytest.mark.parametrize(
    "url", ["http://evil.example", "https://u:p@evil.example", "https://127.0.0.1.evil.example/x", "nonsense"]
)
async def test_a_hostile_row_is_shown_and_harms_nobody(url, server, blobs):
    rows = [registered_endpoint("evil", url, 1, "s" * 32), endpoint(server)]
    engine = make_engine(rows, blobs)
    await until(engine, "w", lambda state: state.health is WorkerHealth.READY)
    evil = next(state for state in engine.snapshot() if state.worker_id == "evil")
    assert evil.health == "offline"
    assert "worker URL" in evil.reason or "https" in evil.reason
    assert (await end_of(engine.submit(spec(worker_id="evil"))))["outcome"] == "rejected"
    await engine.close()


async def test_a_row_that_names_another_worker_s_server_gets_no_token_of_it(server, blobs):
    """Two rows of one origin share a token by design; two ports of one host do not."""
    async with FaultServer() as other:
        rows = [registered_endpoint(name, srv.url, 1, "s" * 32) for name, srv in (("a", server), ("b", other))]
        engine = make_engine(rows, blobs)
        await until(engine, "a", lambda state: state.modules is not None)
        await until(engine, "b", lambda state: state.modules is not None)
        tokens = [srv.calls_of("GET", "/status")[0].headers[AUTH_HEADER.lower()] for srv in (server, other)]
        assert tokens[0] != tokens[1]
        await engine.close()


class TestIntervals:
    def state(self, health):
        return WorkerState(worker_id="w", health=health)

    def test_grow_after_failures_and_never_shrink(self):
        for health in WorkerHealth:
            waits = [looks.interval_s(self.state(health), failures) for failures in range(12)]
            assert waits == sorted(waits)
            assert waits[0] == looks.INTERVALS[health]
            assert waits[-1] <= max(looks.MOST_INTERVAL_S, waits[0])

    def test_a_hostile_health_is_bounded(self):
        health = faults_health(capacity=10**9, labels=["x" * 10_000] * 10_000, sandbox={"y" * 1000: "z" * 10_000})
        state = looks.from_health(looks.unknown(WorkerEndpoint(worker_id="w", url="u")), health, 1.0)
        assert state.capacity == 10_000
        assert sum(map(len, state.labels)) <= 200 * 200
        assert [(len(name), len(text)) for name, text in state.sandbox.items()] == [(100, 500)]

    def test_an_error_keeps_what_was_known(self):
        before = looks.from_health(
            looks.unknown(WorkerEndpoint(worker_id="w", url="u")), faults_health(labels=["gpu"]), 1.0
        )
        after = looks.from_error(before, NotOurs("asleep", WorkerHealth.ASLEEP))
        assert (after.health, after.labels, after.running) == (WorkerHealth.ASLEEP, frozenset({"gpu"}), 0)


def faults_health(**fields):
    from nadg_kernel.wire import Health

    values = {"status": "ok", "worker_id": "w", "boot_id": "b", "uptime_s": 1, "running": 1, "capacity": 2}
    return Health(**{**values, **fields})
