"""Retention: old runs go, and with them the blobs that nothing refers to any more."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from nadg_kernel.errors import SettingsError

if TYPE_CHECKING:
    from nadg_kernel.stores.blobs import BlobStore
    from nadg_kernel.stores.replica import ReplicatedStore
    from nadg_kernel.stores.sqlite import SqliteStore

_AGE = re.compile(r"(\d{1,6})([hdwy])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1), "y": timedelta(days=365)}
LONGEST = timedelta(days=365 * 100)
YOUNGEST_BLOB = timedelta(hours=1)
"""A younger blob may belong to an event that is about to be written, or to data attached to a draft."""


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What was deleted. `counts` by table, as the store gives them; `size` of the blobs in bytes."""

    counts: Mapping[str, int] = field(default_factory=dict)
    blobs: int = 0
    size: int = 0


def parse_age(text: str, name: str) -> timedelta:
    """An age such as 12h, 30d, 8w or 1y. Raises SettingsError that names where it came from."""
    found = _AGE.fullmatch(text.strip().lower())
    if found is None or (age := int(found[1]) * _UNITS[found[2]]) > LONGEST:
        message = f"{name} is a number of hours, days, weeks or years such as 12h, 30d, 8w or 1y, not {text[:40]!r}"
        raise SettingsError(message)
    return age


async def prune(
    store: SqliteStore | ReplicatedStore, blobs: BlobStore, age: timedelta, *, results_only: bool = False
) -> Pruned:
    """Delete runs (or only their results) that ended longer ago than `age`, then blobs that are as old and unused.

    Raises StoreError: with Supabase configured it has to be there, as both are pruned.
    """
    now = datetime.now(UTC)
    counts = await store.prune(now - age, results_only=results_only)
    needed = await store.referenced()
    # A blob that was put again since has a new time, and stays.
    oldest = now - max(age, YOUNGEST_BLOB)
    count, size = await asyncio.to_thread(blobs.sweep, needed.__contains__, older_than=oldest)
    return Pruned(counts=counts, blobs=count, size=size)
