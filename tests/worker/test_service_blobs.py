"""Blobs: bytes that are what their name says, within a quota that never takes what a running attempt needs."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile

import pytest

from blobs import Blobs, StoreFull, WrongHash
from config import Config
from sandbox.base import Artifact, Ended
from wire import Outcome, Usage

from .conftest import serving


def named(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def put(worker, data: bytes, name: str | None = None):
    return await worker.client.put(f"/blobs/{name or named(data)}", content=data)


async def test_bytes_come_back_as_they_went_in(worker):
    for data in (b"", b"\x00\xff" * 1_500_000):
        assert (await put(worker, data)).status_code == 204
        assert (await put(worker, data)).status_code == 204
        answer = await worker.client.get(f"/blobs/{named(data)}")
        assert answer.content == data
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_bytes_under_a_wrong_name_are_not_kept(worker):
    answer = await put(worker, b"abc", named(b"abd"))
    assert answer.status_code == 422
    assert named(b"abc") in answer.json()["error"]
    assert (await worker.client.get(f"/blobs/{named(b'abd')}")).status_code == 404
    assert (await worker.client.get(f"/blobs/{named(b'abc')}")).status_code == 404


@pytest.mark.parametrize("name", ["x", "0" * 63, "A" * 64, "..%2f..%2fetc%2fpasswd"])
async def test_a_name_that_is_no_hash_is_refused(worker, name):
    assert (await worker.client.put(f"/blobs/{name}", content=b"")).status_code in {404, 422}


async def test_missing_inputs_are_424_with_their_hashes_and_then_it_runs(worker):
    first, second = b"first" * 1000, b"second" * 1000
    request = {
        "inputs": {
            "frame": {"format": "arrow", "sha256": named(first), "size": 5000},
            "nested": {"format": "dict", "value": ["k"], "items": [{"format": "npy", "sha256": named(second)}]},
            "none": {"format": "json", "value": None, "size": 4, "sha256": named(b"null")},
        },
        "files": [{"path": "in/data.bin", "sha256": named(second), "size": 6000}],
    }
    answer = await worker.execute("x", **request)
    assert answer.status_code == 424
    assert sorted(answer.json()["missing"]) == sorted([named(first), named(second)])
    assert worker.sandbox.ran == []
    seen = {}

    async def read(job, _sink):
        seen.update({name: path.read_bytes() for name, path in {**job.blobs, **job.files}.items()})
        return Ended(outcome=Outcome.SUCCEEDED, usage=Usage())

    worker.sandbox.scripts["x"] = read
    await put(worker, first)
    await put(worker, second)
    assert (await worker.execute("x", **request)).json()["outcome"] == "succeeded"
    assert seen == {named(first): first, named(second): second, "in/data.bin": second}


async def test_results_displays_and_artifacts_are_fetched_as_blobs(worker):
    small, large = b"s" * 1000, b"l" * 2_000_000

    async def produce(_job, sink):
        sink.keep(named(small), small)
        sink.keep(named(large), large)
        with tempfile.TemporaryFile() as file:
            file.write(b"artifact, and more than it said")
            file.flush()
            sha256 = await asyncio.to_thread(sink.keep_file, file.fileno(), len(b"artifact"))
        result = {"format": "bytes", "sha256": named(large), "size": len(large)}
        artifact = Artifact(path="out/a.txt", sha256=sha256, size=8)
        return Ended(outcome=Outcome.SUCCEEDED, result=result, artifacts=(artifact,), usage=Usage())

    worker.sandbox.scripts["produce"] = produce
    told = (await worker.execute("produce", attempt_id="p")).json()
    assert told["artifacts"] == [{"path": "out/a.txt", "sha256": named(b"artifact"), "size": 8}]
    for data in (small, large, b"artifact"):
        assert (await worker.client.get(f"/blobs/{named(data)}")).content == data
    events = (await worker.client.get("/attempts/p/events")).text
    assert "event: artifact" in events


@pytest.mark.parametrize("size", [100, 1_000_000])
async def test_a_result_whose_bytes_are_not_its_hash_fails_the_attempt(worker, size):
    async def forge(_job, sink):
        sink.keep("0" * 64, b"x" * size)
        return Ended(outcome=Outcome.SUCCEEDED, result={"format": "bytes", "sha256": "0" * 64}, usage=Usage())

    worker.sandbox.scripts["forge"] = forge
    told = (await worker.execute("forge")).json()
    assert told["outcome"] == "failed"
    assert "hash" in told["error"]


async def test_a_result_over_the_quota_fails_the_attempt_and_names_the_setting():
    async with serving(Config(blob_quota_mb=1)) as worker:
        data = b"x" * 2_000_000

        async def large(_job, sink):
            sink.keep(named(data), data)
            return Ended(outcome=Outcome.SUCCEEDED, usage=Usage())

        worker.sandbox.scripts["large"] = large
        told = (await worker.execute("large")).json()
        assert told["outcome"] == "failed"
        assert "NADG_BLOB_QUOTA_MB" in told["error"]
        assert worker.service.blobs.used == 0


async def test_an_upload_over_the_quota_is_413_and_leaves_nothing():
    async with serving(Config(blob_quota_mb=1)) as worker:
        data = b"x" * 1_100_000

        async def chunks():
            for start in range(0, len(data), 65_536):
                yield data[start : start + 65_536]

        assert (await put(worker, data)).status_code == 413
        answer = await worker.client.put(f"/blobs/{named(data)}", content=chunks())
        assert answer.status_code == 413
        assert worker.service.blobs.used == 0


async def test_what_a_running_attempt_uses_is_never_evicted():
    async with serving(Config(blob_quota_mb=1, capacity=2)) as worker:
        pinned, other, third = (letter * 500_000 for letter in (b"p", b"o", b"t"))
        await put(worker, pinned)
        inputs = {"a": {"format": "bytes", "sha256": named(pinned), "size": 500_000}}
        running = asyncio.create_task(worker.execute("forever", attempt_id="a", inputs=inputs))
        await worker.sandbox.started.wait()
        await put(worker, other)
        await put(worker, third)
        assert (await worker.client.get(f"/blobs/{named(pinned)}")).status_code == 200
        assert (await worker.client.get(f"/blobs/{named(other)}")).status_code == 404
        full = await put(worker, b"f" * 600_000)
        assert full.status_code == 507
        await worker.client.delete("/attempts/a")
        await running
        assert (await put(worker, b"f" * 600_000)).status_code == 204


def test_the_least_recently_used_go_first(tmp_path):
    blobs = Blobs(tmp_path, 30)
    names = [named(bytes([n]) * 10) for n in range(4)]
    for n in range(3):
        blobs.put(names[n], bytes([n]) * 10)
    os.close(blobs.open(names[0]))
    blobs.put(names[3], bytes([3]) * 10)
    assert [name in blobs for name in names] == [True, False, True, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([names[0], names[2], names[3]])
    assert blobs.used == 30


def test_a_failed_write_leaves_no_file_and_no_bytes(tmp_path):
    blobs = Blobs(tmp_path, 100)
    with pytest.raises(WrongHash):
        blobs.put("0" * 64, b"abc")
    with pytest.raises(StoreFull):
        blobs.put(named(b"x" * 101), b"x" * 101)
    with pytest.raises(KeyError):
        blobs.pin([named(b"abc")])
    assert list(tmp_path.iterdir()) == []
    assert blobs.used == 0


def test_the_folder_is_private(tmp_path):
    Blobs(tmp_path / "blobs", 1)
    if os.name == "posix":
        assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700
