"""A person's hand on a panel: messages of the plan view, and the answers to them."""

from __future__ import annotations

import threading
import time


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def settle(panel):
    """Wait until nothing is on its way any more: the threads are done, and the loop has shown it."""
    controller = panel._controller
    for _ in range(2):
        controller._performer._thread.submit(int).result(20)
        for future in [controller._performer._slow.submit(int) for _ in range(8)]:
            future.result(20)
        passed(controller.grid.loop)
    until(lambda: not controller._stale)
    passed(controller.grid.loop)


def passed(loop):
    """Wait until the loop has done what it was given before."""
    done = threading.Event()
    loop.call(done.set)
    assert done.wait(20)


class Hand:
    """Sends what a view would send; gives the answer."""

    def __init__(self, panel, frontend, sent):
        self.panel, self.frontend, self.sent = panel, frontend, sent
        self.view = panel._shell.view
        self.count = 0

    def __call__(self, op, **fields):
        self.count += 1
        ref = f"t{self.count}"
        self.frontend.send(self.view, op=op, ref=ref, **fields)
        until(lambda: self.answer(ref))
        return self.answer(ref)

    def answer(self, ref):
        contents = [data.get("content") for kind, data in list(self.sent) if kind == "comm_msg"]
        return next((c for c in contents if isinstance(c, dict) and c.get("ref") == ref), None)
