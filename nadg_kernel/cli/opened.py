"""The store and its registry for one command: no grid, so no worker starts and nobody is watched."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from nadg_kernel.deploy.access import SpaceAccess
from nadg_kernel.errors import StoreError
from nadg_kernel.registry import Registry
from nadg_kernel.stores.making import make_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nadg_kernel.settings import Settings
    from nadg_kernel.stores.replica import ReplicaState, ReplicatedStore
    from nadg_kernel.stores.sqlite import SqliteStore


class Opened:
    """An open store. `away` says why Supabase, where it is set, does not answer; empty while it does."""

    def __init__(self, settings: Settings) -> None:
        """Make the store; `opened` opens it. Raises SettingsError, MissingExtra."""
        self.away = ""
        self.store: SqliteStore | ReplicatedStore = make_store(settings, self._changed)
        self.registry = Registry(self.store, settings.grid_secret, SpaceAccess(settings))

    def require(self, done: str) -> None:
        """Raise StoreError where Supabase is away: what this process alone knows would be lost when it ends."""
        if self.away:
            message = f"{done}: {self.away}"
            raise StoreError(message)

    def _changed(self, state: ReplicaState) -> None:
        self.away = "" if state.ok else state.reason or "Supabase does not answer"


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Opened]:
    """Open the store for a block. Raises SettingsError, StoreError that say what to do."""
    made = Opened(settings)
    await made.store.open()
    try:
        yield made
    finally:
        await made.store.close()
