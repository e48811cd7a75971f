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


@pytest.fixture(scope="session")
def dask_cluster():
    """Two Dask workers in processes of their own, shared by all tests of the xdist group `dask`."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster:
        yield cluster
