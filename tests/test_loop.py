"""The background loop runs on beside the caller, and no exception of its tasks goes unread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from nadg_kernel.loop import BackgroundLoop


@pytest.fixture
def loop():
    loop = BackgroundLoop()
    yield loop
    loop.close()


def test_runs_coroutines_from_any_thread(loop):
    async def where():
        return threading.current_thread().name

    assert loop.run(where()) == "nadg-loop"
    assert not loop.here


def test_unread_errors_are_kept_and_told(loop):
    told = threading.Event()
    loop.on_error = lambda _error: told.set()

    async def broken():
        raise ValueError("nobody awaits me")

    loop.spawn(broken())
    assert told.wait(5)
    assert "nobody awaits me" in str(loop.errors[-1])
    told.clear()
    loop.call(lambda: 1 / 0)
    assert told.wait(5)
    assert isinstance(loop.errors[-1], ZeroDivisionError)


def test_waiting_within_the_loop_is_refused(loop):
    async def inner():
        return 1

    async def outer():
        loop.run(inner())

    with pytest.raises(RuntimeError, match="never end"):
        loop.run(outer())


def test_closed_loop_says_so():
    loop = BackgroundLoop()
    loop.close()
    loop.close()

    async def nothing():
        return None

    with pytest.raises(RuntimeError, match="closed"):
        loop.submit(nothing())


def test_close_cancels_what_runs(loop):
    began, ended = threading.Event(), threading.Event()

    async def forever():
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    future = loop.spawn(forever())
    assert began.wait(5)
    loop.close()
    assert ended.is_set()
    assert future.cancelled()
