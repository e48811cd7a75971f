"""What is SQLite's own: crashes, several processes, migrations, files that are not ours, group commit, the outbox."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from nadg_kernel.errors import StaleEpoch, StoreError
from nadg_kernel.stores import schema
from nadg_kernel.stores.base import WorkerRow
from nadg_kernel.stores.outbox import Outbox
from nadg_kernel.stores.sqlite import SqliteStore
from tests.stores.conftest import opened
from tests.stores.made import ME, OTHER, START, Journal, events, plan, rows

ROOT = Path(__file__).parents[2]


def appender(path, run_id, count):
    command = [sys.executable, "-m", "tests.stores.appender", str(path), run_id, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def check(path):
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert connection.execute("pragma foreign_key_check").fetchall() == []


@pytest.mark.parametrize("after", [1, 50, 400])
async def test_kill_9_in_mid_write_loses_nothing_that_was_confirmed(tmp_path, after):
    path = tmp_path / "nadg.db"
    with appender(path, "r1", 10**9) as process:
        confirmed = [int(process.stdout.readline()) for _ in range(after)]
        process.kill()
        confirmed += [int(line) for line in process.stdout if line.endswith("\n")]
    async with opened(SqliteStore(path)) as store:
        found = [event.seq for event in await events(store, "r1")]
        assert set(confirmed) <= set(found)
        assert len(found) == len(set(found))
        assert len(found) % 3 == 0, "an append was written in part"
        journal = Journal("r1", seq=max(found))
        assert await store.append("r1", 1, [journal.event("run_started")]) == journal.seq
    check(path)


async def test_several_processes_write_to_one_file(tmp_path):
    path = tmp_path / "nadg.db"
    processes = [appender(path, f"r{number}", 300) for number in range(3)]
    async with opened(SqliteStore(path)) as store:
        await store.create_run("mine", plan(), ME)
        journal = Journal("mine")
        for _ in range(50):
            await store.append("mine", 1, [journal.event("run_started")])
        for process in processes:
            process.communicate()
            assert process.returncode == 0
        for number in range(3):
            assert [event.seq for event in await events(store, f"r{number}")][:300] == list(range(1, 301))
        assert len(await events(store, "mine")) == 50
    check(path)


async def test_group_commit_shares_transactions(tmp_path, monkeypatch):
    """A hundred appends asked for at once are a handful of commits."""
    commits = []
    async with opened(SqliteStore(tmp_path / "nadg.db")) as store:
        connect = store._connect

        def traced(**options):
            connection = connect(**options)
            connection.set_trace_callback(lambda sql: commits.append(sql) if sql.lower() == "commit" else None)
            return connection

        monkeypatch.setattr(store._writer, "_connect", traced)
        await store.create_run("r1", plan(), ME)
        commits.clear()
        journal = Journal("r1")
        await asyncio.gather(*(store.append("r1", 1, [journal.event("run_started")]) for _ in range(100)))
        assert 1 <= len(commits) <= 5
        assert len(await events(store, "r1")) == 100


async def test_a_failed_commit_reaches_everyone_and_the_store_goes_on(tmp_path, monkeypatch):
    async with opened(SqliteStore(tmp_path / "nadg.db")) as store:
        connect, full = store._connect, [False]

        def limited(**options):
            connection = connect(**options)
            (pages,) = connection.execute("pragma page_count").fetchone()
            if full[0]:
                connection.execute(f"pragma max_page_count = {pages + 5}")
            return connection

        await store.create_run("r1", plan(), ME)
        journal = Journal("r1")
        store._writer.close()
        monkeypatch.setattr(store, "_writer", type(store._writer)(limited, store._failed))
        full[0] = True
        big = [journal.event("attempt_progress", text="x" * 100_000) for _ in range(10)]
        done = await asyncio.gather(*(store.append("r1", 1, [event]) for event in big), return_exceptions=True)
        assert {type(error) for error in done} == {StoreError}
        assert all("free some space" in str(error) for error in done)
        assert await events(store, "r1") == []
        full[0] = False
        for event in big:
            await store.append("r1", 1, [event])
        assert await events(store, "r1") == big
    check(tmp_path / "nadg.db")


async def test_a_cancelled_append_leaves_the_others_be(tmp_path):
    async with opened(SqliteStore(tmp_path / "nadg.db")) as store:
        await store.create_run("r1", plan(), ME)
        journal = Journal("r1")
        tasks = [asyncio.create_task(store.append("r1", 1, [journal.event("run_started")])) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(item, asyncio.CancelledError) for item in done[::2])
        assert all(isinstance(item, int) for item in done[1::2])


async def test_closing_finishes_what_was_asked_for(tmp_path):
    store = SqliteStore(tmp_path / "nadg.db")
    await store.open()
    await store.create_run("r1", plan(), ME)
    journal = Journal("r1")
    tasks = [asyncio.create_task(store.append("r1", 1, [journal.event("run_started")])) for _ in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*tasks)
    async with opened(SqliteStore(tmp_path / "nadg.db")) as store:
        assert len(await events(store, "r1")) == 50


async def test_a_reader_sees_one_moment(tmp_path):
    """A slow reader neither blocks the writer nor sees what came later."""
    async with opened(SqliteStore(tmp_path / "nadg.db")) as store:
        await store.create_run("r1", plan(), ME)
        journal = Journal("r1")
        await store.append("r1", 1, [journal.event("run_started") for _ in range(2000)])
        seen = []
        async for event in store.read("r1"):
            if not seen:
                await store.append("r1", 1, [journal.event("run_started")])
            seen.append(event.seq)
        assert seen == list(range(1, 2001))


async def test_a_reader_that_stops_early_gives_its_connection_back(tmp_path):
    async with opened(SqliteStore(tmp_path / "nadg.db")) as store:
        await store.create_run("r1", plan(), ME)
        journal = Journal("r1")
        await store.append("r1", 1, [journal.event("run_started") for _ in range(2000)])
        for _ in range(5):
            reading = store.read("r1")
            assert (await anext(reading)).seq == 1
            await reading.aclose()
        await store.get_run("r1")
        assert store._readers._idle.qsize() == 1


async def test_files_are_for_their_owner_only(tmp_path):
    async with opened(SqliteStore(tmp_path / "deep" / "nadg.db")) as store:
        await store.create_run("r1", plan(), ME)
        if os.name == "posix":
            for path in store.path.parent.iterdir():
                assert path.stat().st_mode & 0o077 == 0, path.name


async def test_a_file_of_a_later_version_is_refused(tmp_path):
    path = tmp_path / "nadg.db"
    async with opened(SqliteStore(path)):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma user_version = 99")
    with pytest.raises(StoreError, match="later nadg-kernel"):
        await SqliteStore(path).open()


async def test_migrations_run_once_and_keep_what_is_there(tmp_path, monkeypatch):
    path = tmp_path / "nadg.db"
    async with opened(SqliteStore(path)) as store:
        await store.create_run("r1", plan(), ME)
    step = ("alter table runs add column colour text default 'red'", "create table extra (x)")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
    stores = [SqliteStore(path) for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    assert (await stores[0].get_run("r1")).command == "Count the reviews"
    for store in stores:
        await store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select colour from runs").fetchall() == [("red",)]
        assert connection.execute("pragma user_version").fetchone() == (len(schema.MIGRATIONS),)


async def test_a_history_of_the_first_schema_is_brought_up_to_date(tmp_path):
    path = tmp_path / "nadg.db"
    with closing(sqlite3.connect(path)) as connection:
        for statement in schema.FIRST:
            connection.execute(statement)
        connection.execute("pragma user_version = 1")
        connection.execute("insert into runs values ('r1', 'c', 'failed', 0, 'd', 1, '{}', 0, 0, 1, 0, '', '', 0, 1)")
        values = "('r1', 's', 0, 'a', 'w1', 'failed', 1, 86400000001, 2.0)"
        names = "run_id, subtask, shard, attempt_id, worker, outcome, intended_at, ended_at, seconds"
        connection.execute(f"insert into attempts ({names}) values {values}")
        connection.commit()
    async with opened(SqliteStore(path)) as store:
        (only,) = await rows(store, "summary")
        assert (only["day"].isoformat(), only["count"]) == ("1970-01-02T00:00:00+00:00", 1)


async def test_a_failed_migration_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "nadg.db"
    async with opened(SqliteStore(path)):
        pass
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("create table extra (x)", "nonsense")))
    with pytest.raises(StoreError, match="syntax error"):
        await SqliteStore(path).open()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select count(*) from sqlite_master where name = 'extra'").fetchone() == (0,)


async def test_what_is_no_history_is_named(tmp_path):
    (tmp_path / "nadg.db").write_bytes(b"this is not a database, whatever its name says" * 100)
    with pytest.raises(StoreError, match=r"nadg\.db: file is not a database; it is some other file"):
        await SqliteStore(tmp_path / "nadg.db").open()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot open the history"):
        await SqliteStore(tmp_path / "file" / "nadg.db").open()


async def test_blobs_that_events_refer_to(tmp_path):
    async with opened(SqliteStore(tmp_path / "nadg.db")) as store:
        await store.create_run("r1", plan(), ME)
        journal, data, value, artifact = Journal("r1"), "0" * 64, "1" * 64, "2" * 64
        result = {"value": {"sha256": value}, "artifacts": [{"path": "a", "sha256": artifact, "size": 1}]}
        await store.append("r1", 1, [journal.event("run_started", data={"rows": {"format": "arrow", "sha256": data}})])
        await store.append("r1", 1, [*journal.attempt(result=result), journal.event("run_ended", state="succeeded")])
        assert await store.referenced() == {data, value, artifact}
        assert await store.referenced([artifact, "3" * 64]) == {artifact}
        later = journal.at.replace(year=2030)
        assert (await store.prune(later, results_only=True))["blob_refs"] == 2
        assert await store.referenced() == {data}
        await store.prune(later)
        assert await store.referenced() == set()


async def test_pruning_gives_the_disk_back(tmp_path):
    async with opened(SqliteStore(tmp_path / "nadg.db")) as store:
        await store.create_run("r1", plan(), ME)
        journal = Journal("r1")
        await store.append("r1", 1, journal.attempt(result={"value": "x" * 5_000_000}))
        await store.append("r1", 1, [journal.event("run_ended", state="succeeded")])
        await store.prune(journal.at.replace(year=2030))
    assert store.path.stat().st_size < 1_000_000
    check(store.path)


async def test_the_outbox_holds_what_a_replica_has_not_confirmed(tmp_path):
    async with opened(SqliteStore(tmp_path / "nadg.db")) as store:
        outbox = Outbox(store)
        await store.create_run("r1", plan(), ME)
        journal = Journal("r1")
        attempt = journal.attempt()
        await store.append("r1", 1, attempt)
        await store.append("r1", 1, attempt)
        await store.put_plan("r1", 1, plan(command="another"))
        assert await outbox.pending() == [("r1", 1, -1), ("r1", 1, 1), ("r1", 1, 2), ("r1", 1, 3), ("r1", 1, -2)]
        await outbox.confirm([("r1", 1, -1), ("r1", 1, 1)])
        assert await outbox.pending(2) == [("r1", 1, 2), ("r1", 1, 3)]
    async with opened(SqliteStore(tmp_path / "nadg.db")) as store:
        await store.append("r1", 1, [journal.event("run_started")])
        assert await Outbox(store).waiting() == 3


async def test_an_epoch_that_another_store_gave(tmp_path):
    async with opened(SqliteStore(tmp_path / "nadg.db")) as store:
        await store.create_run("r1", plan(), ME)
        await Outbox(store).adopt_epoch("r1", OTHER, 5, START)
        with pytest.raises(StaleEpoch):
            await store.append("r1", 1, [])
        assert await store.append("r1", 5, []) == 0
        with pytest.raises(StaleEpoch):
            await Outbox(store).adopt_epoch("r1", ME, 4, START)


async def test_every_ping_is_kept_for_the_health_of_workers(tmp_path):
    async with opened(SqliteStore(tmp_path / "nadg.db")) as store:
        await store.create_run("r1", plan(), ME)
        journal = Journal("r1")
        first, second = journal.event("worker_state", worker="w1", state="ready", latency_ms=5, capacity=2), None
        await store.append("r1", 1, [first])
        second = journal.event("run_started").at
        row = WorkerRow(worker_id="w1", url="u", status="asleep", last_ping=second, details={"reason": "sleeps"})
        await store.upsert_workers([row])
        await store.upsert_workers([row])
        newest, oldest = await rows(store, "health", worker="w1")
        assert (oldest["at"], oldest["state"], oldest["latency_ms"], oldest["run_id"]) == (first.at, "ready", 5, "r1")
        assert (newest["at"], newest["state"], newest["reason"], newest["run_id"]) == (second, "asleep", "sleeps", None)


async def test_the_summary_groups_a_day_by_worker_and_outcome(tmp_path):
    async with opened(SqliteStore(tmp_path / "nadg.db")) as store:
        await store.create_run("r1", plan(), ME)
        journal = Journal("r1")
        for number, seconds in enumerate([1.0, 3.0]):
            await store.append("r1", 1, journal.attempt(attempt_id=f"a{number}", seconds=seconds))
        await store.append("r1", 1, journal.attempt(attempt_id="b", outcome="lost", seconds=None))
        lost, succeeded = await rows(store, "summary", worker="w1", since=journal.at)
        assert lost["outcome"] == "lost"
        assert succeeded["day"].isoformat() == "2026-11-24T00:00:00+00:00"
        assert [succeeded[name] for name in ("worker", "count", "mean_seconds", "max_seconds")] == ["w1", 2, 2.0, 3.0]
