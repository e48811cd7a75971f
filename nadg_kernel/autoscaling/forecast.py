"""Forecast: what autoscaling would do now, for a person to read before it is turned on."""

from __future__ import annotations

import html
from dataclasses import dataclass

from nadg_kernel.autoscaling.policy import Action, Autoscale, Demand, Member


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What would be started and stopped, and what that rests on. `enabled` says whether it is being done."""

    limits: Autoscale
    demands: tuple[Demand, ...]
    members: tuple[Member, ...]
    actions: tuple[Action, ...]
    obstacle: str = ""
    enabled: bool = False

    @property
    def lines(self) -> list[str]:
        """The forecast in sentences."""
        on = sum(member.on for member in self.members)
        waiting = sum(demand.waiting for demand in self.demands)
        head = "autoscaling is on" if self.enabled else "autoscaling is off; with these limits it would act as follows"
        out = [f"{head}: at most {self.limits.max_workers} workers, {self.limits.max_local} of them here"]
        out.append(
            f"{waiting} shards wait, {on} workers are on, {sum(member.free for member in self.members)} places free"
        )
        out += [f"{action_text(action)}: {action.reason}" for action in self.actions]
        if not self.actions:
            out.append("nothing would be started or stopped now")
        return out + ([self.obstacle] if self.obstacle else [])

    def __str__(self) -> str:
        """One line per fact."""
        return "\n".join(self.lines)

    def _repr_mimebundle_(self, **_options: object) -> dict[str, str]:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in self.lines[1:])
        return {"text/plain": str(self), "text/html": f"<p>{html.escape(self.lines[0])}</p><ul>{items}</ul>"}


def action_text(action: Action) -> str:
    """An action in a few words."""
    if action.kind == "local":
        return "start a local worker" if action.start else f"stop {action.name}"
    return f"{'wake' if action.start else 'pause'} {action.name}"
