"""Budget: how much a run may spend on models and time before it stops by itself and asks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from nadg_kernel.errors import SettingsError
from nadg_kernel.model import EventType

if TYPE_CHECKING:
    from datetime import datetime

    from nadg_kernel.model import Event, Plan


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a run may take; None is without limit. Reached, what has not started is held, and what runs may end.

    `model_calls` and `tokens` (sent and answered) count attempts of prompt subtasks, `seconds` the time it ran.
    """

    model_calls: int | None = None
    tokens: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no budget can be."""
        for name in (spec.name for spec in fields(self)):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0):
                message = f"a budget's {name} is a number from 0, not {value!r}"
                raise SettingsError(message)

    def to_json(self) -> dict[str, int | float | None]:
        """As the journal keeps it."""
        return {spec.name: getattr(self, spec.name) for spec in fields(self)}


class Spending:
    """What a run has spent so far, by its events."""

    def __init__(self, plan: Plan) -> None:
        """Nothing yet."""
        self.plan = plan
        self.model_calls = self.prompt_tokens = self.output_tokens = 0
        self._ran_s = 0.0
        self._since: datetime | None = None

    @property
    def tokens(self) -> int:
        """Sent and answered."""
        return self.prompt_tokens + self.output_tokens

    def seconds(self, at: datetime) -> float:
        """Time that it ran until then, pauses left out."""
        now_s = 0.0 if self._since is None else (at - self._since).total_seconds()
        return self._ran_s + max(0.0, now_s)

    def apply(self, event: Event) -> None:
        """Take one event in."""
        if event.type is EventType.RUN_STARTED:
            self._since = self._since or event.at
        elif event.type is EventType.RUN_ENDED:
            self._ran_s, self._since = self.seconds(event.at), None
        elif event.type is EventType.ATTEMPT_INTENDED and self._asks_a_model(event):
            self.model_calls += 1
        elif event.type is EventType.ATTEMPT_ENDED:
            usage = event.payload.get("usage") or {}
            self.prompt_tokens += int(usage.get("prompt_tokens") or 0)
            self.output_tokens += int(usage.get("output_tokens") or 0)

    def over(self, budget: Budget, at: datetime) -> str:
        """Which limit is reached, in words; empty: none."""
        if budget.model_calls is not None and self.model_calls >= budget.model_calls:
            return f"the budget of {budget.model_calls:,} model calls is used up"
        if budget.tokens is not None and self.tokens >= budget.tokens:
            return f"the budget of {budget.tokens:,} tokens is used up ({self.tokens:,} spent)"
        if budget.seconds is not None and self.seconds(at) >= budget.seconds:
            return f"the budget of {budget.seconds:g} s is used up"
        return ""

    def _asks_a_model(self, event: Event) -> bool:
        return event.subtask in self.plan.ids and self.plan[event.subtask].kind == "prompt"
