"""Each way in which the Hub can say no: what the person reads, and that it tells what to do."""

from __future__ import annotations

import socket
from dataclasses import replace

import huggingface_hub.constants
import pytest

from nadg_kernel.deploy import calling
from nadg_kernel.deploy.deploying import Deployer
from nadg_kernel.deploy.hub import Hub
from nadg_kernel.deploy.shipment import pack
from nadg_kernel.deploy.waiting import Pace
from nadg_kernel.errors import DeployError, SettingsError
from nadg_kernel.settings import Secret
from tests.support.fake_hub import READ_TOKEN, TOKEN

from .conftest import PACE

NAME = "ann/worker-1"


async def refused(here, settings, name=NAME, *, token=TOKEN, pace=PACE, **more):
    """What a person reads when a deployment with this token is refused."""
    deployer = Deployer(Hub.of(replace(settings, hf_token=Secret(token), **more)), here.registry, report=print)
    with pytest.raises(DeployError) as caught:
        await deployer.deploy(pack(name), pace=pace)
    assert token not in str(caught.value)
    assert await here.registry.rows() == []
    return str(caught.value)


def test_without_a_token(settings):
    with pytest.raises(
        SettingsError, match=r"HF_TOKEN is not set: make a token that may write at https://hugg.*tokens"
    ):
        Hub.of(replace(settings, hf_token=None))


async def test_a_token_that_may_only_read(here, settings, hub):
    assert "may only read: make one that may write at https://" in await refused(here, settings, token=READ_TOKEN)
    assert hub.paths("POST") == []


async def test_a_token_that_nobody_knows(here, settings):
    text = await refused(here, settings, token="hf_unheardof000000000")
    assert "does not know the token in HF_TOKEN" in text
    assert "https://huggingface.co/settings/tokens" in text


async def test_somebody_elses_name(here, settings, hub):
    text = await refused(here, settings, "eve/worker-1")
    assert "is ann's, and eve/worker-1 is not: write ann/worker-1 or one of your organisations' (lab/...)" in text
    assert hub.paths("POST") == []


async def test_an_organisations_name_is_fine(here, hub):
    await here.deployer.deploy(pack("lab/worker-1"), pace=PACE)
    assert "lab/worker-1" in hub.spaces


@pytest.mark.parametrize(
    ("status", "said", "told"),
    [
        (402, "Payment required", "PRO accounts (https://huggingface.co/pro)"),
        (403, "Subscribe to PRO to create Docker Spaces", "PRO accounts (https://huggingface.co/pro)"),
        (403, "Forbidden", "it needs the right to write to ann's Spaces"),
        (409, "You already created this model repo", "the name ann/worker-1 is taken (You already created"),
        (429, "slow down", "again later"),
        (503, "maintenance", "trouble of its own (status 503 (maintenance)): try again"),
    ],
)
async def test_making_the_space_is_refused(here, settings, hub, status, said, told):
    hub.fail("POST /api/repos/create", status, said)
    text = await refused(here, settings)
    assert told in text
    if "PRO" in told:
        assert "any Docker host (docs/deploy.md)" in text


@pytest.mark.parametrize("route", ["secrets", "variables", "commit/main"])
async def test_a_fine_grained_token_without_the_right(here, settings, hub, route):
    hub.fail(f"POST /api/spaces/{NAME}/{route}", 403, "token has not the permission repo.write")
    text = await refused(here, settings)
    assert "is not allowed with the token in HF_TOKEN (token has not the permission repo.write)" in text


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub's own call
async def test_an_upload_that_is_refused_half_way(here, settings, hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    hub.lfs = frozenset({"wire.py"})
    hub.fail("PUT /lfs/.*", 403, "storage quota exceeded")
    assert "(storage quota exceeded)" in await refused(here, settings)


async def test_the_name_is_a_space_of_another_kind(here, settings, hub):
    hub.add(NAME, sdk="gradio", files={"app.py": b""})
    assert "is a gradio Space, not a worker: choose another name" in await refused(here, settings)


async def test_a_build_that_fails_shows_the_end_of_its_log(here, settings, hub):
    hub.build = ["NO_APP_FILE", "BUILDING", "BUILD_ERROR"]
    space = hub.add(NAME, variables={"WORKER_ID": "w"})
    space.logs["build"] = [f"line {n}" for n in range(100)] + ["ERROR: No matching \x1b[31mdistribution"]
    text = await refused(here, settings)
    assert "its build failed; nadg logs --build ann/worker-1 has all of the log" in text
    assert text.endswith("line 99\nERROR: No matching distribution")
    assert "line 50" not in text
    assert "line 61" in text


async def test_a_worker_that_does_not_start_shows_what_it_said(here, settings, hub):
    hub.build = ["BUILDING", "APP_STARTING", "RUNTIME_ERROR"]
    hub.add(NAME, variables={"WORKER_ID": "w"}).logs["run"] = ["ModuleNotFoundError: no module"]
    text = await refused(here, settings)
    assert "it does not start, RUNTIME_ERROR" in text
    assert text.endswith("ModuleNotFoundError: no module")


async def test_a_log_that_cannot_be_read_hides_nothing(here, settings, hub):
    hub.build = ["BUILDING", "BUILD_ERROR"]
    hub.fail(".*/logs/build", 500, "made up")
    text = await refused(here, settings)
    assert "its build failed" in text
    assert "(no log: the Hub has trouble" in text


async def test_an_error_of_before_the_update_is_not_taken_for_its_own(here, hub):
    hub.build = ["BUILD_ERROR", "BUILD_ERROR", "BUILDING", "RUNNING"]
    hub.add(NAME, variables={"WORKER_ID": "w"}, stages=["BUILD_ERROR"])
    await here.deployer.deploy(pack(NAME), pace=PACE)
    assert len(await here.registry.rows()) == 1


async def test_a_build_without_end(here, settings, hub):
    hub.build = ["BUILDING"]
    text = await refused(here, settings, pace=Pace(most=0.1, look=0.02))
    assert "was not ready after 0.1 s, it is still BUILDING" in text
    assert "nadg deploy again goes on from here" in text


async def test_a_worker_that_does_not_take_its_token(here, settings, hub):
    hub.build = ["BUILDING", "RUNNING"]
    space = hub.add(NAME, variables={"WORKER_ID": "w"})
    space.answer = lambda path, token: (200, space.health()) if path == "/health" else (401, {"error": "wrong token"})
    with pytest.raises(DeployError, match=r"does not answer as it should: worker ann-worker-1 refused.*wrong token"):
        await here.deployer.deploy(pack(NAME), pace=Pace(most=1, look=0.02, settle=0.05))
    assert await here.registry.rows() == []


async def test_a_worker_of_another_protocol(here, settings, hub):
    space = hub.add(NAME, variables={"WORKER_ID": "w"})
    health = space.health()
    space.answer = lambda path, token: (200, {**health, "protocol": 99})
    with pytest.raises(Exception, match="protocol 99"):
        await here.deployer.deploy(pack(NAME), pace=PACE)


async def test_an_id_that_another_worker_has(here, settings, hub):
    await here.registry.add("https://elsewhere.example", worker_id="ann-worker-1")
    with pytest.raises(DeployError, match="the id ann-worker-1 is another worker's: give this one another with --id"):
        await here.deployer.deploy(pack(NAME), pace=PACE)
    assert hub.spaces[NAME].commits == []


async def test_a_hub_that_cannot_be_reached(here, settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        text = await refused(here, settings, hf_endpoint=url)
    assert f"{url} cannot be reached" in text
    assert "HTTPS_PROXY" in text


async def test_a_hub_that_says_nothing(here, settings, hub, monkeypatch):
    monkeypatch.setattr(calling, "ANSWER_S", 0.2)
    hub.fail("GET /api/whoami-v2", 200, hang=True)
    assert "did not answer in 0.2 s" in await refused(here, settings)


async def test_a_hub_that_answers_with_a_web_page(here, settings, hub):
    hub.fail("GET /api/whoami-v2", 502, "<html>bad gateway</html>")
    assert "trouble of its own (status 502" in await refused(here, settings)
