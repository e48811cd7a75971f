"""A Hub on this machine, an account on it, and a registry to deploy into."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from nadg_kernel.cli.opened import opened
from nadg_kernel.deploy.deploying import Deployer
from nadg_kernel.deploy.hub import Hub
from nadg_kernel.deploy.waiting import Pace
from nadg_kernel.registry import Registry
from nadg_kernel.settings import Secret, Settings
from tests.support.fake_hub import TOKEN, FakeHub

SECRET = "g" * 32
PACE = Pace(most=30, look=0.01, settle=10)


@pytest.fixture
def hub():
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def settings(hub, tmp_path):
    return Settings(home=tmp_path / "home", grid_secret=Secret(SECRET), hf_token=Secret(TOKEN), hf_endpoint=hub.url)


@dataclass
class Here:
    """A deployer with its registry, and what it reported."""

    deployer: Deployer
    registry: Registry
    said: list[str]
    asked: list[str] = field(default_factory=list)
    answer: bool | None = None


@pytest.fixture
async def here(settings) -> AsyncIterator[Here]:
    async with opened(settings) as place:
        said: list[str] = []
        made = Here(Deployer(Hub.of(settings), place.registry, report=said.append), place.registry, said)
        yield made
