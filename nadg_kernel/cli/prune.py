"""`nadg prune`: delete old runs or their results, and the blobs that nothing refers to any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nadg_kernel.cli.codes import Code
from nadg_kernel.cli.console import make_console
from nadg_kernel.cli.opened import opened
from nadg_kernel.settings import load_settings
from nadg_kernel.stores import retention
from nadg_kernel.stores.blobs import BlobStore

if TYPE_CHECKING:
    from nadg_kernel.stores.retention import Pruned


def prune(*, older_than: str, results_only: bool) -> int:
    """Delete, and say what was deleted. Raises SettingsError, StoreError."""
    age = retention.parse_age(older_than, "--older-than")
    settings = load_settings()

    async def work() -> Pruned:
        async with opened(settings) as here:
            blobs = BlobStore(settings.home / "blobs")
            return await retention.prune(here.store, blobs, age, results_only=results_only)

    done = asyncio.run(work())
    gone = ("results",) if results_only else ("runs", "attempts")
    said = ", ".join(_count(done.counts.get(what, 0), what) for what in gone)
    console = make_console()
    console.print(f"deleted {said} that ended more than {older_than} ago")
    console.print(f"deleted {_count(done.blobs, 'blobs')} that nothing refers to, {done.size / 1e6:,.1f} MB")
    return Code.OK


def _count(number: int, nouns: str) -> str:
    return f"{number:,} {nouns if number != 1 else nouns.removesuffix('s')}"
