"""An event loop whose clock jumps ahead while nothing happens, so that a test of minutes takes milliseconds."""

from __future__ import annotations

import asyncio
import selectors
import time

REAL_S = 0.02
"""Real time given to threads (a store's writer) before the clock jumps."""


class _Selector(selectors.DefaultSelector):
    ahead = 0.0

    def select(self, timeout=None):
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        began = time.monotonic()
        ready = super().select(min(timeout, REAL_S))
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


def run_virtual(main):
    """Run a coroutine on such a loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
