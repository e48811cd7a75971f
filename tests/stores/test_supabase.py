"""What is Supabase's own: settings and errors in words, keys that stay secret, the first NADG's queries, pages."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest
from postgrest.exceptions import APIError

from nadg_kernel.errors import RunNotFound, SettingsError, StaleEpoch, StoreError
from nadg_kernel.stores import supabase
from nadg_kernel.stores.base import WorkerRow
from nadg_kernel.stores.supabase import SupabaseStore
from nadg_kernel.stores.supabase_errors import SupabaseUnreachable, explained
from tests.stores.conftest import POSTGREST, PUBLIC_KEY, opened
from tests.stores.made import ME, START, Journal, plan, rows
from tests.supabase.server import free_port

pytestmark = pytest.mark.xdist_group("supabase")


def token(role):
    """A legacy key, as far as one can tell without its secret."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256"}, {"role": role, "iss": "supabase"})]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2ln"])


@pytest.mark.parametrize(
    ("url", "key", "message"),
    [
        ("", "sb_secret_x", "SUPABASE_URL must look like https://"),
        ("my-project.supabase.co", "sb_secret_x", "SUPABASE_URL must look like https://"),
        ("ftp://x.supabase.co", "sb_secret_x", "SUPABASE_URL must look like https://"),
        ("http://x.supabase.co", "sb_secret_x", "SUPABASE_URL must be https"),
        ("https://me:pw@x.supabase.co", "sb_secret_x", "must not hold a user"),
        ("https://x.supabase.co", "", "SUPABASE_SERVICE_KEY is empty"),
        ("https://x.supabase.co", "paste key here", "SUPABASE_SERVICE_KEY is empty or no key"),
        ("https://x.supabase.co", "sb_publishable_x", "public"),
        ("https://x.supabase.co", token("anon"), "public"),
    ],
)
def test_settings_that_cannot_be_right(url, key, message):
    with pytest.raises(SettingsError, match=message) as raised:
        SupabaseStore(url, key)
    if key:
        assert key not in str(raised.value)


def test_settings_that_can_be():
    for key in ("sb_secret_x", token("service_role"), " sb_secret_x\n"):
        store = SupabaseStore("https://x.supabase.co/", key)
        assert key.strip() not in repr(store)
        assert "x.supabase.co" in repr(store)


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        ({"code": "540", "message": "Project paused"}, SupabaseUnreachable, "is paused.*restore it in the dashboard"),
        ({"code": "PGRST202", "message": "Could not find the function"}, StoreError, "run database/schema.sql"),
        ({"code": "42P01", "message": "relation does not exist"}, StoreError, "lacks NADG's tables"),
        ({"code": "42501", "message": "permission denied"}, StoreError, "refuses access.*secret key.*schema.sql"),
        ({"code": "PGRST301", "message": "JWSError"}, StoreError, "does not accept SUPABASE_SERVICE_KEY"),
        ({"code": "401", "message": "Invalid API key"}, StoreError, "copy the secret key of this very project"),
        ({"code": "404", "message": "<html>"}, StoreError, "is no Supabase project"),
        ({"code": "503", "message": "upstream"}, SupabaseUnreachable, "cannot answer now"),
        ({"code": "PT409", "message": "another", "details": "7"}, StaleEpoch, "epoch 7 now; this is epoch 2"),
        ({"code": "PT404", "message": "no such run"}, RunNotFound, "'r1'"),
        ({"code": "PT422", "message": "the run exists already"}, StoreError, "'r1' exists already"),
        ({"code": "23505", "message": 'violates "worker_nodes_vm_url_key"'}, StoreError, "registered with this URL"),
        ({"code": "22000", "message": "something else"}, StoreError, r"something else \(22000\)"),
    ],
)
def test_every_answer_says_what_to_do(answer, kind, message):
    call = {"p_run": "r1", "p_epoch": 2}
    error = explained(APIError(answer), "https://project.supabase.co", call)
    assert type(error) is kind
    with pytest.raises(kind, match=message):
        raise error


async def test_nobody_there():
    store = SupabaseStore(f"http://127.0.0.1:{free_port()}", "sb_secret_x")
    with pytest.raises(SupabaseUnreachable, match=r"cannot reach Supabase at 127\.0\.0\.1.*look at SUPABASE_URL"):
        await store.open()
    with pytest.raises(StoreError, match="not open"):
        await store.workers()


@contextmanager
def answering(status, body, kind="text/html"):
    """A server that is no Supabase: the same answer to everything. Gives its URL and what it was sent."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, b"<html>not here</html>", "no Supabase project"),
        (200, b"<html>welcome</html>", "is no Supabase project"),
        (302, b"", "Supabase"),
        (540, b"paused", "paused"),
        (503, b"<html>busy</html>", "cannot answer now"),
        (401, b'{"message": "Invalid API key", "hint": "Double check"}', "does not accept SUPABASE_SERVICE_KEY"),
    ],
)
async def test_somebody_else_there(status, body, message):
    with answering(status, body) as (url, seen):
        with pytest.raises(StoreError, match=message) as raised:
            await SupabaseStore(url, "sb_secret_made_up").open()
        assert "sb_secret_made_up" not in str(raised.value)
        assert seen[0]["apikey"] == "sb_secret_made_up"


async def test_the_wrong_key(project):
    with pytest.raises(StoreError, match="does not accept SUPABASE_SERVICE_KEY"):
        await SupabaseStore(project.url, "sb_secret_of_another_project").open()


@pytest.mark.parametrize("server", ["project", *(["postgrest"] if POSTGREST and PUBLIC_KEY else [])])
async def test_the_public_key_gets_nothing(request, monkeypatch, server):
    """Neither through our own calls nor by hand."""
    if server == "postgrest":
        url, key = POSTGREST, PUBLIC_KEY
    else:
        project = request.getfixturevalue("project")
        url, key = project.url, project.public
    monkeypatch.setattr(supabase, "check_settings", lambda *_: None)
    with pytest.raises(StoreError, match="refuses access"):
        await SupabaseStore(url, key).open()
    headers = {"apikey": key, "Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"{url}/rest/v1", headers=headers, trust_env=False) as client:
        answers = [await client.get(f"/{table}") for table in ("worker_nodes", "task_history", "nadg_events")]
        answers += [await client.post("/worker_nodes", json={"vm_url": "https://rogue.example"})]
        answers += [await client.delete("/task_history?id=gt.0")]
        answers += [await client.post("/rpc/nadg_remove_worker", json={"p_name": "w1"})]
    for answer in answers:
        assert answer.status_code in {401, 403}
        assert answer.json()["code"] == "42501"


@pytest.fixture
async def store(project):
    project.empty()
    async with opened(SupabaseStore(project.url, project.secret)) as store:
        yield store


async def test_tables_that_are_missing(store, project):
    project.run("alter function public.nadg_unfinished() rename to hidden")
    try:
        with pytest.raises(StoreError, match=r"lacks NADG's tables or functions.*database/schema\.sql"):
            await store.unfinished()
    finally:
        project.run("alter function public.hidden() rename to nadg_unfinished")


async def test_grants_that_are_missing(store, project):
    project.run("revoke select on public.nadg_runs from service_role")
    try:
        with pytest.raises(StoreError, match=r"refuses access.*permission denied for table nadg_runs"):
            await store.unfinished()
    finally:
        project.run("grant select on public.nadg_runs to service_role")


async def test_attempts_are_seen_by_the_first_queries(store, project):
    await store.upsert_workers([WorkerRow(worker_id="w1", url="https://w1.example")])
    await store.create_run("r1", plan(), ME)
    journal = Journal("r1")
    outcomes = ["succeeded", "failed", "timed_out", "cancelled", "rejected", "lost"]
    for number, outcome in enumerate(outcomes):
        await store.append("r1", 1, journal.attempt(attempt_id=f"a{number}", outcome=outcome))
    intended, started, _ = journal.attempt(attempt_id="open")
    await store.append("r1", 1, [intended])
    assert project.run("select status from task_history where attempt_id = 'open'") == "pending"
    await store.append("r1", 1, [started])
    found = project.run("select task_description, status, outcome from task_history order by id").splitlines()
    statuses = ["completed", "failed", "timed_out", "cancelled", "failed", "failed"]
    expected = [f"The count|{status}|{outcome}" for status, outcome in zip(statuses, outcomes, strict=True)]
    assert found == [*expected, "The count|running|"]
    joined = "select count(*) from task_history t join worker_nodes w on w.id = t.worker_id"
    assert project.run(joined) == "7"
    assert project.run("select total_tasks from worker_nodes") == "6"
    project.run("DELETE FROM worker_nodes WHERE vm_url = 'https://w1.example';")
    assert project.run("select count(*), count(worker_id), count(worker) from task_history") == "7|0|7"


async def test_a_worker_registered_by_hand_is_one_of_ours(store, project):
    project.run("INSERT INTO worker_nodes (vm_url) VALUES ('https://by-hand.hf.space');")
    (worker,) = await store.workers()
    assert worker.worker_id.startswith("node-")
    assert (worker.url, worker.status, worker.generation) == ("https://by-hand.hf.space", "active", 1)
    await store.upsert_workers([WorkerRow(worker_id="renamed", url="https://by-hand.hf.space", status="busy")])
    (worker,) = await store.workers()
    assert (worker.worker_id, worker.status) == ("renamed", "busy")


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("details", "not json", "its details are no JSON object"),
        ("details", "[1]", "its details are no JSON object"),
        ("details", "", "its details are no JSON object"),
        ("details", "[" * 100_000, "its details are no JSON object"),
        ("labels", '{"gpu": true}', "its labels are no list of texts"),
        ("labels", '[1, "gpu"]', "its labels are no list of texts"),
        ("labels", '"gpu"', "its labels are no list of texts"),
        ("capacity", "0", "its capacity is 0"),
        ("generation", "-3", "its generation is -3"),
    ],
    ids=lambda value: str(value)[:12],
)
async def test_a_row_that_makes_no_sense_is_shown_with_a_reason(store, project, column, value, says):
    await store.upsert_workers([WorkerRow(worker_id="good", url="https://good.example")])
    project.run(f"insert into worker_nodes (name, vm_url, {column}) values ('odd', 'https://odd.example', '{value}')")
    good, odd = await store.workers()
    assert (good.worker_id, good.problem) == ("good", "")
    assert (odd.worker_id, odd.url, odd.status) == ("odd", "https://odd.example", "offline")
    assert says in odd.problem
    assert "correct the row or remove the worker" in odd.problem
    assert len(await rows(store, "workers")) == 2


async def test_a_ping_that_is_no_moment(store, project):
    project.run("insert into worker_nodes (name, vm_url, last_ping) values ('odd', 'https://odd.example', 'infinity')")
    assert [row.last_ping for row in await store.workers()] == [None]
    assert [row["last_ping"] for row in await rows(store, "workers")] == [None]


async def test_a_batch_of_pings_is_one_write(store, monkeypatch):
    calls = []
    call = store._call
    monkeypatch.setattr(store, "_call", lambda *a, **k: calls.append(a[0]) or call(*a, **k))
    await store.upsert_workers(
        [WorkerRow(worker_id=f"w{n}", url=f"https://w{n}.example", last_ping=START) for n in range(300)]
    )
    assert calls == ["nadg_upsert_workers"]
    assert len(await store.workers()) == 300
    assert len(await rows(store, "health")) == 300


async def test_frames_come_in_pages_by_key(store, monkeypatch):
    """More rows than a page, many of them of the same moment; nothing twice, nothing left out, in order."""
    monkeypatch.setattr(supabase, "PAGE_ROWS", 7)
    await store.create_run("r1", plan(), ME)
    journal = Journal("r1")
    for number in range(20):
        attempt = journal.attempt(attempt_id=f"a{number:02}")
        if number % 3:
            journal.at -= timedelta(seconds=3)  # the next begins in the same moment
        await store.append("r1", 1, attempt)
    found = await rows(store, "attempts")
    assert sorted(row["attempt_id"] for row in found) == [f"a{number:02}" for number in range(20)]
    times = [row["intended_at"] for row in found]
    assert times == sorted(times, reverse=True)
    assert len(await rows(store, "attempts", limit=10)) == 10
    assert [batch.num_rows async for batch in store.query("attempts", {"limit": 14})] == [7, 7]


async def test_more_events_than_a_page(store, monkeypatch):
    monkeypatch.setattr(supabase, "PAGE_EVENTS", 50)
    await store.create_run("r1", plan(), ME)
    journal = Journal("r1")
    written = [journal.event("attempt_progress", text="x" * 100_000 * (n % 60 == 0)) for n in range(2_300)]
    for start in range(0, 2_300, 500):
        await store.append("r1", 1, written[start : start + 500])
    assert [event async for event in store.read("r1")] == written


async def test_heartbeats_go_by_the_servers_clock(store):
    """A machine whose clock is wrong neither keeps nor loses a run by it."""
    await store.create_run("r1", plan(), ME)
    before = (await store.get_run("r1")).heartbeat_at
    await store.beat("r1", 1)
    assert (await store.get_run("r1")).heartbeat_at > before
