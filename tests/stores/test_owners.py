from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from nadg_kernel.stores import owners
from nadg_kernel.stores.owners import is_dead, started, this_owner


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    process.stdin.close()


def test_this_process_lives():
    owner = this_owner("my notebook")
    assert (owner.name, owner.pid) == ("my notebook", os.getpid())
    assert is_dead(owner.to_json()) is False
    assert str(os.getpid()) in this_owner().name


def test_a_process_that_ended_is_dead_even_as_a_zombie(child):
    owner = replace(this_owner(), pid=child.pid, started=started(child.pid)).to_json()
    assert is_dead(owner) is False
    child.kill()
    if hasattr(os, "waitid"):
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet reaped
    else:
        child.wait()
    assert is_dead(owner) is True
    child.wait()
    assert is_dead(owner) is True


def test_a_reused_pid_is_another_process(child):
    owner = replace(this_owner(), pid=child.pid, started=started(child.pid) - 60)
    assert is_dead(owner.to_json()) is True


def test_another_boot_is_dead(monkeypatch):
    monkeypatch.setattr(owners, "boot_id", lambda: "now")
    assert is_dead({**this_owner().to_json(), "boot_id": "before"}) is True


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"pid": None}, {"pid": "x"}])
def test_what_cannot_be_known(change):
    assert is_dead({**this_owner().to_json(), **change}) is None


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("Tue Nov 24 22:47:52 2026     S+  \n", 1795560472.0),
        ("Sun Mar  1 00:00:00 2026     Ss\n", 1772323200.0),
        ("Tue Nov 24 22:47:52 2026     Z\n", None),
        ("", None),
    ],
)
def test_what_ps_says_on_macos(output, expected):
    assert owners._read_ps(output) == expected
