"""Repaints: what nobody waits for leaves room for the answers to the person."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nadg_kernel.panel import controller as paced
from nadg_kernel.panel.controller import ANSWER_S, PUSH_S, PUSHES, Controller


@pytest.fixture
def made(monkeypatch, tmp_path):
    """A controller whose clock stands still, what it puts off, and the answers of each repaint."""
    later, shown = [], []
    loop = SimpleNamespace(
        later=lambda seconds, call: later.append((seconds, call)), call=lambda call, *args: call(*args)
    )
    grid = SimpleNamespace(
        loop=loop, settings=SimpleNamespace(home=tmp_path), on_workers=lambda _listener: lambda: None
    )
    screen = SimpleNamespace(show=lambda _state, answers: shown.append(len(answers)), reply=shown.append)
    monkeypatch.setattr(paced.time, "monotonic", lambda: 100.0)
    controller = Controller(grid, {}, screen)
    yield controller, later, shown
    controller.close()


def test_what_follows_an_answer_waits_longer_than_what_follows_nothing(made):
    controller, later, shown = made
    controller._changed()
    assert (later.pop()[0], shown) == (PUSH_S, [0])
    controller.receive({"op": "dismiss", "ref": "1"})
    assert (later.pop()[0], shown) == (ANSWER_S, [0, 1])


def test_an_answer_without_room_goes_as_soon_as_there_is_some(made, monkeypatch):
    controller, later, shown = made
    for number in range(PUSHES + 2):
        controller.receive({"op": "dismiss", "ref": str(number)})
    assert shown == [1] * PUSHES
    waits = [entry for entry in later if entry[0] == 1]
    assert len(waits) == 1
    monkeypatch.setattr(paced.time, "monotonic", lambda: 101.0)
    waits[0][1]()
    assert shown == [1] * PUSHES + [2]
