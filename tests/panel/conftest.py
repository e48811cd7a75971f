"""Widgets without a browser: a comm that records what is sent and plays back what a front end sends."""

from __future__ import annotations

import functools

import ipywidgets
import pytest

from nadg_kernel.panel import Panel
from nadg_kernel.panel.records import Step
from tests.panel.fake_grid import FakeGrid
from tests.panel.hand import Hand, settle, until
from tests.panel.scenes import COMMAND, ONE, REVIEWS, TWO, Scripted

SENT = []
"""Every message that the kernel side sends, as (type, data)."""


@functools.cache
def new_comm():
    """What ipywidgets 8 makes."""
    from comm.base_comm import BaseComm

    class NewComm(BaseComm):
        def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
            SENT.append((msg_type, data))

    return NewComm


@functools.cache
def old_comm():
    """What ipywidgets 7 makes instead: a comm of ipykernel with a kernel, of which it only asks whether it is there."""
    from ipykernel.comm import Comm
    from ipykernel.kernelbase import Kernel

    class NoKernel(Kernel):
        shell = None

    class OldComm(Comm):
        def __init__(self, **options):
            super().__init__(kernel=NoKernel.instance(), **options)

        def open(self, data=None, metadata=None, buffers=None):
            self._publish_msg("comm_open", data)

        def _publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
            SENT.append((msg_type, data))

        publish_msg = _publish_msg  # its name since ipykernel 7

    return OldComm


@pytest.fixture
def sent(monkeypatch):
    """All messages to the front end, as (type, data)."""
    SENT.clear()
    if hasattr(ipywidgets.widgets.widget, "Comm"):  # ipywidgets 7, beside which there need be no package comm
        monkeypatch.setattr(ipywidgets.widgets.widget, "Comm", old_comm())
    else:
        monkeypatch.setattr("comm.create_comm", new_comm())
    return SENT


@pytest.fixture
def frontend(sent):
    """What a browser does: `set` a trait, `send` a custom message, `click` a button."""

    class Frontend:
        def set(self, widget, **state):
            self._deliver(widget, {"method": "update", "state": state})

        def send(self, widget, **content):
            self._deliver(widget, {"method": "custom", "content": content})

        def click(self, button):
            self.send(button, event="click")

        def _deliver(self, widget, data):
            # `buffers` is not optional: without it ipywidgets swallows the error and a test proves nothing
            message = {"content": {"comm_id": widget.comm.comm_id, "data": data}, "buffers": []}
            widget.comm.handle_msg(message)

    return Frontend()


@pytest.fixture
def make(sent, tmp_path):
    """A panel over a fake grid with a scripted planner."""
    made = []

    def build(*subtasks, namespace=None, error=None, **options):
        grid = FakeGrid(tmp_path, planner=Scripted(*(subtasks or (ONE, TWO)), error=error), **options)
        panel = Panel(grid, {"reviews": REVIEWS} if namespace is None else namespace)
        made.append((grid, panel))
        until(lambda: panel.state.workers or not grid.states)
        return panel

    yield build
    for grid, panel in made:
        panel.close()
        grid.close()
        assert not grid.loop.errors


@pytest.fixture
def drafted(make, frontend, sent):
    """A panel on its Review page, and the hand on it."""

    def build(*subtasks, **options):
        panel = make(*subtasks, **options)
        hand = Hand(panel, frontend, sent)
        hand("draft", command=COMMAND)
        until(lambda: panel.state.step is Step.REVIEW)
        settle(panel)
        return panel, hand

    return build
