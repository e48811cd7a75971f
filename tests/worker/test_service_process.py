"""`python main.py` as a process: it announces itself, ends with its parent, and tells no secret."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys

import httpx2
import pytest

from .conftest import WORKER, until
from .started import BLOCK, started

pytestmark = pytest.mark.serial


async def test_it_announces_its_port_when_it_answers_and_runs_code(tmp_path):
    async with started(tmp_path, WORKER_ID="mine") as worker:
        health = (await worker.client.get("/health")).json()
        assert worker.announced["worker_id"] == health["worker_id"] == "mine"
        assert worker.announced["boot_id"] == health["boot_id"]
        body = b'{"task": "print(\\"Hello from NADG\\")", "task_id": 1}'
        told = (await worker.client.post("/execute", content=body, headers={"Content-Type": "application/json"})).json()
        assert (told["task_id"], told["status"], told["output"]) == (1, "completed", "Hello from NADG\n")


async def test_it_ends_when_its_parent_closes_stdin_and_nothing_is_left(tmp_path):
    async with started(tmp_path, "--parent-stdin") as worker:
        call = asyncio.create_task(worker.client.post("/execute", json={"task": BLOCK, "attempt_id": "a"}))
        await worker.running(1)
        worker.process.stdin.close()
        await asyncio.wait_for(worker.process.wait(), 5)
        with contextlib.suppress(httpx2.TransportError):
            await call
        await until(lambda: worker.left() == [], 5)


async def test_its_log_and_environment_hold_no_secret(tmp_path):
    secrets = {"NADG_AUTH_TOKEN": "secret-token-1", "NADG_AUTH_TOKEN_PREVIOUS": "secret-token-2"}
    async with started(tmp_path, **secrets) as worker:
        headers = {"X-NADG-AUTH": "secret-token-1"}
        code = "import os\nprint(dict(os.environ))"
        told = (await worker.client.post("/execute", json={"task": code}, headers=headers)).json()
        assert told["status"] == "completed"
        assert "secret" not in json.dumps(told)
        await worker.client.post("/execute", json={"task": code}, headers={"X-NADG-AUTH": "secret-guess"})
        worker.process.terminate()
        _, log = await worker.process.communicate()
        assert b"secret" not in log


@pytest.mark.parametrize(("environment", "says"), [({"PORT": "http"}, "PORT"), ({"HOST": "192.0.2.1"}, "cannot start")])
async def test_a_bad_setting_is_one_line_and_exit_code_2(tmp_path, environment, says):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "main.py",
        cwd=WORKER,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert says in error.decode()
    assert "Traceback" not in error.decode()
