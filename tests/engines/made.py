"""What the engines' tests are made of: blobs in memory, an engine that loses patience soon, attempts."""

from __future__ import annotations

import asyncio
import hashlib
import random

from nadg_kernel.engines.attempt import Patience
from nadg_kernel.engines.base import AttemptSpec
from nadg_kernel.engines.client import Timeouts, WorkerEndpoint
from nadg_kernel.engines.http import HttpEngine
from nadg_kernel.model import Limits
from nadg_kernel.settings import Secret

TOKEN = "secret-token-of-w"


class Memory(dict):
    """Blobs in memory."""

    def put(self, data):
        digest = hashlib.sha256(data).hexdigest()
        self[digest] = data
        return digest

    def get(self, sha256):
        return self[sha256]

    def has(self, sha256):
        return sha256 in self


def make_engine(endpoints, blobs, **more):
    """An engine whose patience is short: no test waits for a person's idea of long."""
    patience = Patience(give_up=0.5, first_delay=0.01, most_delay=0.05, overtime=0.3, rng=random.Random(1))
    timeouts = Timeouts(connect=2.0, answer=0.4, silence=0.4)
    return HttpEngine(endpoints, blobs, **{"patience": patience, "timeouts": timeouts, "pace": 0.02, **more})


def endpoint(server, worker_id="w", token=TOKEN):
    return WorkerEndpoint(worker_id=worker_id, url=server.url, token=Secret(token))


def spec(attempt_id="a1", code="result = 42", **fields):
    values = {
        "run_id": "r",
        "subtask": "s",
        "shard": 0,
        "shards": 1,
        "worker_id": "w",
        "kind": "python",
        "limits": Limits(timeout_s=5),
    }
    return AttemptSpec(attempt_id=attempt_id, code=code, **{**values, **fields})


async def all_of(stream, within=60):
    async with asyncio.timeout(within):
        return [event async for event in stream]


async def end_of(stream, within=60):
    """The payload of the one `ended`, which is the last event."""
    events = await all_of(stream, within)
    assert [event.type for event in events].count("ended") == 1
    assert events[-1].type == "ended"
    return events[-1].data


async def until(engine, worker_id, wanted, within=60):
    """The first state of a worker that is as wanted."""
    async with asyncio.timeout(within):
        async for state in engine.workers():
            if state.worker_id == worker_id and wanted(state):
                return state
    raise AssertionError("the engine closed")
