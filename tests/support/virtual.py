"""An event loop whose clock jumps ahead while nothing happens, so that a test of minutes takes milliseconds.

It never jumps while a thread works for it: `run_in_executor` is watched, and a store is wrapped in `Watched`.
"""

from __future__ import annotations

import asyncio
import inspect
import selectors
import time
from contextlib import contextmanager


class _Selector(selectors.DefaultSelector):
    ahead = 0.0
    busy = 0

    def select(self, timeout=None):
        if timeout is None or timeout <= 0 or self.busy:
            return super().select(timeout)
        began = time.monotonic()
        ready = super().select(0)
        if not ready:
            self.ahead += max(0.0, timeout - (time.monotonic() - began))
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is real time plus all the waiting that was skipped."""

    def __init__(self):
        self._jumps = _Selector()
        super().__init__(self._jumps)

    def time(self):
        return super().time() + self._jumps.ahead

    def run_in_executor(self, executor, func, *args):
        self._jumps.busy += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(lambda _: self._done())
        return future

    @contextmanager
    def watching(self):
        """The clock does not jump meanwhile."""
        self._jumps.busy += 1
        try:
            yield
        finally:
            self._done()

    def _done(self):
        self._jumps.busy -= 1


class Watched:
    """A store whose work in threads holds the clock."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        method = getattr(self._store, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def watched(*args, **kwargs):
            with asyncio.get_running_loop().watching():
                return await method(*args, **kwargs)

        return watched


def run_virtual(main):
    """Run a coroutine on such a loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
