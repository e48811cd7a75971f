"""One writer thread with group commit: what waits when it wakes shares a transaction, and so one sync of the disk."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from nadg_kernel.errors import StoreError

T = TypeVar("T")
MOST_JOBS = 5000
"""Jobs in one transaction; more wait for the next, so that a burst does not keep other processes out for long."""


@dataclass(slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]
    value: Any = None
    error: BaseException | None = None


class Writer:
    """Runs functions on one connection, in the order given, each whole or not at all.

    `connect` is called on the thread and gives a connection in autocommit mode; `failed` turns what SQLite raises into
    what the caller should see.
    """

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], failed: Callable[[sqlite3.Error], StoreError]
    ) -> None:
        self._connect, self._failed = connect, failed
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        # A daemon: what returned is durable, so that a kernel may end without asking.
        self._thread = threading.Thread(target=self._work, name="nadg-journal", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` within the next transaction; returns once that is on disk.

        An exception of `work` undoes what it wrote and nothing else. A failed commit reaches everyone in it.
        A caller that is cancelled has its work written all the same.
        """
        job = _Job(work, asyncio.get_running_loop().create_future())
        with self._lock:
            if self._closed:
                message = "the store is closed"
                raise StoreError(message)
            self._jobs.put(job)
        value: T = await job.done
        return value

    def close(self) -> None:
        """Finish what waits, then close the connection. Blocks; may be called twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        try:
            while (batch := self._next_batch()) is not None:
                try:
                    if connection is None:
                        connection = self._connect()
                    _commit_together(connection, batch)
                except BaseException as error:  # noqa: BLE001 - reaches every waiter; the thread lives on
                    for job in batch:
                        job.error = error
                    _discard(connection)
                    connection = None
                for job in batch:
                    if isinstance(job.error, sqlite3.Error):
                        job.error = self._failed(job.error)
                _resolve(batch)
        finally:
            _discard(connection)

    def _next_batch(self) -> list[_Job] | None:
        job = self._jobs.get()
        if job is None:
            return None
        batch = [job]
        while len(batch) < MOST_JOBS:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            batch.append(job)
        return batch


def _commit_together(connection: sqlite3.Connection, batch: list[_Job]) -> None:
    execute = connection.execute
    execute("begin immediate")
    try:
        for job in batch:
            execute("savepoint job")
            try:
                job.value = job.work(connection)
            except Exception as error:
                job.error = error
                if not connection.in_transaction:
                    raise  # a full disk or I/O error has undone the whole transaction: nobody's work is there
                execute("rollback to job")
            execute("release job")
        execute("commit")
    except BaseException:
        if connection.in_transaction:
            execute("rollback")
        raise


def _discard(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        with contextlib.suppress(sqlite3.Error):  # it is given up, and whoever waited has the reason
            connection.close()


def _resolve(batch: list[_Job]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in batch:
        by_loop.setdefault(job.done.get_loop(), []).append(job)
    for loop, jobs in by_loop.items():
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits there any more
            loop.call_soon_threadsafe(_set_all, jobs)


def _set_all(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.done.done():
            continue  # the caller was cancelled
        if job.error is None:
            job.done.set_result(job.value)
        else:
            job.done.set_exception(job.error)
