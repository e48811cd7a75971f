"""GridBase: what every part of the Grid stands on, its loop, store, registry and workers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nadg_kernel.advice import Advice
    from nadg_kernel.fleet import Fleet
    from nadg_kernel.loop import BackgroundLoop
    from nadg_kernel.planners.base import Planner
    from nadg_kernel.registry import Registry
    from nadg_kernel.settings import Settings
    from nadg_kernel.stores.blobs import BlobStore
    from nadg_kernel.stores.replica import ReplicatedStore
    from nadg_kernel.stores.sqlite import SqliteStore


class GridBase:
    """The attributes that `Grid.__init__` sets, and how background errors reach the person."""

    settings: Settings
    loop: BackgroundLoop
    store: SqliteStore | ReplicatedStore
    registry: Registry
    planner: Planner
    blobs: BlobStore
    _fleet: Fleet
    _advice: Advice

    def _tell_errors(self) -> None:
        """Show what failed in the background since the last call, where the person is now."""
        while self.loop.errors:
            error = self.loop.errors.popleft()
            warnings.warn(f"in the background: {error!r}", RuntimeWarning, stacklevel=3)
