from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from nadg_kernel.errors import StoreError
from nadg_kernel.stores.blobs import BlobStore


@pytest.fixture
def blobs(tmp_path):
    return BlobStore(tmp_path / "blobs")


def test_put_and_get(blobs):
    for data in (b"", b"x", bytes(range(256)) * 1000):
        digest = blobs.put(data)
        assert digest == hashlib.sha256(data).hexdigest()
        assert blobs.get(digest) == data
        assert blobs.has(digest)
        assert blobs.path(digest) == blobs.folder / digest[:2] / digest
    assert len(list(blobs)) == 3


def test_nothing_half_written_is_left(blobs):
    digest = blobs.put(b"x" * 1000)
    assert [path.name for path in blobs.path(digest).parent.iterdir()] == [digest]


def test_what_is_not_there(blobs):
    missing = hashlib.sha256(b"missing").hexdigest()
    assert not blobs.has(missing)
    assert list(blobs) == []
    with pytest.raises(KeyError, match=missing):
        blobs.get(missing)


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "AB" * 32, "ab" * 31, "/" + "a" * 63, "a" * 64 + "\n"])
def test_only_digests_are_names(blobs, name):
    assert not blobs.has(name)
    for ask in (blobs.get, blobs.path):
        with pytest.raises(KeyError):
            ask(name)


def test_a_blob_that_lost_its_content_is_missing_and_can_be_put_again(blobs):
    digest = blobs.put(b"good content")
    blobs.path(digest).write_bytes(b"cut")
    with pytest.raises(KeyError):
        blobs.get(digest)
    assert blobs.put(b"good content") == digest
    assert blobs.get(digest) == b"good content"


def test_many_put_the_same_at_once(blobs):
    data = os.urandom(200_000)
    with ThreadPoolExecutor(8) as threads:
        digests = set(threads.map(blobs.put, [data] * 64))
    (digest,) = digests
    assert blobs.get(digest) == data
    assert list(blobs) == [digest]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "blobs").write_text("a file is in the way")
    with pytest.raises(StoreError, match="cannot keep 1 bytes"):
        BlobStore(tmp_path / "blobs").put(b"x")


def test_sweep_keeps_what_is_needed_or_young(blobs):
    needed, old, young = blobs.put(b"needed"), blobs.put(b"old"), blobs.put(b"young")
    now = datetime.now(UTC)
    for digest in (needed, old):
        os.utime(blobs.path(digest), (0, 0))
    assert blobs.sweep({needed}.__contains__, older_than=now - timedelta(hours=1)) == (1, 3)
    assert {*blobs} == {needed, young}


def test_putting_again_makes_young(blobs):
    digest = blobs.put(b"x")
    os.utime(blobs.path(digest), (0, 0))
    blobs.put(b"x")
    assert blobs.sweep(lambda _: False, older_than=datetime.now(UTC) - timedelta(hours=1)) == (0, 0)
