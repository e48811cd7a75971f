"""The command line of registry and history: what is printed, what a script can rely on, what goes wrong in words."""

from __future__ import annotations

import http.server
import json
import re
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from nadg_kernel.cli import main
from nadg_kernel.cli.codes import Code
from nadg_kernel.engines.tokens import worker_token
from nadg_kernel.wire import AUTH_HEADER
from tests.supabase.server import Project, free_port, missing

SECRET = "s" * 32
HEALTH = {
    "status": "ok", "worker_id": "w", "boot_id": "b", "uptime_s": 1.0, "protocol": 1, "running": 0, "capacity": 2,
    "labels": ["cpu"], "sandbox": {"seccomp": "active", "landlock": "unavailable: old kernel"},
}  # fmt: skip
STATUS = {"health": HEALTH, "python": "3.11", "packages": {}, "modules": [], "limits": {}, "max_body_bytes": 1000}


@contextmanager
def serving(answer):
    """A server on loopback: `answer(method, path, headers, body)` gives (status, JSON or text). Gives its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = answer(self.command, self.path, dict(self.headers), body)
            plain = content if isinstance(content, str) else json.dumps(content)
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(content, str) else "application/json")
            self.send_header("Content-Length", str(len(plain.encode())))
            self.end_headers()
            self.wfile.write(plain.encode())

        do_GET = do_POST = _answer  # noqa: N815 - the library's names

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Worker:
    """A worker that takes `tokens` and says `health`."""

    def __init__(self):
        self.tokens, self.health, self.calls = set(), dict(HEALTH), []

    def __call__(self, method, path, headers, body):
        self.calls.append(path)
        if path == "/health":
            return 200, self.health
        if headers.get(AUTH_HEADER) not in self.tokens:
            return 401, {"error": "the token is not this worker's", "hint": ""}
        return 200, STATUS


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NADG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NADG_GRID_SECRET", SECRET)
    return tmp_path / "home"


@pytest.fixture
def worker():
    return Worker()


@pytest.fixture
def url(worker):
    with serving(worker) as url:
        yield url


def nadg(capsys, *words):
    """(exit code, stdout, stderr) of a command."""
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


# workers


def test_from_registration_to_removal(capsys, worker, url):
    code, out, _ = nadg(capsys, "workers", "token", url)
    token = worker_token(SECRET, url, 1).reveal()
    assert (code, out) == (Code.OK, f"{token}\n")
    code, out, _ = nadg(capsys, "workers", "add", url, "--id", "space-1")
    assert code == Code.OK
    assert "nadg workers token space-1" in out
    assert token not in out
    assert "registered already, as space-1" in nadg(capsys, "workers", "add", f"{url}/")[1]
    assert nadg(capsys, "workers", "token", "space-1")[1] == f"{token}\n"
    code, out, _ = nadg(capsys, "workers", "ping", "space-1")
    assert code == Code.NOT_ALL_SUCCEEDED
    assert "active, refuses the token" in out
    worker.tokens.add(token)
    code, out, err = nadg(capsys, "workers", "ping")
    assert (code, err) == (Code.OK, "")
    assert "1 worker: 1 active" in out
    (record,) = json.loads(nadg(capsys, "workers", "list", "--json")[1])
    assert record["worker"] == "space-1"
    assert (record["url"], record["status"], record["token"], record["labels"]) == (url, "active", 1, ["cpu"])
    assert record["asked"] >= record["answered"] > "2026"
    assert "space-1" in nadg(capsys, "workers", "list")[1]
    assert "removed space-1" in nadg(capsys, "workers", "remove", url)[1]
    code, out, err = nadg(capsys, "workers", "list")
    assert (code, out) == (Code.OK, "")
    assert "no worker is registered" in err
    assert nadg(capsys, "workers", "list", "--json")[1] == "[]\n"


def test_a_token_is_changed_in_two_steps(capsys, worker, url):
    old, new = (worker_token(SECRET, url, generation).reveal() for generation in (1, 2))
    nadg(capsys, "workers", "add", url, "--id", "w")
    worker.tokens = {old}
    code, out, err = nadg(capsys, "workers", "rotate", "w")
    assert code == Code.NOT_ALL_SUCCEEDED
    assert out == f"NADG_AUTH_TOKEN={new}\nNADG_AUTH_TOKEN_PREVIOUS={old}\n"
    assert "nadg workers rotate w" in err
    assert {old, new} & {*re.findall(r"[0-9a-f]{64}", err)} == set()
    assert nadg(capsys, "workers", "token", "w")[1] == f"{old}\n"
    worker.tokens = {old, new}
    code, out, err = nadg(capsys, "workers", "rotate", "w")
    assert (code, out) == (Code.OK, "")
    assert "remove NADG_AUTH_TOKEN_PREVIOUS" in err
    assert nadg(capsys, "workers", "token", "w")[1] == f"{new}\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["workers"], "Missing command"),
        (["workers", "add"], "URL"),
        (["workers", "add", "http://w.example"], "must be https"),
        (["workers", "add", "https://w.example", "--id", "local-1"], "no id for a worker"),
        (["workers", "remove", "nobody"], "(there are: none)"),
        (["workers", "ping", "nobody"], "(there are: none)"),
        (["workers", "token", "nobody"], "no worker URL"),
        (["workers", "rotate", "nobody"], "(there are: none)"),
        (["workers", "ping", "--json", "nowhere/x.json"], "folder that does not exist"),
        (["heartbeat", "--json", "nowhere/x.json"], "folder that does not exist"),
        (["heartbeat", "--json", "."], "is a folder"),
        (["prune"], "--older-than"),
        (["prune", "--older-than", "soon"], "such as 12h, 30d, 8w or 1y, not 'soon'"),
        (["prune", "--older-than", "-3d"], "--older-than"),
        (["prune", "--older-than", "999999y"], "--older-than"),
        (["db"], "Missing command"),
    ],
)
def test_bad_usage_is_one_line_and_code_2(capsys, words, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = nadg(capsys, *words)
    assert (code, out) == (Code.BAD_INPUT, "")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [["add", "https://w.example"], ["token", "https://w.example"]])
def test_without_a_secret_it_says_how_to_make_one(capsys, monkeypatch, words):
    monkeypatch.delenv("NADG_GRID_SECRET")
    code, out, err = nadg(capsys, "workers", *words)
    assert (code, out) == (Code.BAD_INPUT, "")
    assert "NADG_GRID_SECRET is not set" in err
    assert "token_hex(32)" in err


# heartbeat


def test_a_heartbeat_as_table_and_as_json(capsys, url, tmp_path):
    nadg(capsys, "workers", "add", url, "--id", "here")
    code, out, err = nadg(capsys, "heartbeat")
    assert (code, err) == (Code.OK, "")
    assert re.search(r"^here +active +\d+ +0/2 +1\b", out, re.MULTILINE)
    code, out, _ = nadg(capsys, "heartbeat", "--json", "-")
    found = json.loads(out)
    assert (code, found["ok"], found["counts"]) == (0, True, {"active": 1, "busy": 0, "asleep": 0, "offline": 0})
    (beat,) = found["workers"]
    assert (beat["worker_id"], beat["status"], beat["layers"], beat["takes_token"]) == (
        "here",
        "active",
        ["seccomp"],
        None,
    )
    assert datetime.fromisoformat(found["at"]).tzinfo is not None
    target = tmp_path / "beats.json"
    code, out, _ = nadg(capsys, "heartbeat", "--json", target)
    assert "here" in out
    assert json.loads(target.read_text("utf-8"))["counts"]["active"] == 1


def test_one_offline_is_code_1_and_the_others_are_told(capsys, url):
    nadg(capsys, "workers", "add", url, "--id", "here")
    nadg(capsys, "workers", "add", f"http://127.0.0.1:{free_port()}", "--id", "gone")
    code, out, _ = nadg(capsys, "heartbeat", "--json", "-")
    found = json.loads(out)
    assert (code, found["ok"]) == (Code.NOT_ALL_SUCCEEDED, False)
    assert {beat["worker_id"]: beat["status"] for beat in found["workers"]} == {"here": "active", "gone": "offline"}
    assert "2 workers: 1 active, 1 offline" in nadg(capsys, "heartbeat")[1]
    assert nadg(capsys, "workers", "ping", "here")[0] == Code.NOT_ALL_SUCCEEDED, "it does not take its token"


def test_who_sleeps_is_there_unless_one_is_strict(capsys):
    page = "<html><title>Space</title>This Space is sleeping due to inactivity</html>"
    with serving(lambda *_: (503, page)) as url:
        nadg(capsys, "workers", "add", url)
        assert nadg(capsys, "heartbeat")[0] == Code.OK
        assert nadg(capsys, "heartbeat", "--strict")[0] == Code.NOT_ALL_SUCCEEDED


def test_nobody_to_ask_is_green_with_a_notice(capsys):
    code, out, err = nadg(capsys, "heartbeat")
    assert (code, out) == (Code.OK, "")
    assert "SUPABASE_URL and SUPABASE_SERVICE_KEY are not set" in err
    assert nadg(capsys, "heartbeat", "--strict")[0] == Code.NOT_ALL_SUCCEEDED
    code, out, _ = nadg(capsys, "heartbeat", "--json", "-")
    assert (json.loads(out)["workers"], code) == ([], Code.OK)


def test_a_heartbeat_needs_no_grid_secret(capsys, url, monkeypatch):
    nadg(capsys, "workers", "add", url)
    monkeypatch.delenv("NADG_GRID_SECRET")
    assert nadg(capsys, "heartbeat")[0] == Code.OK
    code, _, err = nadg(capsys, "workers", "ping")
    assert code == Code.OK
    assert "was not asked" in err


def test_what_a_worker_says_of_itself_is_no_markup(capsys, worker, url):
    worker.health |= {"status": "refusing", "reason": "\x1b[31m[bold]bad[/bold]\nsecond line"}
    nadg(capsys, "workers", "add", url)
    out = nadg(capsys, "heartbeat")[1]
    assert "\x1b" not in out
    assert "[bold]bad[/bold]" in out


def test_one_of_two_secrets_is_an_error(capsys, monkeypatch):
    monkeypatch.setenv("SUPABASE_URL", "https://x.supabase.co")
    code, _, err = nadg(capsys, "heartbeat")
    assert code == Code.BAD_INPUT
    assert "SUPABASE_SERVICE_KEY is not set" in err


def test_without_supabase_in_reach_nothing_is_claimed(capsys, monkeypatch):
    monkeypatch.setenv("SUPABASE_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", "sb_secret_made_up")
    for words in (["heartbeat"], ["workers", "add", "https://w.example"], ["workers", "rotate", "w"]):
        code, out, err = nadg(capsys, *words)
        assert (code, out) == (Code.BAD_INPUT, "")
        assert "cannot reach Supabase at 127.0.0.1" in err
    code, _, err = nadg(capsys, "workers", "list")
    assert code == Code.OK
    assert "as this machine last knew it" in err


def test_fifty_workers_are_one_write_to_supabase(capsys, monkeypatch, url):
    """The registry is a project's; every worker of it is the same server under a name of its own."""
    rows = [
        {"name": f"w{n:02}", "vm_url": url, "status": None, "generation": 1, "labels": [], "capacity": 1}
        | {"total_tasks": 0, "last_ping": None, "details": "{}"}
        for n in range(50)
    ]
    calls = []

    def project(method, path, headers, body):
        function = path.rpartition("/")[2]
        calls.append((function, json.loads(body or "{}")))
        return 200, rows if function == "nadg_workers" else [] if function == "nadg_unfinished" else None

    with serving(project) as there:
        monkeypatch.setenv("SUPABASE_URL", there)
        monkeypatch.setenv("SUPABASE_SERVICE_KEY", "sb_secret_made_up")
        code, out, err = nadg(capsys, "heartbeat")
    assert (code, err) == (Code.OK, "")
    assert "50 workers: 50 active" in out
    (written,) = [sent for function, sent in calls if function == "nadg_upsert_workers"]
    assert {row["status"] for row in json.loads(written["p_workers"])} == {"active"}
    assert len(json.loads(written["p_workers"])) == 50


# db check


def test_check_without_anything(capsys, home):
    code, out, _ = nadg(capsys, "db", "check")
    assert code == Code.OK
    assert f"{home / 'nadg.db'} is not there yet" in out
    assert "SUPABASE_URL and SUPABASE_SERVICE_KEY" in out
    assert not home.exists(), "a look makes nothing"


def test_check_of_a_history(capsys, home):
    nadg(capsys, "workers", "list")
    code, out, _ = nadg(capsys, "db", "check")
    assert code == Code.OK
    assert re.search(rf"{re.escape(str(home / 'nadg.db'))}, [\d.]+ MB, schema \d+: ok", out)
    assert "0 runs" in out


def test_check_says_how_much_waits_for_supabase(capsys, home):
    import asyncio

    from nadg_kernel.stores.sqlite import SqliteStore
    from tests.stores.made import ME, Journal, plan

    async def write():
        store = SqliteStore(home / "nadg.db", outbox=True)
        await store.open()
        await store.create_run("r1", plan(), ME)
        await store.append("r1", 1, Journal("r1").attempt())
        await store.close()

    asyncio.run(write())
    code, out, _ = nadg(capsys, "db", "check")
    assert code == Code.OK
    assert "4 events and plans wait for Supabase" in out


@pytest.mark.parametrize(
    ("content", "says"), [(b"no database at all, only text " * 200, "some other file"), (None, "later nadg-kernel")]
)
def test_check_of_a_file_that_is_no_history_of_ours(capsys, home, content, says):
    nadg(capsys, "workers", "list")
    path = home / "nadg.db"
    if content is None:
        import sqlite3

        connection = sqlite3.connect(path)
        connection.execute("pragma user_version = 999")
        connection.close()
    else:
        path.write_bytes(content)
    code, out, _ = nadg(capsys, "db", "check")
    assert code == Code.NOT_ALL_SUCCEEDED
    assert says in out
    assert "Supabase" in out, "the other store is looked at all the same"


@pytest.mark.parametrize(
    ("status", "answer", "says"),
    [
        (404, "<html>nothing</html>", "no Supabase project"),
        (200, "<html>welcome</html>", "no Supabase project"),
        (401, {"message": "Invalid API key", "hint": "Double check"}, "does not accept SUPABASE_SERVICE_KEY"),
        (
            404,
            {"code": "PGRST202", "message": "Could not find the function", "details": None, "hint": None},
            "run database/schema.sql",
        ),
        (
            403,
            {"code": "42501", "message": "permission denied for table nadg_runs", "details": None, "hint": None},
            "for its grants",
        ),
        (540, {"message": "Project paused"}, "is paused: free projects pause after 7 idle days"),
    ],
)
def test_check_says_what_is_wrong_with_supabase(capsys, monkeypatch, status, answer, says):
    with serving(lambda *_: (status, answer)) as url:
        monkeypatch.setenv("SUPABASE_URL", url)
        monkeypatch.setenv("SUPABASE_SERVICE_KEY", "sb_secret_made_up")
        code, out, _ = nadg(capsys, "db", "check")
    assert code == Code.NOT_ALL_SUCCEEDED
    assert says in out
    assert "sb_secret_made_up" not in out


@pytest.mark.parametrize(
    ("url", "key", "says"),
    [
        ("https://x.supabase.co", "", "SUPABASE_SERVICE_KEY is not set"),
        ("", "sb_secret_x", "SUPABASE_URL is not set"),
        ("http://x.supabase.co", "sb_secret_x", "must be https"),
        ("https://x.supabase.co", "sb_publishable_x", "use the secret key"),
        ("http://127.0.0.1:9", "sb_secret_x", "cannot reach Supabase"),
    ],
)
def test_check_of_settings(capsys, monkeypatch, url, key, says):
    monkeypatch.setenv("SUPABASE_URL", url)
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", key)
    code, out, _ = nadg(capsys, "db", "check")
    assert code == Code.NOT_ALL_SUCCEEDED
    assert says in out


# the same on a real project


@pytest.fixture(scope="module")
def project():
    if needed := missing():
        pytest.skip(f"needs {needed}")
    found = Project()
    yield found
    found.close()


@pytest.mark.xdist_group("supabase")
def test_a_project_from_registration_to_missing_grants(capsys, monkeypatch, project, url, home):
    monkeypatch.setenv("SUPABASE_URL", project.url)
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", project.secret)
    project.run("insert into public.worker_nodes (vm_url) values ('https://By-Hand.invalid/')")
    assert nadg(capsys, "workers", "add", url, "--id", "here")[0] == Code.OK
    code, out, _ = nadg(capsys, "heartbeat", "--json", "-")
    assert code == Code.NOT_ALL_SUCCEEDED
    assert {beat["url"]: beat["status"] for beat in json.loads(out)["workers"]} == {
        "https://By-Hand.invalid/": "offline",
        url: "active",
    }
    stored = project.run(
        "select vm_url, status, last_ping is not null from public.worker_nodes order by vm_url"
    ).splitlines()
    assert stored == [f"{url}|active|t", "https://By-Hand.invalid/|offline|t"]
    assert project.run("select count(*) from public.nadg_health where latency_ms is not null") == "1"
    assert nadg(capsys, "workers", "remove", "https://by-hand.invalid")[0] == Code.OK
    code, out, _ = nadg(capsys, "db", "check")
    assert code == Code.OK, out
    assert f"{project.url}: ok, 1 workers registered" in out
    assert nadg(capsys, "prune", "--older-than", "1y")[0] == Code.OK
    project.run("insert into public.worker_nodes (name, vm_url, details) values ('odd', 'https://odd.invalid', 'x')")
    code, out, err = nadg(capsys, "workers", "list")
    assert (code, "odd" in out) == (Code.OK, True)
    assert "odd: its row in the registry makes no sense: its details are no JSON object" in err
    code, out, _ = nadg(capsys, "heartbeat", "--json", "-")
    (odd,) = [beat for beat in json.loads(out)["workers"] if beat["worker_id"] == "odd"]
    assert (code, odd["status"]) == (Code.NOT_ALL_SUCCEEDED, "offline")
    assert "correct the row or remove the worker" in odd["reason"]
    assert "odd: its row in the registry makes no sense" in nadg(capsys, "db", "check")[1]
    assert project.run("select details from public.worker_nodes where name = 'odd'") == "x", "it is left as it is"
    assert nadg(capsys, "workers", "remove", "odd")[0] == Code.OK
    project.run("revoke all on public.worker_nodes from service_role")
    code, out, _ = nadg(capsys, "db", "check")
    assert code == Code.NOT_ALL_SUCCEEDED
    assert "worker_nodes" in out
    assert "for its grants, run database/schema.sql" in out


# prune


def made_run(home, run_id, ended, blob):
    """A run in the history that ended at a time, with a blob of that age."""
    import asyncio
    import os

    from nadg_kernel.stores.blobs import BlobStore
    from nadg_kernel.stores.sqlite import SqliteStore
    from tests.stores.made import ME, Journal, plan

    blobs = BlobStore(home / "blobs")
    digest = blobs.put(blob)
    os.utime(blobs.path(digest), (ended.timestamp(), ended.timestamp()))

    async def write():
        store = SqliteStore(home / "nadg.db", clock=lambda: ended)
        await store.open()
        await store.create_run(run_id, plan(), ME)
        journal = Journal(run_id, start=ended)
        value = {"format": "bytes", "sha256": digest, "size": len(blob)}
        await store.append(run_id, 1, journal.attempt(result={"value": value, "stdout": "printed"}))
        await store.append(run_id, 1, [journal.event("run_ended", state="succeeded")])
        await store.close()

    asyncio.run(write())
    return blobs, digest


def test_prune_deletes_old_runs_and_what_nothing_refers_to(capsys, home):
    now = datetime.now(UTC)
    blobs, old = made_run(home, "old", now - timedelta(days=40), b"o" * 1000)
    made_run(home, "new", now - timedelta(days=20), b"n" * 1000)
    _, shared = made_run(home, "old-2", now - timedelta(days=40), b"n" * 1000)
    fresh = blobs.put(b"attached to a draft")
    code, out, _ = nadg(capsys, "prune", "--older-than", "30d")
    assert code == Code.OK
    assert "deleted 2 runs, 2 attempts that ended more than 30d ago" in out
    assert "deleted 1 blob that nothing refers to" in out
    assert {*blobs} == {shared, fresh}
    assert "deleted 0 runs" in nadg(capsys, "prune", "--older-than", "30d")[1]
    assert not blobs.has(old)


def test_prune_of_results_keeps_outcomes(capsys, home):
    blobs, old = made_run(home, "old", datetime.now(UTC) - timedelta(days=40), b"o" * 1000)
    code, out, _ = nadg(capsys, "prune", "--older-than", "30d", "--results-only")
    assert code == Code.OK
    assert "deleted 1 result that ended" in out
    assert not blobs.has(old)
    (row,) = json.loads(nadg(capsys, "history", "--json")[1])
    assert (row["run_id"], row["outcome"]) == ("old", "succeeded")


def test_a_grid_keeps_to_the_retention_setting(home, monkeypatch):
    import time

    from nadg_kernel import Grid
    from nadg_kernel.errors import SettingsError

    blobs, old = made_run(home, "old", datetime.now(UTC) - timedelta(days=40), b"o" * 1000)
    made_run(home, "new", datetime.now(UTC) - timedelta(days=20), b"n" * 1000)
    with Grid(local_workers=0) as grid:
        assert {*grid.runs()["run_id"]} == {"old", "new"}
    monkeypatch.setenv("NADG_RETENTION", "30d")
    with Grid(local_workers=0) as grid:
        deadline = time.monotonic() + 30
        while blobs.has(old) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert {*grid.runs()["run_id"]} == {"new"}
        assert not blobs.has(old)
    monkeypatch.setenv("NADG_RETENTION", "a while")
    with pytest.raises(SettingsError, match="NADG_RETENTION is a number of hours, days"):
        Grid(local_workers=0)
