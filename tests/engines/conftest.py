"""A bad server and an engine that loses patience soon, as fixtures."""

from __future__ import annotations

import pytest

from tests.engines.made import Memory, endpoint, make_engine
from tests.support.fault_server import FaultServer


@pytest.fixture
def blobs():
    return Memory()


@pytest.fixture
async def server():
    async with FaultServer() as running:
        yield running


@pytest.fixture
async def engine(server, blobs):
    running = make_engine([endpoint(server)], blobs)
    yield running
    await running.close()
