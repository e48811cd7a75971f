"""A run that stopped in the middle is offered once nobody drives it: to a person in a notebook, and to nobody else."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nadg_kernel import Grid, Plan
from nadg_kernel.model import RunState
from nadg_kernel.offers import Offer, Offers, find_offers, resumable
from nadg_kernel.settings import Settings
from nadg_kernel.stores.base import RunRow
from nadg_kernel.stores.owners import this_owner
from nadg_kernel.stores.sqlite import SqliteStore

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ROW = RunRow(
    run_id="r",
    command="c",
    state=RunState.RUNNING,
    plan_digest="d",
    epoch=1,
    owner={"pid": 1},
    heartbeat_at=NOW,
    created_at=NOW,
)


@pytest.mark.parametrize(
    ("changes", "dead", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({}, None, False),
        ({"heartbeat_at": NOW - timedelta(seconds=60)}, None, True),
        ({"heartbeat_at": NOW - timedelta(days=1)}, False, False),
        ({"heartbeat_at": None}, None, True),
        ({"state": RunState.PAUSED}, False, False),
        ({"state": RunState.PAUSED}, True, True),
        ({"state": RunState.INTERRUPTED}, False, True),
        ({"owner": None}, False, True),
    ],
)
def test_only_what_nobody_drives(changes, dead, expected):
    assert resumable(replace(ROW, **changes), NOW, lambda _owner: dead) is expected


def dead_owner():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return replace(this_owner(), pid=gone.pid, started=1.0)


PLAN = Plan(command="<b>score</b> the reviews").add(id="a", code="result = 1").add(id="b", code="result = 2")


@pytest.fixture
async def store(tmp_path):
    store = SqliteStore(tmp_path / "nadg.db")
    await store.open()
    yield store
    await store.close()


async def test_what_is_found(store):
    await store.create_run("mine", PLAN, this_owner())
    await store.create_run("left", PLAN, dead_owner())
    await store.create_run("tried", PLAN, dead_owner(), rehearsal=True)
    (found,) = await find_offers(store)
    assert (found.run_id, found.done, found.total) == ("left", 0, 2)
    later = datetime.now(UTC) + timedelta(days=30)
    assert not await find_offers(store, now=later)
    assert len(await find_offers(store, since=None, now=later)) == 1


def test_how_it_looks():
    offer = Offer(run_id="r1", command="<b>x</b>\n" * 50, done=3, total=5, state="running", created_at=NOW)
    shown = Offers((offer,))._repr_mimebundle_()
    assert shown["text/plain"].startswith("a run stopped with 3 of 5 subtasks done (<b>x</b>")
    assert shown["text/plain"].endswith('to go on: grid.resume("r1")')
    assert "\n" not in shown["text/plain"]
    assert "<b>" not in shown["text/html"]
    many = Offers((offer,) * 5)
    assert str(many).splitlines()[-1] == "2 more: grid.unfinished()"
    assert (str(Offers()), bool(Offers())) == ("", False)


class Shell:
    kernel = None

    def __init__(self):
        self.shown = []


def test_a_notebook_shows_it_and_nothing_else_does(tmp_path, monkeypatch, capsys):
    import IPython
    import IPython.display

    shell = Shell()
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    monkeypatch.setattr(IPython.display, "display", shell.shown.append)
    settings = Settings(home=tmp_path, local_workers=0)
    with Grid(settings=settings) as grid:
        assert shell.shown == [], "nothing to offer, nothing said"
        grid.loop.run(grid.store.create_run("left", PLAN, dead_owner()))
    with Grid(settings=settings):
        ((offers,),) = (shell.shown,)
        assert [offer.how for offer in offers] == ['grid.resume("left")']
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    with Grid(settings=settings) as grid:
        assert len(shell.shown) == 1
        assert [offer.run_id for offer in grid.offers()] == ["left"]
    assert capsys.readouterr() == ("", "")
