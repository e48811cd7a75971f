"""Readers beside the writer: each on a connection of its own, in threads of the store, never in the event loop's."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from nadg_kernel.errors import StoreError

T = TypeVar("T")
THREADS = 4
PAGE_CHARS = 8 * 1024 * 1024
"""A page of rows ends early when its text is this long: results may be large."""


class Readers:
    """A pool of connections and threads. `failed` turns what SQLite raises into what the caller should see."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], failed: Callable[[sqlite3.Error], StoreError]
    ) -> None:
        self._connect, self._failed = connect, failed
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="nadg-history")

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query in a thread and give what `work` returns."""
        return await self._in_thread(lambda: self._with_connection(work))

    async def pages(
        self, sql: str, values: Sequence[Any], rows: int, convert: Callable[[list[tuple[Any, ...]]], T]
    ) -> AsyncGenerator[T, None]:
        """The rows of a statement from one consistent view of the database, in pages of at most `rows`.

        `convert` makes of each page what is given; it runs in the thread too, so that long pages block nobody.
        """

        def following(cursor: sqlite3.Cursor) -> T | None:
            page = _page(cursor, rows)
            return convert(page) if page else None

        with self._borrowed() as connection:
            cursor = await self._in_thread(lambda: connection.execute(sql, values))
            try:
                while (page := await self._in_thread(lambda: following(cursor))) is not None:
                    yield page
            finally:
                cursor.close()

    def close(self) -> None:
        """Wait for what runs, then close. Blocks; may be called twice."""
        self._threads.shutdown(wait=True)
        while not self._idle.empty():
            self._idle.get_nowait().close()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])  # the connection is still in use
            raise
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _with_connection(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._borrowed() as connection:
            return work(connection)

    @contextmanager
    def _borrowed(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._connect()
        broken = True
        try:
            yield connection
            broken = False
        except GeneratorExit:
            broken = False
            raise
        finally:
            if broken:
                connection.close()
            else:
                self._idle.put(connection)


def _page(cursor: sqlite3.Cursor, most: int) -> list[tuple[Any, ...]]:
    page: list[tuple[Any, ...]] = []
    size = 0
    while len(page) < most and size < PAGE_CHARS:
        rows = cursor.fetchmany(min(256, most - len(page)))
        if not rows:
            break
        page += rows
        size += sum(len(value) for row in rows for value in row if isinstance(value, str))
    return page
