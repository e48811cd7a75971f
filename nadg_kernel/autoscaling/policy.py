"""The policy: queue, load and limits in, what to start and stop out. Pure, and without a clock of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from nadg_kernel.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Kind(StrEnum):
    """What a worker is made of, as far as it can be started and stopped."""

    LOCAL = "local"
    """A process on this machine."""
    SPACE = "space"
    """A registered worker whose host lets it sleep, and starts it again when it is visited."""
    FIXED = "fixed"
    """Neither started nor stopped by us."""


@dataclass(frozen=True, kw_only=True)
class Autoscale:
    """A person's limits. Times in seconds.

    At most `max_workers` are on at a time, counting those that are on anyway, and at most `max_local` of them are
    processes here (as many as this machine has processors, if not given). Work has to have waited for `patience_s`
    before a worker is added; after that the next decision is `cool_down_s` away; one that was idle for `idle_s` is
    given back, but never below `min_workers`. Raises SettingsError for numbers that make no sense.
    """

    max_workers: int
    min_workers: int = 0
    max_local: int = field(default_factory=lambda: os.cpu_count() or 1)
    patience_s: float = 2.0
    cool_down_s: float = 15.0
    idle_s: float = 300.0

    def __post_init__(self) -> None:
        """Refuse limits that cannot be kept."""
        counts: tuple[object, ...] = (self.max_workers, self.min_workers, self.max_local)
        if not all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in counts):
            message = f"max_workers, min_workers and max_local are numbers of workers from 0 on, not {counts}"
            raise SettingsError(message)
        if self.min_workers > self.max_workers:
            message = f"min_workers ({self.min_workers}) is more than max_workers ({self.max_workers})"
            raise SettingsError(message)
        if not all(0 <= seconds < float("inf") for seconds in (self.patience_s, self.cool_down_s, self.idle_s)):
            raise SettingsError("patience_s, cool_down_s and idle_s are seconds from 0 on")


@dataclass(frozen=True, kw_only=True)
class Demand:
    """So many shards that could start now and need a worker with these labels."""

    needs: frozenset[str] = frozenset()
    waiting: int = 1


@dataclass(frozen=True, kw_only=True)
class Member:
    """A worker that is on, or could be.

    `places` is how many attempts it can carry, `busy` how many it does. `coming` ones were asked to start and are not
    ready yet. `ours` says that we started it, and so may stop it. `idle_since` is None while it is busy.
    """

    name: str
    kind: Kind = Kind.FIXED
    offers: frozenset[str] = frozenset()
    places: int = 1
    busy: int = 0
    on: bool = True
    coming: bool = False
    ours: bool = False
    idle_since: float | None = None

    @property
    def free(self) -> int:
        """Places that are, or will be, free."""
        return max(0, self.places - self.busy) if self.on else 0


@dataclass(frozen=True, kw_only=True)
class Action:
    """Start or stop one worker, and why in words. An empty name is a new local process."""

    start: bool
    kind: Kind
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What the policy has to know of its past. Times on the caller's clock."""

    short_since: float | None = None
    changed_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do now, what to remember, and what stands in the way of doing more, in words."""

    actions: tuple[Action, ...] = ()
    memory: Memory = field(default_factory=Memory)
    obstacle: str = ""


def decide(
    limits: Autoscale,
    demands: Iterable[Demand],
    members: Sequence[Member],
    memory: Memory,
    now: float,
    *,
    local: Member | None = None,
) -> Decision:
    """What to start or stop now; never both. `local` is what one more process here would be, None if there is none.

    Grows while shards wait that no free place fits, at most doubling what is on in one step. Gives back what it
    started itself, is idle, and nothing waits for. Within the cool-down it does nothing.
    """
    demands = tuple(demands)
    if _uncovered(demands, members):
        since = now if memory.short_since is None else memory.short_since
        memory = replace(memory, short_since=since)
        if now - since < limits.patience_s or _cooling(limits, memory, now):
            return Decision(memory=memory)
        actions, obstacle = _grow(limits, demands, members, local)
        if actions:
            memory = Memory(changed_at=now)
        return Decision(actions=actions, memory=memory, obstacle=obstacle)
    memory = replace(memory, short_since=None)
    if _cooling(limits, memory, now):
        return Decision(memory=memory)
    return Decision(actions=_shrink(limits, demands, members, now), memory=memory)


def _cooling(limits: Autoscale, memory: Memory, now: float) -> bool:
    return memory.changed_at is not None and now - memory.changed_at < limits.cool_down_s


def _uncovered(demands: Iterable[Demand], members: Sequence[Member]) -> list[Demand]:
    """What is left of the queue when every free place is filled: the pickiest shards choose first.

    A place goes to the worker that offers least of what fits, so that a rare one is left to those who need it.
    """
    free = {member.name: member.free for member in members if member.on}
    plain_first = sorted((member for member in members if member.on), key=lambda m: (len(m.offers), m.name))
    left = []
    for demand in sorted(demands, key=lambda item: (-len(item.needs), sorted(item.needs))):
        waiting = demand.waiting
        for member in plain_first:
            if waiting and demand.needs <= member.offers:
                taken = min(waiting, free[member.name])
                free[member.name] -= taken
                waiting -= taken
        if waiting > 0:
            left.append(replace(demand, waiting=waiting))
    return left


def _grow(
    limits: Autoscale, demands: Sequence[Demand], members: Sequence[Member], local: Member | None
) -> tuple[tuple[Action, ...], str]:
    """One worker after the other, each counted as if it were there already, so that none is started for nothing."""
    on = sum(member.on for member in members)
    room = min(limits.max_workers - on, max(1, on))
    if room <= 0:
        return (), f"{on} workers are on, and the limit is {limits.max_workers}"
    processes = sum(member.on and member.kind is Kind.LOCAL for member in members)
    return _added(demands, members, room, local, limits.max_local - processes)


def to_wake(demands: Iterable[Demand], members: Sequence[Member]) -> tuple[str, ...]:
    """Sleepers that a plan on its way could use: as many as its shards could fill, and only those whose labels fit.

    Who is awake does not count: by the time that the plan is approved others may be busy.
    """
    asleep = [member for member in members if not member.on and member.kind is Kind.SPACE]
    actions, _ = _added(tuple(demands), asleep, len(asleep), None, 0)
    return tuple(action.name for action in actions)


def _added(
    demands: Sequence[Demand], members: Sequence[Member], room: int, local: Member | None, locals_left: int
) -> tuple[tuple[Action, ...], str]:
    grown, actions = list(members), list[Action]()
    while short := _uncovered(demands, grown):
        fresh = sum(action.kind is Kind.LOCAL for action in actions)
        spare = local if fresh < locals_left else None
        found = next(((demand, picked) for demand in short if (picked := _pick(demand, grown, spare))), None)
        if found is None:
            return tuple(actions), _no_candidate(short[0], local)
        if len(actions) == room:
            break
        demand, picked = found
        name = "" if picked.kind is Kind.LOCAL else picked.name
        grown = [member for member in grown if member.name != picked.name]
        grown.append(replace(picked, name=picked.name or f"new {len(actions)}", on=True, places=max(1, picked.places)))
        reason = f"{demand.waiting} {_shards(demand)} and no place is free"
        actions.append(Action(start=True, kind=picked.kind, name=name, reason=reason))
    return tuple(actions), ""


def _pick(demand: Demand, members: Sequence[Member], local: Member | None) -> Member | None:
    """What starts soonest and fits: a process here, else the sleeper that offers least besides."""
    if local is not None and demand.needs <= local.offers:
        return replace(local, name="", kind=Kind.LOCAL)
    fitting = [m for m in members if not m.on and m.kind is Kind.SPACE and demand.needs <= m.offers]
    return min(fitting, key=lambda member: (len(member.offers), member.name), default=None)


def _no_candidate(demand: Demand, local: Member | None) -> str:
    what = f"nothing that could be started takes {demand.waiting} {_shards(demand)}"
    return f"{what}: as many run here as max_local allows" if local and demand.needs <= local.offers else what


def _shards(demand: Demand) -> str:
    many = demand.waiting != 1
    needs = f" for {', '.join(sorted(demand.needs))}" if demand.needs else ""
    return f"shard{'s' * many} wait{'s' * (not many)}{needs}"


def _shrink(limits: Autoscale, demands: Sequence[Demand], members: Sequence[Member], now: float) -> tuple[Action, ...]:
    """Give back what was idle longest, of what we started, unless what waits now is going to need it."""
    on = sum(member.on for member in members)
    idle = [
        (member.idle_since, member.name, member)
        for member in members
        if member.ours and member.on and not member.coming and not member.busy and member.idle_since is not None
    ]
    actions: list[Action] = []
    for since, name, member in sorted(idle, key=lambda item: item[:2]):
        if on - len(actions) <= limits.min_workers or now - since < limits.idle_s:
            break
        rest = [kept for kept in members if kept.name != name]
        if _uncovered(demands, rest):
            continue
        members = rest
        reason = f"it was idle for {now - since:.0f} s"
        actions.append(Action(start=False, kind=member.kind, name=name, reason=reason))
    return tuple(actions)
