"""Bytes by their SHA-256, on disk within a quota: inputs that came, results and artifacts that wait to be fetched."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections import Counter, OrderedDict
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHUNK = 1024 * 1024


class WrongHash(ValueError):  # noqa: N818
    """The bytes are not those that the name promises."""


class StoreFull(OSError):  # noqa: N818
    """The quota is used up by blobs that running attempts need."""


class Blobs:
    """Least recently used blobs go first when the quota is reached; pinned ones never.

    Safe to call from several threads: uploads come on the event loop, large results are written by threads.
    """

    def __init__(self, folder: Path, quota: int) -> None:
        """Keep blobs in `folder` (made private to this user), `quota` bytes at most."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._quota = folder, quota
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._pins: Counter[str] = Counter()
        self._used = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes that count against the quota now: whole blobs and uploads under way."""
        return self._used

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._sizes

    def size(self, sha256: str) -> int | None:
        """Bytes of a blob; None if it is not here."""
        return self._sizes.get(sha256)

    def missing(self, hashes: Iterable[str]) -> list[str]:
        """Those of `hashes` that are not here, each once, in order."""
        return [sha256 for sha256 in dict.fromkeys(hashes) if sha256 not in self._sizes]

    def pin(self, hashes: Iterable[str]) -> dict[str, Path]:
        """Hold blobs until `unpin`, and give their files. Raises KeyError if one is not here; then none is held."""
        wanted = list(dict.fromkeys(hashes))
        with self._lock:
            for sha256 in wanted:
                self._sizes.move_to_end(sha256)
            self._pins.update(wanted)
        return {sha256: self._path(sha256) for sha256 in wanted}

    def unpin(self, hashes: Iterable[str]) -> None:
        """Let go of blobs that `pin` or `put` held."""
        with self._lock:
            for sha256 in hashes:
                self._pins[sha256] -= 1
                if self._pins[sha256] <= 0:
                    del self._pins[sha256]

    def open(self, sha256: str) -> int:
        """A file descriptor to read a blob from; it stays readable when the blob is evicted. Raises KeyError."""
        with self._lock:
            self._sizes.move_to_end(sha256)
            return os.open(self._path(sha256), os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def put(self, sha256: str, data: bytes, *, pin: bool = False) -> None:
        """Keep bytes. Raises WrongHash and StoreFull."""
        with self.writing(sha256, pin=pin) as upload:
            upload.write(data)

    def put_file(self, fd: int, size: int, *, pin: bool = False) -> str:
        """Keep at most `size` bytes read from a descriptor's start; gives their hash. Raises StoreFull."""
        with self.writing(None, pin=pin) as upload:
            offset = 0
            while offset < size and (chunk := _read_at(fd, min(CHUNK, size - offset), offset)):
                upload.write(chunk)
                offset += len(chunk)
        return upload.sha256

    @contextmanager
    def writing(self, sha256: str | None, *, pin: bool = False) -> Iterator[Upload]:
        """Take bytes piece by piece; they become a blob when the block ends well.

        Raises WrongHash at the end if they are not those of `sha256` (None: take their own hash), StoreFull on the way.
        """
        fd, name = tempfile.mkstemp(prefix=".part-", dir=self._folder)
        upload = Upload(self, fd)
        try:
            try:
                yield upload
            finally:
                os.close(fd)
            if sha256 is not None and upload.sha256 != sha256:
                message = f"the bytes hash to {upload.sha256}"
                raise WrongHash(message)
            self._adopt(name, upload, pin=pin)
        except BaseException:
            self._release(upload.size)
            Path(name).unlink(missing_ok=True)
            raise

    def reserve(self, size: int) -> None:
        """Count bytes against the quota, evicting what is oldest and not pinned. Raises StoreFull."""
        with self._lock:
            if self._used + size > self._quota:
                self._evict(self._used + size - self._quota)
            self._used += size

    def _evict(self, needed: int) -> None:
        victims: list[str] = []
        free = 0
        for sha256, size in self._sizes.items():
            if free >= needed:
                break
            if sha256 not in self._pins:
                victims.append(sha256)
                free += size
        if free < needed:
            message = f"the blob store is full: {self._quota} bytes are its quota (NADG_BLOB_QUOTA_MB)"
            raise StoreFull(message)
        for sha256 in victims:
            self._used -= self._sizes.pop(sha256)
            with suppress(PermissionError):  # Windows, while somebody reads it: it goes with the folder
                self._path(sha256).unlink(missing_ok=True)

    def _adopt(self, name: str, upload: Upload, *, pin: bool) -> None:
        with self._lock:
            if upload.sha256 in self._sizes:
                Path(name).unlink()
                self._used -= upload.size
            else:
                Path(name).replace(self._path(upload.sha256))
            self._sizes[upload.sha256] = upload.size
            self._sizes.move_to_end(upload.sha256)
            if pin:
                self._pins[upload.sha256] += 1

    def _release(self, size: int) -> None:
        with self._lock:
            self._used -= size

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256


class Upload:
    """Bytes on their way into the store, hashed and counted as they come."""

    def __init__(self, store: Blobs, fd: int) -> None:
        """Write to `fd`, which the store owns."""
        self._store, self._fd = store, fd
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Hash of what came until now (hex)."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Take more bytes. Raises StoreFull."""
        self._store.reserve(len(data))
        self.size += len(data)
        self._hash.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]


def _read_at(fd: int, size: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(fd, size, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, size)
