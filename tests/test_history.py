"""Frames come in batches, and a person who waits sees how far they are."""

from __future__ import annotations

import json
import re
from concurrent.futures import Future
from threading import Timer

import pandas as pd
import pyarrow.parquet as pq
import pytest

from nadg_kernel import history
from nadg_kernel.analytics import typed
from nadg_kernel.cli.report import frame_records
from nadg_kernel.stores.frames import FRAME
from nadg_kernel.stores.sqlite import SqliteStore
from tests.stores.conftest import opened
from tests.stores.frames import write_story

KINDS = {"int": "Int64", "float": "float64", "flag": "boolean", "time": "datetime64[us, UTC]"}


@pytest.fixture
async def store(tmp_path):
    async with opened(SqliteStore(tmp_path / "nadg.db")) as store:
        yield store


@pytest.mark.parametrize("name", FRAME)
@pytest.mark.parametrize("full", [True, False], ids=["full", "empty"])
async def test_each_column_has_its_type_also_where_some_or_all_is_missing(store, name, full):
    if full:
        await write_story(store)
    frame = await history.collect(store, name, {})
    assert frame.empty is not full
    for column, (kind, _) in FRAME[name].columns.items():
        found = frame[column]
        if kind == "text":
            assert pd.api.types.is_string_dtype(found) or found.dtype == object, column
        else:
            assert str(found.dtype) == KINDS[kind], column


async def test_numbers_times_and_flags_are_themselves_in_json(store):
    await write_story(store)
    attempts = frame_records(await history.collect(store, "attempts", {}))
    found = json.loads(json.dumps(attempts, allow_nan=False))
    tokens = {row["attempt_id"]: row["prompt_tokens"] for row in found}
    assert repr(tokens["a2"]) == "10"
    assert tokens["a1"] is None
    assert {type(row["shard"]) for row in found} == {int}
    assert found[0]["intended_at"] == "2026-11-25T12:00:11+00:00"
    assert found[0]["ended_at"] is None
    runs = frame_records(await history.collect(store, "runs", {}))
    assert [row["rehearsal"] for row in runs] == [False, False, False]


async def test_exports_keep_the_types(store, tmp_path):
    await write_story(store)
    collected = await history.collect(store, "attempts", {})
    written = await history.export(store, "attempts", {}, tmp_path / "a.parquet")
    read = pq.read_table(written)
    assert str(read.schema.field("prompt_tokens").type) == "int64"
    assert str(read.schema.field("started_at").type) == "timestamp[us, tz=UTC]"
    pd.testing.assert_frame_equal(typed(read.to_batches()), collected)
    lines = (await history.export(store, "attempts", {}, tmp_path / "a.csv")).read_text().splitlines()
    assert any(",10,4," in line for line in lines)
    assert not any(",10.0," in line for line in lines)


def test_a_quick_frame_is_given_at_once(capsys):
    future: Future = Future()
    future.set_result(pd.DataFrame({"a": [1]}))
    assert len(history.wait_shown(future, history.Seen(), "runs")) == 1
    assert capsys.readouterr().out == ""


def test_a_slow_frame_counts_its_rows(capsys, monkeypatch):
    monkeypatch.setattr(history, "MOMENT_S", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("TERM", "xterm")
    future: Future = Future()
    seen = history.Seen()
    seen.rows = 12_345
    Timer(0.5, future.set_result, [pd.DataFrame({"a": [1, 2]})]).start()
    assert len(history.wait_shown(future, seen, "attempts")) == 2
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out)
    assert "reading attempts: 12,345 rows" in shown
