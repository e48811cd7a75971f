"""One attempt under way, and its output on its way to the journal, at most so many times a second."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nadg_kernel.engines.base import AttemptSpec
from nadg_kernel.runner.journal import About

if TYPE_CHECKING:
    from nadg_kernel.engines.base import AttemptEvent

OUTPUT_EVERY_S = 0.1
"""An attempt's output and progress reach the journal at most ten times a second."""


class Output:
    """What an attempt said since it was last asked: text put together, of the progress only the last."""

    def __init__(self) -> None:
        """Nothing was said."""
        self.ready_at = float("-inf")
        self._pending: dict[str, Any] = {}

    def __bool__(self) -> bool:
        """Whether there is something to take."""
        return bool(self._pending)

    def add(self, event: AttemptEvent) -> None:
        """Take in stdout, stderr, progress, display or gap."""
        pending, data = self._pending, event.data
        pending["event_id"] = event.id
        if event.type in {"stdout", "stderr"}:
            pending[event.type] = pending.get(event.type, "") + str(data.get("text") or "")
        elif event.type == "progress":
            pending |= {"fraction": data.get("fraction"), "text": data.get("text") or ""}
        elif event.type == "display":
            pending.setdefault("displays", []).append(dict(data))
        elif event.type == "gap":
            pending["stderr"] = pending.get("stderr", "") + f"\n[{data.get('lost')} events were lost on the way]\n"

    def take(self, now: float) -> dict[str, Any]:
        """The payload of one `attempt_progress`; the next is due a moment later."""
        payload, self._pending = self._pending, {}
        self.ready_at = now + OUTPUT_EVERY_S
        return payload


@dataclass(slots=True, eq=False)
class Flight:
    """One attempt that has not ended, as its runner sees it. `began` is on the loop's clock."""

    spec: AttemptSpec
    began: float
    reattached: bool = False
    after_id: int = 0
    task: asyncio.Task[None] | None = None
    output: Output = field(default_factory=Output)
    over: bool = False
    kill_by: float | None = None
    """When to stop waiting for the end of an attempt that was cancelled."""

    @property
    def about(self) -> About:
        """What its events are about."""
        return About(self.spec.subtask, self.spec.shard, self.spec.attempt_id)
