"""kill -9 in mid-write and reopen, over every store: what was confirmed is there, and nothing in part."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nadg_kernel.stores.replica import ReplicatedStore
from tests.stores.appender import store_of
from tests.stores.conftest import STORES, SUPABASE, opened
from tests.stores.made import Journal, events, rows

ROOT = Path(__file__).parents[2]
KINDS = ["sqlite", *(pytest.param(kind, marks=SUPABASE) for kind in ("supabase", "replicated"))]


def test_every_store_is_killed():
    names = {getattr(store, "values", [store])[0] for store in STORES}
    assert names - {"postgrest"} == {"sqlite", "supabase", "replicated"}


@pytest.mark.parametrize("kind", KINDS)
async def test_kill_9_in_mid_write_loses_nothing_that_was_confirmed(request, tmp_path, kind):
    path, place = tmp_path / "nadg.db", ("", "")
    if kind != "sqlite":
        project = request.getfixturevalue("project")
        project.empty()
        place = (project.url, project.secret)
    with _appender(path, kind, *place) as process:
        confirmed = [int(process.stdout.readline()) for _ in range(60)]
        process.kill()
        confirmed += [int(line) for line in process.stdout if line.endswith("\n")]
    async with opened(store_of(kind, path, *place)) as store:
        found = [event.seq for event in await events(store, "r1")]
        assert set(confirmed) <= set(found)
        assert len(found) == len(set(found))
        assert len(found) % 3 == 0, "an append was written in part"
        journal = Journal("r1", seq=max(found))
        assert await store.append("r1", 1, [journal.event("run_started")]) == journal.seq
        if isinstance(store, ReplicatedStore):
            assert await store.flush(30)
            assert await events(store.remote, "r1") == await events(store.local, "r1")
            assert await rows(store.remote, "runs") == await rows(store.local, "runs")


def _appender(path, kind, url, key):
    command = [sys.executable, "-m", "tests.stores.appender", str(path), "r1", str(10**9), kind, url, key]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
