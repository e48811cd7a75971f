"""Every store in one fixture: the contract suite runs over each."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from nadg_kernel.stores.sqlite import SqliteStore


class Clock:
    """Time that a test moves."""

    def __init__(self):
        self.now = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def __call__(self):
        return self.now

    def forward(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def dead():
    """Pids of owners that the store is told are gone; `None` in it: cannot be known."""
    return set()


@asynccontextmanager
async def opened(store):
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(params=["sqlite"])
async def store(request, tmp_path, clock, dead):
    async with opened(
        SqliteStore(tmp_path / "nadg.db", clock=clock, is_dead=lambda owner: owner["pid"] in dead)
    ) as store:
        yield store
