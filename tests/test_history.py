"""Frames come in batches, and a person who waits sees how far they are."""

from __future__ import annotations

import re
from concurrent.futures import Future
from threading import Timer

import pandas as pd

from nadg_kernel import history


def test_a_quick_frame_is_given_at_once(capsys):
    future: Future = Future()
    future.set_result(pd.DataFrame({"a": [1]}))
    assert len(history.wait_shown(future, history.Seen(), "runs")) == 1
    assert capsys.readouterr().out == ""


def test_a_slow_frame_counts_its_rows(capsys, monkeypatch):
    monkeypatch.setattr(history, "MOMENT_S", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("TERM", "xterm")
    future: Future = Future()
    seen = history.Seen()
    seen.rows = 12_345
    Timer(0.5, future.set_result, [pd.DataFrame({"a": [1, 2]})]).start()
    assert len(history.wait_shown(future, seen, "attempts")) == 2
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out)
    assert "reading attempts: 12,345 rows" in shown
