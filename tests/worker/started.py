"""A worker as a process of its own, as a control side starts it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2

from .conftest import NO_TLS, WORKER

BLOCK = "import time\nprint('on my way', flush=True)\ntime.sleep(600)"


@dataclass
class Started:
    """A worker process and a client of it."""

    process: asyncio.subprocess.Process
    client: httpx2.AsyncClient
    announced: dict
    tmp: Path

    async def running(self, count: int) -> None:
        while (await self.client.get("/health")).json()["running"] != count:  # noqa: ASYNC110 - over HTTP, no event
            await asyncio.sleep(0.02)

    async def status(self, wanted: str, *, or_gone: bool = False) -> None:
        with contextlib.suppress(*([httpx2.TransportError] if or_gone else [])):
            while (await self.client.get("/health")).json()["status"] != wanted:  # noqa: ASYNC110 - over HTTP, no event
                await asyncio.sleep(0.01)

    def left(self) -> list[str]:
        return sorted(path.name for path in self.tmp.iterdir())


@contextlib.asynccontextmanager
async def started(tmp: Path, *options: str, folder: Path = WORKER, **environment: str) -> AsyncIterator[Started]:
    keep = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "main.py",
        "--announce",
        *options,
        cwd=folder,
        env={**keep, "PORT": "0", "TMPDIR": str(tmp), "TEMP": str(tmp), "NADG_PRELOAD": "", **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        assert line, (await process.stderr.read()).decode()
        announced = json.loads(line)
        base = f"http://127.0.0.1:{announced['port']}"
        async with httpx2.AsyncClient(base_url=base, trust_env=False, timeout=30, verify=NO_TLS) as client:
            yield Started(process=process, client=client, announced=announced, tmp=tmp)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
