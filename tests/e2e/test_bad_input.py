"""Bad input through `nadg run`: one clear line, exit code 2 (or 1 when a run began), never a traceback of ours."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.conftest import COMMAND


@pytest.mark.parametrize("command", ["", "   ", "...", "\n"])
def test_empty_command(quick, command):
    quick("run", command, "--approve").refused("the command is empty")


def test_a_command_of_100_kilobytes(quick):
    quick("run", "analyze sentiment " * 5700, "--approve").refused("102,599 characters")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"review,rating\n", "no rows"),
        (b"review,rating\ngood,5\nbad\n", "ragged: line 3"),
        ("review\nsch\u00f6n\n".encode("latin-1"), "is not UTF-8"),
        (b'review\n"never closed\n', "no table that can be read"),
    ],
    ids=["empty", "header only", "ragged", "not utf-8", "open quote"],
)
def test_data_that_is_no_table(quick, content, says):
    (quick.folder / "reviews.csv").write_bytes(content)
    line = quick("run", COMMAND, "--data", "reviews=reviews.csv", "--approve").refused(says)
    assert "reviews.csv" in line


def test_data_that_is_not_there_or_of_no_known_kind(quick):
    quick("run", COMMAND, "--data", "reviews=gone.csv").refused("no such file: gone.csv")
    (quick.folder / "reviews.docx").write_bytes(b"PK\x03\x04")
    quick("run", COMMAND, "--data", "reviews=reviews.docx").refused("'.docx'")


def test_data_without_a_text_column(quick):
    (quick.folder / "numbers.csv").write_text("a,b\n1,2\n3,4\n")
    run = quick("run", COMMAND, "--data", "numbers=numbers.csv", "--approve", "--save-plan", "draft.json")
    run.refused("block", "sentiment", "needs code")
    assert "sentiment" in run.out, "the plan is shown"
    assert (quick.folder / "draft.json").exists(), "and kept"


def test_a_clause_that_nobody_knows(quick):
    quick("run", "Translate the novel into Klingon", "--approve").refused("needs code")


@pytest.mark.parametrize(
    ("subtasks", "says"),
    [
        ([("a", "result = (1\n")], ["a, line 1", "never closed"]),
        (
            [("a", "import no_such_package_anywhere\nresult = 1")],
            ["a, line 1", "no worker has no_such_package_anywhere"],
        ),
        ([("a", "result = 1", "b"), ("b", "result = 2", "a")], ["wait for each other"]),
        ([("a", "result = 1", "gone")], ["depends on 'gone'"]),
        ([("a", "result = 1"), ("a", "result = 2")], ["used 2 times"]),
        ([("a", 'result = inputs["nothing"]')], ["nothing"]),
        ([("a", "")], ["no code yet"]),
        ([], ["no subtasks"]),
    ],
    ids=["syntax", "import", "cycle", "dangling", "duplicate", "input", "no code", "no subtasks"],
)
def test_plans_that_cannot_run(quick, write_plan, subtasks, says):
    write_plan(*subtasks)
    workers = (
        "1" if "import" in says[1:] or "no worker has" in says[-1] else "0"
    )  # only a worker knows what it can import
    run = quick("run", "--plan", "plan.json", "--approve", NADG_LOCAL_WORKERS=workers)
    run.refused("approval", *says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot read"),
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "a plan is a JSON object, not list"),
        ('{"format": "nadg-plan/9"}', "nadg-plan/9"),
        ('{"command": "x", "subtasks": [{"code": "1"}]}', "subtask 1"),
        ('{"command": "x", "subtasks": [{"id": "a", "colour": "red"}]}', "colour"),
        ('{"command": "x", "subtasks": {"id": "a"}}', "must be a list"),
        ('{"command": "x", "subtasks": [{"id": "a", "code": "1", "limits": {"timeout_s": "soon"}}]}', "timeout_s"),
        ('{"command": "x", "subtasks": [{"id": "a", "code": "1", "limits": {"timeout_s": -1}}]}', "timeout_s"),
        ('{"command": "x", "subtasks": [7]}', "subtask 1"),
        ('{"command": "x", "data": [1], "subtasks": []}', "data"),
        ('{"command": "x", "subtasks": [], "approval": {"by": "me"}}', "approval"),
    ],
)
def test_files_that_are_no_plan(quick, content, says):
    if content is not None:
        (quick.folder / "plan.json").write_text(content)
    quick("run", "--plan", "plan.json", "--approve").refused(says)


def test_a_plan_file_that_is_not_utf8(quick):
    (quick.folder / "plan.json").write_bytes(b'{"command": "sch\xf6n"}')
    quick("run", "--plan", "plan.json").refused("plan.json")


@pytest.mark.parametrize(
    ("name", "value"),
    [("NADG_LOCAL_WORKERS", "many"), ("NADG_PLANNER", "a b"), ("NADG_GRID_SECRET", "short"), ("NADG_GEMINI_SDK", "x")],
)
def test_settings_that_are_malformed(quick, name, value):
    line = quick("run", "x", **{name: value}).refused(name)
    assert name != "NADG_GRID_SECRET" or "short " not in line.replace("is shorter", ""), "a secret is never shown"


def test_a_home_that_cannot_be_written(quick):
    quick.home.write_text("a file where the folder should be")
    quick("run", "x").refused(str(quick.home))


def test_no_worker(quick, write_plan):
    write_plan(("a", "result = 1"))
    run = quick("run", "--plan", "plan.json", "--approve")
    run.refused("no worker", "NADG_LOCAL_WORKERS")


class Rubbish(BaseHTTPRequestHandler):
    """A server that answers everything with what no worker would say."""

    body = b"<html>login</html>"

    def answer(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names of the standard library

    def log_message(self, *_arguments):
        """Be quiet."""


@pytest.fixture
def rubbish_worker(tmp_path):
    """A registered worker that is none. Its home's registry knows it, as after `register`."""
    import asyncio

    from nadg_kernel.stores.base import WorkerRow
    from nadg_kernel.stores.sqlite import SqliteStore

    server = ThreadingHTTPServer(("127.0.0.1", 0), Rubbish)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    async def register():
        store = SqliteStore(tmp_path / "home" / "nadg.db")
        await store.open()
        await store.upsert_workers([WorkerRow(worker_id="strange", url=f"http://127.0.0.1:{server.server_port}")])
        await store.close()

    (tmp_path / "home").mkdir()
    asyncio.run(register())
    yield "strange"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_worker_that_answers_rubbish(quick, write_plan, rubbish_worker, monkeypatch):
    monkeypatch.setattr("nadg_kernel.cli.run.REMOTE_READY_S", 3.0)
    write_plan(("a", "result = 1"))
    run = quick("run", "--plan", "plan.json", "--approve", NADG_GRID_SECRET="s" * 64)
    line = run.refused("no worker is ready", rubbish_worker)
    assert "s" * 64 not in run.out + run.err
    assert "login" not in line


def test_one_that_answers_rubbish_does_not_stop_the_others(quick, write_plan, rubbish_worker):
    write_plan(("a", "result = 1"), ("b", "result = 2"))
    run = quick(
        "run", "--plan", "plan.json", "--approve", "--json", "out.json",
        report="out.json", workers=1, NADG_GRID_SECRET="s" * 64,
    )  # fmt: skip
    assert run.code == 0, run.err
    assert {item["worker"] for item in run.report["subtasks"]} == {"local-1"}


def test_history_of_nothing(quick):
    run = quick("history")
    assert (run.code, run.out) == (0, "")
    assert "no subtask in the history yet" in run.err
    assert json.loads(quick("history", "--json").out) == []
