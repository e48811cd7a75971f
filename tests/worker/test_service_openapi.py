"""The OpenAPI description is right, and nothing that fits or misses it makes the worker fail."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from config import Config

from .conftest import serving

SECONDS = 240
EXAMPLES = 50


async def test_the_description_names_every_route_and_refusal(worker):
    described = (await worker.client.get("/openapi.json")).json()
    paths = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert paths == {
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/status"),
        ("POST", "/execute"),
        ("GET", "/attempts/{attempt_id}"),
        ("DELETE", "/attempts/{attempt_id}"),
        ("GET", "/attempts/{attempt_id}/events"),
        ("PUT", "/blobs/{sha256}"),
        ("GET", "/blobs/{sha256}"),
    }
    execute = described["paths"]["/execute"]["post"]
    schema = execute["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/ExecuteRequest"}
    assert {"task", "attempt_id", "limits"} <= set(described["components"]["schemas"]["ExecuteRequest"]["properties"])
    assert set(execute["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert set(execute["responses"]) == {
        "200", "400", "401", "403", "409", "410", "413", "415", "422", "424", "429", "503",
    }  # fmt: skip


@pytest.mark.serial
@pytest.mark.timeout(SECONDS + 30)
async def test_schemathesis_finds_no_failure(tmp_path):
    async with serving(Config(capacity=64, max_body_mb=1)) as worker:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"http://127.0.0.1:{worker.port}/openapi.json",
            "--mode=all",
            f"--max-examples={EXAMPLES}",
            "--seed=1",
            "--suppress-health-check=all",
            "--generation-database=:memory:",
            "--request-timeout=20",
            "--phases=examples,coverage,fuzzing",
            "--checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), SECONDS)
        assert process.returncode == 0, output.decode()[-6000:]
        assert "Tested: 9" in output.decode()
        assert worker.service.attempts.counters["succeeded"] > EXAMPLES
