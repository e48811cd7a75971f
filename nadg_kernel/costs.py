"""Cost: what running a plan will take, said before anybody approves it; what is not known is said to be so."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nadg_kernel.estimates import Estimate
from nadg_kernel.planners.preview import tokens_of

if TYPE_CHECKING:
    from nadg_kernel.model import Plan, Subtask


@dataclass(frozen=True, kw_only=True)
class PromptCost:
    """One prompt subtask: calls (one a shard) and tokens that all of them send. None is not known yet."""

    calls: int | None
    prompt_tokens: int | None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a plan will take. `time` has the seconds and what they rest on; None is unknown, never guessed."""

    subtasks: int
    time: Estimate
    prompts: Mapping[str, PromptCost] = field(default_factory=dict)
    counted_by: str = ""
    """The model that counted the tokens of the prompts' own words; empty: estimated from their length."""
    planning: Mapping[str, int] = field(default_factory=dict)
    """What the draft took, as the planner's provider counted: calls, prompt_tokens, answer_tokens."""

    @property
    def shards(self) -> int | None:
        """Shards in all; None where that depends on results."""
        return _sum(self.time.shards.values())

    @property
    def model_calls(self) -> int | None:
        """Calls of a model that the run makes; None where that depends on results."""
        return _sum(item.calls for item in self.prompts.values())

    @property
    def prompt_tokens(self) -> int | None:
        """Tokens that the run sends to models; None where that depends on results."""
        return _sum(item.prompt_tokens for item in self.prompts.values())

    @property
    def seconds(self) -> float | None:
        """Seconds of the whole run on the workers that are ready."""
        return self.time.total

    @property
    def tokens_text(self) -> str:
        """Calls and tokens of the run's models in words; empty where it asks none."""
        if not self.prompts:
            return ""
        calls = "model calls unknown" if self.model_calls is None else _counted(self.model_calls, "model call")
        how = f"their words counted by {self.counted_by}" if self.counted_by else "estimated from their length"
        sent = self.prompt_tokens
        tokens = "tokens unknown until results exist" if sent is None else f"about {sent:,} tokens to send, {how}"
        return f"{calls} ({tokens}; answers come on top)"

    @property
    def time_text(self) -> str:
        """The time in words."""
        about = f"about {_duration(self.seconds)}" if self.seconds is not None else "time unknown"
        return f"{about} ({self.time.basis})" if self.time.basis else about

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it, a fact a line."""
        known = "" if self.shards is None else _counted(self.shards, "shard")
        out = [f"{_counted(self.subtasks, 'subtask')}, {known or 'shards unknown until results exist'}", self.time_text]
        out.append(self.tokens_text or "no model is asked while it runs")
        if self.planning:
            used = self.planning.get("prompt_tokens", 0) + self.planning.get("answer_tokens", 0)
            out.append(f"the draft took {_counted(self.planning.get('calls', 0), 'call')} and {used:,} tokens")
        return tuple(out)

    def __str__(self) -> str:
        """It as plain text."""
        return "\n".join(self.lines)

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in self.lines)
        return {"text/plain": str(self), "text/html": f"<ul>{items}</ul>"}


def cost(plan: Plan, time: Estimate, words: Mapping[str, int], counted_by: str = "") -> Cost:
    """The cost of a plan. `words`: tokens of each prompt subtask's own text, without what its inputs fill in."""
    usage = plan.planner.get("usage")
    return Cost(
        subtasks=len(plan),
        time=time,
        prompts={
            item.id: _prompt(plan, item, time.shards.get(item.id), words.get(item.id))
            for item in plan.subtasks
            if item.kind == "prompt"
        },
        counted_by=counted_by,
        planning={name: int(value) for name, value in usage.items()} if isinstance(usage, dict) else {},
    )


def _prompt(plan: Plan, item: Subtask, calls: int | None, words: int | None) -> PromptCost:
    """A map's source is spread over its calls; every other input goes with each."""
    own = tokens_of(len(item.code)) if words is None else words
    if calls is None:
        return PromptCost(calls=None, prompt_tokens=None)
    total = own * calls
    for name in item.inputs:
        schema = plan.data.get(name)
        if schema is None or schema.size is None:
            return PromptCost(calls=calls, prompt_tokens=None)  # a result that does not exist yet
        spread = item.map is not None and item.map.over == name
        total += tokens_of(schema.size) * (1 if spread else calls)
    return PromptCost(calls=calls, prompt_tokens=total)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _sum(values: Any) -> int | None:
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "a second"
    if seconds < 90:  # noqa: PLR2004 - seconds that still read well
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004 - 90 minutes
