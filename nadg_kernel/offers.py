"""Offers: runs of this machine that stopped in the middle and that nobody drives, each with the way to go on."""

from __future__ import annotations

import html
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from nadg_kernel.display import clean_text
from nadg_kernel.model import RunState
from nadg_kernel.stores.owners import STALE_S, is_dead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nadg_kernel.stores.base import RunRow, Store

SHOWN = 3
OFFERED_FOR = timedelta(days=14)
"""After that a run is listed by `grid.unfinished()` and no longer offered."""
_CHARS = 70


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A run that can be resumed. `done` of `total` subtasks have their results."""

    run_id: str
    command: str
    done: int
    total: int
    state: str
    created_at: datetime

    @property
    def line(self) -> str:
        """The offer in one line."""
        words = " ".join(clean_text(self.command, _CHARS).split())
        return f"a run stopped with {self.done} of {self.total} subtasks done ({words})"

    @property
    def how(self) -> str:
        """What to write to go on with it."""
        return f'grid.resume("{self.run_id}")'


@dataclass(frozen=True)
class Offers:
    """Runs to go on with, newest first. Shows itself as one line each, and as nothing when there are none."""

    items: tuple[Offer, ...] = ()

    def __len__(self) -> int:
        """How many."""
        return len(self.items)

    def __iter__(self) -> Iterator[Offer]:
        """The offers, newest first."""
        return iter(self.items)

    def __str__(self) -> str:
        """One line each, the older ones counted."""
        lines = [f"{item.line}; to go on: {item.how}" for item in self.items[:SHOWN]]
        return "\n".join([*lines, *self._more()])

    def _more(self) -> list[str]:
        more = len(self.items) - SHOWN
        return [f"{more} more: grid.unfinished()"] if more > 0 else []

    def _repr_mimebundle_(self, **_options: object) -> dict[str, str]:
        lines = [
            f"{html.escape(item.line)}; to go on: <code>{html.escape(item.how)}</code>" for item in self.items[:SHOWN]
        ]
        text = "<br>".join([*lines, *map(html.escape, self._more())])
        return {"text/plain": str(self), "text/html": f"<div>{text}</div>" if text else ""}


def resumable(row: RunRow, now: datetime, dead: Callable[[Mapping[str, Any]], bool | None] = is_dead) -> bool:
    """Whether a run that has not ended has nobody who drives it: let go of, or its owner is dead or long silent."""
    if row.state is RunState.INTERRUPTED or row.owner is None:
        return True
    gone = dead(row.owner)
    if gone is not None:
        return gone
    return row.heartbeat_at is None or now - row.heartbeat_at >= timedelta(seconds=STALE_S)


async def find_offers(store: Store, *, since: timedelta | None = OFFERED_FOR, now: datetime | None = None) -> Offers:
    """Runs in this machine's journal to go on with, rehearsals left out; with `since` None however old. StoreError."""
    here: Store = getattr(store, "local", store)
    moment = now or datetime.now(UTC)
    rows = [
        row
        for row in await here.unfinished()
        if not row.rehearsal and (since is None or moment - row.created_at < since) and resumable(row, moment)
    ]
    return Offers(tuple([await _offer(here, row) for row in rows]))


async def _offer(store: Store, row: RunRow) -> Offer:
    counts = [found async for batch in store.query("runs", {"run": row.run_id}) for found in batch.to_pylist()]
    done, total = (counts[0]["succeeded"], counts[0]["subtasks"]) if counts else (0, 0)
    return Offer(
        run_id=row.run_id,
        command=row.command,
        done=int(done or 0),
        total=int(total or 0),
        state=str(row.state),
        created_at=row.created_at,
    )
