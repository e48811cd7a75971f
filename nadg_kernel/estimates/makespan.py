"""How long a plan takes on so many places, if everything takes as long as expected: longest remaining path first."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_SHARDS = 20_000
"""Above, the lower bound is close enough and costs nothing."""


def makespan(needs: Mapping[str, Sequence[str]], work: Mapping[str, tuple[float, int]], slots: int) -> float:
    """Seconds until all is done, for needs that are `feasible`. `work` maps each name to (seconds of a shard, shards).

    Shards of a name start when all that it needs is done; the longest remaining path goes first. With more than
    20,000 shards it is the lower bound, max(longest path, work / slots).
    """
    after, ordered = _followers(needs)
    path: dict[str, float] = {}
    for name in reversed(ordered):
        path[name] = work[name][0] + max((path[child] for child in after[name]), default=0.0)
    if sum(count for _, count in work.values()) > MOST_SHARDS:
        load = sum(seconds * count for seconds, count in work.values()) / slots
        return max(load, max(path.values(), default=0.0))
    left = {name: len(needs[name]) for name in needs}
    running = {name: count for name, (_, count) in work.items()}
    ready = [(-path[name], name) for name in ordered for _ in range(work[name][1]) if not needs[name]]
    heapify(ready)
    ends: list[tuple[float, str]] = []
    now = 0.0
    while ready or ends:
        while ready and len(ends) < slots:
            _, name = heappop(ready)
            heappush(ends, (now + work[name][0], name))
        now, name = heappop(ends)
        running[name] -= 1
        if running[name]:
            continue
        for child in after[name]:
            left[child] -= 1
            if not left[child]:
                for _ in range(work[child][1]):
                    heappush(ready, (-path[child], child))
    return now


def feasible(needs: Mapping[str, Sequence[str]]) -> bool:
    """Whether every dependency exists and none leads back to itself: a draft may have such problems."""
    known = all(need in needs for before in needs.values() for need in before)
    return known and len(_followers(needs)[1]) == len(needs)


def _followers(needs: Mapping[str, Sequence[str]]) -> tuple[dict[str, list[str]], list[str]]:
    """Who waits for whom, and all names, each after what it needs."""
    after: dict[str, list[str]] = {name: [] for name in needs}
    for name, before in needs.items():
        for need in before:
            after[need].append(name)
    left = {name: len(before) for name, before in needs.items()}
    ordered = [name for name, count in left.items() if not count]
    for name in ordered:  # grows while it is walked
        for child in after[name]:
            left[child] -= 1
            if not left[child]:
                ordered.append(child)
    return after, ordered
