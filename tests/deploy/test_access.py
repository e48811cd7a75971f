"""The Hub's token goes to the Hub and to private Spaces of the person's own, whatever a row says."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from nadg_kernel.cli.opened import opened
from nadg_kernel.deploy.access import SpaceAccess
from nadg_kernel.deploy.shipment import pack
from nadg_kernel.engines.base import WorkerHealth
from nadg_kernel.errors import DeployError
from nadg_kernel.fleet import Fleet
from nadg_kernel.settings import Secret
from nadg_kernel.stores.base import WorkerRow
from tests.support.fake_hub import TOKEN

from .conftest import PACE, SECRET

BEARER = f"Bearer {TOKEN}"
NAME = "ann/worker-1"


@pytest.fixture
def mine(hub):
    """A private Space of the person's."""
    return hub.add(NAME, private=True, stages=["RUNNING"], variables={"WORKER_ID": "w"})


@pytest.fixture
def theirs(hub):
    """A public Space of somebody else's, which would like to know the token."""
    return hub.add("eve/trap", stages=["RUNNING"])


def row(url, **details):
    return WorkerRow(worker_id="w", url=url, details=details)


async def test_a_private_space_gets_both_tokens_in_their_own_headers(hub, here):
    await here.deployer.deploy(pack(NAME, private=True), pace=PACE)
    space = hub.spaces[NAME]
    assert space.visits != []
    assert {visit.bearer for visit in space.visits} == {BEARER}
    assert {(visit.path, visit.token) for visit in space.visits} == {
        ("/health", None),
        ("/status", space.secrets["NADG_AUTH_TOKEN"]),
    }


async def test_a_public_space_gets_only_its_own(hub, here):
    await here.deployer.deploy(pack(NAME), pace=PACE)
    assert {visit.bearer for visit in hub.spaces[NAME].visits} == {None}


HOSTILE = {
    "its own Space": lambda mine, theirs: row(theirs.origin, space="eve/trap", private=True),
    "my Space's name at its address": lambda mine, theirs: row(theirs.origin, space=NAME, private=True),
    "its address as a name": lambda mine, theirs: row(theirs.origin, space=f"{mine.origin}/{NAME}", private=True),
    "a path out of the name": lambda mine, theirs: row(theirs.origin, space=f"{NAME}/../../eve/trap", private=True),
    "no name": lambda mine, theirs: row(theirs.origin, private=True),
    "a name that is no text": lambda mine, theirs: row(theirs.origin, space=[NAME], private=True),
    "a Space that is not there": lambda mine, theirs: row(theirs.origin, space="ann/unheard-of", private=True),
    "truth of another kind": lambda mine, theirs: row(mine.origin, space=NAME, private="true"),
    "not said to be private": lambda mine, theirs: row(mine.origin, space=NAME),
}  # fmt: skip


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_row_gets_nothing(hub, settings, mine, theirs, make):
    async with opened(settings) as here:
        await here.store.upsert_workers([make(mine, theirs)])
        (beat,) = await here.registry.heartbeat(tokens=True)
        assert beat.takes_token is not True
    assert [visit for space in (mine, theirs) for visit in space.visits if visit.bearer] == []
    assert {asked.token for asked in hub.asked} <= {TOKEN}


async def test_a_private_space_of_another_person_that_i_may_see_gets_nothing(hub, settings):
    shown = hub.add("eve/shared", private=True, stages=["RUNNING"])
    hub.people[TOKEN].orgs = ("eve",)  # the Hub would show it
    access = SpaceAccess(settings)
    assert await access.bearer(row(shown.origin, space="eve/shared", private=True)) == Secret(TOKEN), "an organisation"
    hub.people[TOKEN].orgs = ()
    with pytest.raises(DeployError, match="is not of ann"):
        await SpaceAccess(settings).bearer(row(shown.origin, space="eve/shared", private=True))


@pytest.mark.parametrize(
    ("url", "concerned"),
    [
        ("https://ann-worker-1.hf.space", True),
        ("https://ANN-worker-1.hf.space:443/", True),
        ("https://ann-worker-1.hf.space.evil.example", False),
        ("https://evilhf.space", False),
        ("https://hf.space", False),
        ("https://ann-worker-1.hf.space:8443", False),
        ("http://ann-worker-1.hf.space", False),
        ("https://ann-worker-1.hf.space@evil.example", False),
        ("https://ann-worker-1.hf.space/x", False),
        ("http://127.0.0.1:1", False),
        ("nonsense", False),
    ],
)
def test_which_addresses_it_could_go_to_at_all(settings, url, concerned):
    """With the real Hub: a loopback address only counts where the Hub itself is a stand-in on loopback."""
    access = SpaceAccess(replace(settings, hf_endpoint=""))
    assert access.concerns(row(url, space=NAME, private=True)) is concerned


async def test_without_a_token_the_reason_says_so(settings, mine):
    async with opened(replace(settings, hf_token=None)) as here:
        await here.store.upsert_workers([row(mine.origin, space=NAME, private=True)])
        (beat,) = await here.registry.heartbeat()
    assert (beat.status, "is a private Space: set HF_TOKEN" in beat.reason) == ("offline", True)
    assert mine.visits == []


async def test_a_space_that_became_public_says_what_to_do(settings, mine):
    mine.private = False
    with pytest.raises(DeployError, match="is public now: run nadg deploy ann/worker-1 again"):
        await SpaceAccess(settings).bearer(row(mine.origin, space=NAME, private=True))


async def test_the_hub_is_asked_once(hub, settings, mine):
    other = hub.add("lab/worker-2", private=True, stages=["RUNNING"])
    access = SpaceAccess(settings)
    rows = [row(mine.origin, space=NAME, private=True), row(other.origin, space="lab/worker-2", private=True)]
    for _ in range(2):
        assert await asyncio.gather(*map(access.bearer, rows)) == [Secret(TOKEN)] * 2
    asked = sorted(hub.paths("GET"))
    assert asked == [f"/api/spaces/{NAME}", "/api/spaces/lab/worker-2", "/api/whoami-v2"]


async def test_a_fleet_uses_a_private_space_once_the_hub_confirms_it(hub, settings, mine, theirs, tmp_path):
    async with opened(settings) as here:
        await here.store.upsert_workers(
            [
                replace(row(mine.origin, space=NAME, private=True), worker_id="mine"),
                replace(row(theirs.origin, space=NAME, private=True), worker_id="trap"),
            ]
        )
        mine.secrets["NADG_AUTH_TOKEN"] = (await here.registry.token("mine")).reveal()
        fleet = Fleet(
            local=0, home=tmp_path, blobs=None, store=here.store, secret=Secret(SECRET), spaces=SpaceAccess(settings)
        )
        refused = asyncio.Event()
        fleet.subscribe(lambda states: refused.set() if any("the Hub says" in s.reason for s in states) else None)
        task = asyncio.create_task(fleet.start())
        assert await fleet.wait_ready(1, 30)
        await asyncio.wait_for(refused.wait(), 30)
        states = {state.worker_id: state.health for state in fleet.engine.snapshot()}
        assert states == {"mine": WorkerHealth.READY, "trap": WorkerHealth.OFFLINE}
        fleet.drop("trap")
        await fleet.close()
        task.cancel()
    assert theirs.visits == []
    assert {visit.bearer for visit in mine.visits} == {BEARER}
    assert TOKEN not in repr(fleet.engine.snapshot())
