"""Runs code that nobody vouches for, confined as far as the system allows, and says how far that is."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.base import Sandbox


def make_sandbox(*, preload: Iterable[str] = ("numpy", "pandas"), capacity: int = 8) -> Sandbox:
    """The strongest sandbox that this system has. It is weak, and says so, where fork is missing or unsafe."""
    if platform.system() == "Linux":
        from sandbox.forkserver import ForkServer

        return ForkServer(preload=preload, capacity=capacity)
    from sandbox.spawn import SpawnPool

    return SpawnPool(preload=preload, capacity=capacity)
