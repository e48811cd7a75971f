"""Which store the settings mean: the embedded journal, or the same with Supabase as its replica."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg_kernel.errors import MissingExtra, SettingsError
from nadg_kernel.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from nadg_kernel.settings import Settings
    from nadg_kernel.stores.replica import ReplicaState, ReplicatedStore


def make_store(settings: Settings, notify: Callable[[ReplicaState], None]) -> SqliteStore | ReplicatedStore:
    """The store for these settings; `notify` hears, on the loop, when Supabase goes away and is back.

    Raises SettingsError where only one of the two Supabase settings is there, MissingExtra without its package.
    """
    local = SqliteStore(settings.home / "nadg.db")
    if not settings.supabase_url and not settings.supabase_service_key:
        return local
    if not settings.supabase_url or not settings.supabase_service_key:
        lacking = "SUPABASE_SERVICE_KEY" if settings.supabase_url else "SUPABASE_URL"
        message = f"{lacking} is not set: Supabase needs both SUPABASE_URL and SUPABASE_SERVICE_KEY, SQLite neither"
        raise SettingsError(message)
    try:
        from nadg_kernel.stores.supabase import SupabaseStore
    except ImportError as error:
        raise MissingExtra("supabase", "supabase") from error
    from nadg_kernel.stores.replica import ReplicatedStore

    remote = SupabaseStore(settings.supabase_url, settings.supabase_service_key.reveal())
    return ReplicatedStore(local, remote, notify=notify)
