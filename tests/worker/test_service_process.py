"""`python main.py` as a process: it announces itself, ends with its parent, and tells no secret."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
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


async def test_health_answers_while_eight_tasks_burn_the_cpu(tmp_path):
    async with started(tmp_path, NADG_CAPACITY="8") as worker:
        burn = {"task": "while True: pass", "limits": {"timeout_s": 600}}
        calls = [
            asyncio.create_task(worker.client.post("/execute", json={**burn, "attempt_id": f"burn{n}"}))
            for n in range(8)
        ]
        await worker.running(8)
        for _ in range(20):
            health = (await worker.client.get("/health", timeout=10)).json()
            assert (health["status"], health["running"]) == ("ok", 8)
        assert (await worker.client.post("/execute", json=burn)).status_code == 429
        for n in range(8):
            assert (await worker.client.delete(f"/attempts/burn{n}")).json()["status"] == "cancelled"
        for call in calls:
            assert (await call).json()["outcome"] == "cancelled"


async def test_values_files_and_artifacts_go_through_a_real_task(tmp_path):
    async with started(tmp_path) as worker:
        data = b"from a blob"
        sha256 = hashlib.sha256(data).hexdigest()
        code = (
            (
                "from pathlib import Path\n"
                "Path('out').mkdir()\n"
                "Path('out/copy.txt').write_bytes(Path('in/data.txt').read_bytes() + blob)\n"
                "progress(0.5, 'half')\n"
                "display({'a': 1})\n"
                "result = 'x' * n\n"
            )
            .replace("blob", "inputs['blob']")
            .replace("* n", "* inputs['n']")
        )
        body = {
            "task": code,
            "inputs": {"blob": {"format": "bytes", "sha256": sha256, "size": 11}, "n": {"value": 200_000}},
            "files": [{"path": "in/data.txt", "sha256": sha256, "size": 11}],
        }
        assert (await worker.client.post("/execute", json=body)).json()["missing"] == [sha256]
        await worker.client.put(f"/blobs/{sha256}", content=data)
        told = (await worker.client.post("/execute", json=body)).json()
        assert told["outcome"] == "succeeded", told
        assert told["result"]["size"] == 200_002
        fetched = await worker.client.get(f"/blobs/{told['result']['sha256']}")
        assert fetched.json() == "x" * 200_000
        assert [item["path"] for item in told["artifacts"]] == ["out/copy.txt"]
        assert (await worker.client.get(f"/blobs/{told['artifacts'][0]['sha256']}")).content == data + data
        assert len(told["displays"]) == 1
