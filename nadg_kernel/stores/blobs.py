"""Bytes by content on the control side, so that a result is durable before its subtask counts as succeeded."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nadg_kernel.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobStore:
    """A folder of blobs, `ab/<sha256>` below it. Several processes may share it.

    A blob appears under its name only once it is whole and on disk: written beside, fsynced, renamed.
    """

    def __init__(self, folder: str | Path) -> None:
        """Use this folder; it is made on the first write."""
        self.folder = Path(folder)

    def path(self, sha256: str) -> Path:
        """Where the blob is, or would be. Raises KeyError for anything that is no digest, a path for instance."""
        if not _DIGEST.fullmatch(sha256):
            raise KeyError(sha256)
        return self.folder / sha256[:2] / sha256

    def put(self, data: bytes) -> str:
        """Keep bytes; gives their SHA-256 (hex). Durable on return. Raises StoreError when the disk refuses."""
        digest = hashlib.sha256(data).hexdigest()
        target = self.path(digest)
        try:
            if target.exists() and target.stat().st_size == len(data):
                os.utime(target)  # in use again: a sweep that is under way keeps it
                return digest
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_durably(target, data)
        except OSError as error:
            message = f"cannot keep {len(data)} bytes in {self.folder}: {error.strerror or error}"
            raise StoreError(message) from error
        return digest

    def get(self, sha256: str) -> bytes:
        """The bytes. Raises KeyError with the digest, also for a blob that no longer has its content."""
        try:
            data = self.path(sha256).read_bytes()
        except OSError as error:
            raise KeyError(sha256) from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise KeyError(sha256)
        return data

    def has(self, sha256: str) -> bool:
        """Whether the bytes are here."""
        try:
            return self.path(sha256).is_file()
        except KeyError:
            return False

    def __iter__(self) -> Iterator[str]:
        """Digests of everything kept, in no order."""
        if self.folder.is_dir():
            for path in self.folder.glob("??/*"):
                if _DIGEST.fullmatch(path.name):
                    yield path.name

    def sweep(self, needed: Callable[[str], bool], *, older_than: datetime) -> tuple[int, int]:
        """Delete what is not needed and was last written before a time; gives (blobs, bytes).

        The time keeps blobs whose event is not in the journal yet: give it at least an hour.
        """
        count = size = 0
        for digest in self:
            path = self.path(digest)
            with contextlib.suppress(FileNotFoundError):  # another process sweeps too
                status = path.stat()
                if status.st_mtime < older_than.timestamp() and not needed(digest):
                    path.unlink()
                    count, size = count + 1, size + status.st_size
        return count, size


def _write_durably(target: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)  # noqa: PTH105 - the name is a plain string from mkstemp
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)  # noqa: PTH108
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows has no handle on a folder to sync; NTFS journals the rename
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
