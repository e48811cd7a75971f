"""Every store in one fixture: the contract suite runs over each."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from nadg_kernel.stores.replica import ReplicatedStore
from nadg_kernel.stores.sqlite import SqliteStore
from nadg_kernel.stores.supabase import SupabaseStore
from tests.supabase.server import Project, missing


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


@pytest.fixture(scope="session")
def project():
    """A Supabase project of this test session's own, with the schema and no rows."""
    if needed := missing():
        pytest.skip(f"needs {needed}")
    found = Project()
    yield found
    found.close()


SUPABASE = pytest.mark.xdist_group("supabase")
STORES = ["sqlite", pytest.param("supabase", marks=SUPABASE), pytest.param("replicated", marks=SUPABASE)]
POSTGREST = os.environ.get("NADG_TEST_POSTGREST_URL", "")
"""A project, or PostgREST under /rest/v1, that the tests may empty. NADG_TEST_POSTGREST_KEY is a key of the role
service_role there, NADG_TEST_POSTGREST_PUBLIC_KEY one of anon; CONTRIBUTING.md says how to make them."""
PUBLIC_KEY = os.environ.get("NADG_TEST_POSTGREST_PUBLIC_KEY", "")
if POSTGREST:
    assert os.environ.get("NADG_TEST_POSTGREST_KEY"), "NADG_TEST_POSTGREST_URL needs NADG_TEST_POSTGREST_KEY too"
    STORES.append(pytest.param("postgrest", marks=SUPABASE))


async def emptied(url, key):
    keys = {"nadg_runs": "run_id", "task_history": "id", "worker_nodes": "id", "nadg_health": "id"}
    headers = {"apikey": key, "Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"{url}/rest/v1", headers=headers, trust_env=False) as client:
        for table, column in keys.items():
            (await client.delete(f"/{table}?{column}=not.is.null")).raise_for_status()


@pytest.fixture(params=STORES)
async def store(request, tmp_path, clock, dead):
    options = {"clock": clock, "is_dead": lambda owner: owner["pid"] in dead}
    local = SqliteStore(tmp_path / "nadg.db", **options)
    if request.param == "sqlite":
        made = local
    elif request.param == "postgrest":
        key = os.environ["NADG_TEST_POSTGREST_KEY"]
        await emptied(POSTGREST, key)
        made = SupabaseStore(POSTGREST, key, **options)
    else:
        project = request.getfixturevalue("project")
        project.empty()
        made = SupabaseStore(project.url, project.secret, **options)
        if request.param == "replicated":
            made = ReplicatedStore(local, made)
    async with opened(made) as store:
        yield store
