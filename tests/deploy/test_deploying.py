"""Deployments against a Hub that speaks its API: made, updated in place, paused, woken, removed, and registered."""

from __future__ import annotations

import hashlib
import logging

import huggingface_hub.constants
import pytest

from nadg_kernel.deploy import hub as hub_module
from nadg_kernel.deploy.deploying import Deployer
from nadg_kernel.deploy.hub import Hub
from nadg_kernel.deploy.shipment import pack, worker_files
from nadg_kernel.engines.tokens import worker_token
from nadg_kernel.errors import DeployError, SettingsError
from nadg_kernel.settings import Secret
from tests.support.fake_hub import BUILD, TOKEN
from tests.worker.readme_files import present

from .conftest import PACE, SECRET

NAME = "ann/worker-1"


def sent(hub, name=NAME):
    return hub.spaces[name]


async def test_a_space_is_made_filled_awaited_and_registered(hub, here, caplog):
    caplog.set_level(logging.DEBUG)
    done = await here.deployer.deploy(pack(NAME, variables={"NADG_WORKER_LABELS": "a,b"}), pace=PACE)
    space = sent(hub)
    assert (done.worker_id, done.url, done.created, done.weak) == ("ann-worker-1", space.origin, True, False)
    assert done.layers == ("landlock", "seccomp")
    assert space.secrets == {"NADG_AUTH_TOKEN": worker_token(SECRET, space.origin, 1).reveal()}
    assert space.variables == {"WORKER_ID": "ann-worker-1", "NADG_WORKER_LABELS": "a,b"}
    assert {name for name in space.files if name != ".gitattributes"} == set(present())
    assert len(space.commits) == 1, "several commits would be several builds"
    (row,) = await here.registry.rows()
    assert (row.worker_id, row.url, row.generation) == ("ann-worker-1", space.origin, 1)
    assert row.details == {"space": NAME, "private": False}
    stages = [line.split(": ")[1].partition(" (")[0] for line in here.said if " s)" in line]
    assert stages[: len(BUILD)] == [stage.lower().replace("_", " ") for stage in BUILD]
    told = "\n".join([*here.said, repr(done), repr(row), caplog.text, repr(here.deployer.__dict__)])
    assert TOKEN not in told
    assert space.secrets["NADG_AUTH_TOKEN"] not in told
    assert SECRET not in told


async def test_nothing_runs_before_its_secret_is_set(hub, here):
    await here.deployer.deploy(pack(NAME), pace=PACE)
    posts = [path.rpartition("/spaces/ann/worker-1/")[2] for path in hub.paths("POST")]
    assert posts.index("secrets") < posts.index("variables") < posts.index("commit/main")


async def test_again_updates_in_place_and_keeps_the_generation(hub, here):
    await here.deployer.deploy(pack(NAME, worker_id="mine"), pace=PACE)
    space = sent(hub)
    space.secrets["NADG_AUTH_TOKEN"] = worker_token(SECRET, space.origin, 2).reveal()
    assert (await here.registry.rotate("mine")).done
    space.files["gone_since.py"] = b"old"
    space.files["main.py"] = b"old"
    done = await here.deployer.deploy(pack(NAME), pace=PACE)
    assert (done.created, done.worker_id) == (False, "mine")
    assert space.secrets["NADG_AUTH_TOKEN"] == worker_token(SECRET, space.origin, 2).reveal()
    assert space.files["main.py"] == worker_files()["main.py"].read_bytes()
    assert "gone_since.py" not in space.files
    assert ".gitattributes" in space.files
    (row,) = await here.registry.rows()
    assert (row.worker_id, row.generation) == ("mine", 2)
    assert len(space.commits) == 2
    assert len(hub.paths("POST")) - len([path for path in hub.paths("POST") if "create" in path]) > 4


async def test_what_was_interrupted_goes_on(hub, here):
    hub.fail("POST .*/commit/main", 500, "made up", times=1)
    with pytest.raises(DeployError, match="trouble of its own"):
        await here.deployer.deploy(pack(NAME), pace=PACE)
    assert await here.registry.rows() == []
    done = await here.deployer.deploy(pack(NAME), pace=PACE)
    assert not done.created
    assert len(sent(hub).commits) == 1


async def test_a_space_that_failed_is_started_again_though_nothing_changed(hub, here):
    await here.deployer.deploy(pack(NAME), pace=PACE)
    sent(hub).stages = ["RUNTIME_ERROR"]
    await here.deployer.deploy(pack(NAME), pace=PACE)
    assert hub.paths("POST").count(f"/api/spaces/{NAME}/restart") == 1


async def test_hardware_and_visibility_change_where_asked_for(hub, here):
    await here.deployer.deploy(pack(NAME, hardware="t4-small"), pace=PACE)
    assert (sent(hub).hardware, sent(hub).private) == ("t4-small", False)
    await here.deployer.deploy(pack(NAME, private=True, hardware="cpu-basic"), pace=PACE)
    assert (sent(hub).hardware, sent(hub).private) == ("cpu-basic", True)
    (row,) = await here.registry.rows()
    assert row.details["private"] is True
    await here.deployer.deploy(pack(NAME), pace=PACE)
    assert sent(hub).private, "nothing was asked for, nothing changes"


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub's own call
async def test_files_that_the_hub_wants_through_lfs(hub, here, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    hub.lfs = frozenset({"wire.py"})
    await here.deployer.deploy(pack(NAME), pace=PACE)
    data = worker_files()["wire.py"].read_bytes()
    assert list(hub.blobs) == [hashlib.sha256(data).hexdigest()]
    assert sent(hub).files["wire.py"] == data


async def test_a_dry_run_shows_what_is_sent_and_nothing_else(hub, here):
    shipment = pack(NAME, private=True, hardware="t4-small", variables={"NADG_WORKER_MODEL": "gemini:m"},
                    secrets={"NADG_WORKER_MODEL_KEY": Secret("made-up-model-key")})  # fmt: skip
    lines = shipment.lines(hub.url)
    assert hub.asked == []
    await here.deployer.deploy(shipment, pace=PACE)
    text, space = "\n".join(lines), sent(hub)
    assert lines[0] == f"to {hub.url}, for {NAME}:"
    assert "private, on t4-small" in lines[1]
    shown = {line.split("=")[0].split()[-1] for line in lines if " secret " in line or " variable " in line}
    assert shown == space.secrets.keys() | space.variables.keys()
    assert [value for value in space.secrets.values() if value in text] == []
    for name, value in space.variables.items():
        assert f"{name}={value}" in text
    files = {line.split()[0]: line.split()[-1] for line in lines if " sha256 " in line}
    assert files == {name: hashlib.sha256(space.files[name]).hexdigest()[:12] for name in present()}


@pytest.mark.parametrize(
    "given",
    [
        {"variables": {"NADG_AUTH_TOKEN": "x"}},
        {"secrets": {"HF_TOKEN": Secret("x")}},
        {"secrets": {"SUPABASE_SERVICE_KEY": Secret("x")}},
        {"variables": {"NADG_WORKER_MODEL_KEY": "x"}},
        {"variables": {"two words": "x"}},
    ],
)
def test_what_may_not_go_to_a_worker(given):
    with pytest.raises(SettingsError, match=next(iter(next(iter(given.values()))))):
        pack(NAME, **given)


@pytest.mark.parametrize("name", ["ann", "ann/", "/x", "ann/a b", "a/b/c", "../x", "ann/..", "ann/-x", ""])
def test_what_is_no_space(name):
    with pytest.raises(DeployError, match="write user/space"):
        pack(name)


def test_an_address_is_a_name_too():
    assert pack("https://huggingface.co/spaces/ann/worker-1").space == NAME


async def test_a_weak_sandbox_is_asked_about(hub, here, settings):
    hub.weak = True
    with pytest.raises(DeployError, match=r"is weak: landlock \(unavailable: the kernel is too old\).*--allow-weak"):
        await here.deployer.deploy(pack(NAME), pace=PACE)
    assert await here.registry.rows() == [], "it takes no work"
    questions = []
    for answer in (False, True):

        def ask(question, answer=answer):
            questions.append(question)
            return answer

        asking = Deployer(Hub.of(settings), here.registry, report=here.said.append, ask=ask)
        if answer:
            assert (await asking.deploy(pack(NAME), pace=PACE)).weak
        else:
            with pytest.raises(DeployError, match="nadg undeploy"):
                await asking.deploy(pack(NAME), pace=PACE)
    assert "landlock" in questions[0]
    assert sent(hub).variables["NADG_ALLOW_WEAK_SANDBOX"] == "1"
    assert len(await here.registry.rows()) == 1
    assert (await here.deployer.deploy(pack(NAME), pace=PACE)).weak, "an update does not ask again"


async def test_a_weak_sandbox_is_allowed_beforehand(hub, here):
    hub.weak = True
    assert (await here.deployer.deploy(pack(NAME), allow_weak=True, pace=PACE)).weak


async def test_pause_wake_and_remove(hub, here):
    await here.deployer.deploy(pack(NAME), pace=PACE)
    await here.deployer.pause(NAME)
    assert sent(hub).stage == "PAUSED"
    (beat,) = await here.registry.heartbeat()
    assert (beat.status, "paused by its owner" in beat.reason) == ("asleep", True)
    await here.deployer.wake(NAME, pace=PACE)
    (beat,) = await here.registry.heartbeat(tokens=True)
    assert (beat.status, beat.takes_token) == ("active", True)
    await here.deployer.wake(NAME, pace=PACE)
    assert hub.paths("POST").count(f"/api/spaces/{NAME}/restart") == 1, "it ran already"
    assert await here.deployer.undeploy(NAME) == ("ann-worker-1",)
    assert hub.spaces == {}
    assert await here.registry.rows() == []
    with pytest.raises(DeployError, match="there is no Space ann/worker-1"):
        await here.deployer.undeploy(NAME)


async def test_a_space_that_is_gone_is_forgotten_all_the_same(hub, here):
    await here.deployer.deploy(pack(NAME), pace=PACE)
    hub.spaces.pop(NAME).close()
    assert await here.deployer.undeploy(NAME) == ("ann-worker-1",)


async def test_what_is_no_worker_is_not_touched(hub, here, settings):
    for name, files in (("ann/demo", {"app.py": b"mine"}), ("ann/shop", {"main.py": b"", "index.html": b""})):
        hub.add(name, files=files, stages=["RUNNING"])
        with pytest.raises(DeployError, match="it is no NADG worker: choose another name"):
            await here.deployer.deploy(pack(name), pace=PACE)
        for touch in (here.deployer.undeploy, here.deployer.pause, here.deployer.wake):
            with pytest.raises(DeployError, match="no NADG worker"):
                await touch(name)
        with pytest.raises(DeployError, match="nothing is paused"):
            hub_module.pause(name, settings)
        assert hub.spaces[name].files == files
    assert {asked.method for asked in hub.asked} == {"GET"}


def test_what_an_autoscaler_calls(hub, settings):
    space = hub.add(NAME, variables={"WORKER_ID": "w"}, stages=["SLEEPING"])
    hub_module.wake(NAME, settings)
    assert space.stages == ["APP_STARTING", "RUNNING"] or space.stages[-1] == "RUNNING"
    hub_module.pause(NAME, settings)
    assert space.stage == "PAUSED"
    space.stages = ["BUILDING"]
    hub_module.wake(NAME, settings)
    assert hub.paths("POST").count(f"/api/spaces/{NAME}/restart") == 1, "it was on its way"


def test_logs_of_build_and_run(hub, settings):
    space = hub.add(NAME, variables={"WORKER_ID": "w"})
    space.logs = {"build": ["one\ntwo"], "run": [f"started with {TOKEN}"]}
    assert list(Hub.of(settings).logs(NAME, build=True)) == ["one", "two"]
    assert list(Hub.of(settings).logs(NAME)) == ["started with ***"]
