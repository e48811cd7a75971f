"""What a scheduling decision costs, and that it hardly grows with the plan.

Bar: 100,000 subtasks on 100 workers, in memory, at most 50 microseconds a subtask and at most 1.6 times the cost at
1,000 subtasks.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.report import TIMES, Row, at_most, run
from nadg_kernel.model import Event, EventType, Plan, RunState, Subtask
from nadg_kernel.scheduler import Scheduler, Start

WORKERS = 100
CAPACITY = 4
SMALL, LARGE, QUICK_LARGE = 1_000, 100_000, 10_000
BAR_US, BAR_RATIO = 50.0, 1.6
_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Microseconds a subtask, the whole run over: reading the plan, every decision, every event, every report."""

    small_us: float
    large_us: float

    @property
    def ratio(self) -> float:
        """How much more a subtask costs in the large plan."""
        return self.large_us / self.small_us


def layered(size: int) -> Plan:
    """A plan in layers of a tenth of its size, each subtask depending on two of the layer above."""
    width = max(size // 10, 1)
    subtasks = []
    for number in range(size):
        needs: tuple[str, ...] = ()
        if number >= width:
            above = number - width
            needs = (f"s{above}", f"s{(above // width) * width + (above * 7 + 1) % width}")
        subtasks.append(Subtask(id=f"s{number}", code="result = 1", depends_on=tuple(dict.fromkeys(needs))))
    return Plan(command="bench", subtasks=tuple(subtasks))


def drive(plan: Plan) -> float:
    """Run a plan to its end with attempts that succeed at once, oldest first; gives seconds of processor time."""
    events = 0

    def event(kind: EventType, subtask: str | None, attempt: str | None, payload: dict[str, object]) -> Event:
        return Event(
            run_id="r", epoch=1, seq=events, at=_AT, type=kind, subtask=subtask, shard=0, attempt_id=attempt,
            payload=payload,
        )  # fmt: skip

    gc.collect()
    began = time.process_time()
    scheduler = Scheduler(plan, seed=1)
    for number in range(WORKERS):
        state: dict[str, object] = {"worker": f"w{number}", "state": "ready", "capacity": CAPACITY, "labels": []}
        scheduler.apply(event(EventType.WORKER_STATE, None, None, state), 0.0)
    flying: deque[tuple[str, Start]] = deque()
    done = 0
    now = 0.0
    while True:
        decisions, _ = scheduler.decide(now)
        for item in decisions:
            assert isinstance(item, Start)
            events += 1
            attempt = f"a{events}"
            payload: dict[str, object] = {"worker": item.worker, "number": item.number}
            scheduler.apply(event(EventType.ATTEMPT_INTENDED, item.shard.subtask, attempt, payload), now)
            flying.append((attempt, item))
        scheduler.changes()
        if not flying:
            break
        attempt, item = flying.popleft()
        done += 1
        now += 0.001
        ended: dict[str, object] = {"outcome": "succeeded", "worker": item.worker, "seconds": 0.1, "result": None}
        scheduler.apply(event(EventType.ATTEMPT_ENDED, item.shard.subtask, attempt, ended), now)
    assert scheduler.run_state is RunState.SUCCEEDED
    assert done == len(plan)
    return time.process_time() - began


def measure(small: int = SMALL, large: int = LARGE) -> Cost:
    """The cost at both sizes: the small one as the median of many runs, before and after the large one."""
    small_plan, large_plan = layered(small), layered(large)
    before = [drive(small_plan) for _ in range(15)]
    whole = statistics.median(drive(large_plan) for _ in range(3))
    after = [drive(small_plan) for _ in range(15)]
    return Cost(small_us=statistics.median(before + after) / small * 1e6, large_us=whole / large * 1e6)


def rows(quick: bool) -> list[Row]:  # noqa: FBT001 - the common interface
    """The cost at the large size against both bars."""
    large = QUICK_LARGE if quick else LARGE
    cost = measure(large=large)
    unit, what = "us a subtask", f"{large:,} subtasks on {WORKERS} workers of {CAPACITY}"
    return [
        Row(what=f"{SMALL:,} subtasks on {WORKERS} workers of {CAPACITY}", measured=cost.small_us, unit=unit),
        Row(what=what, measured=cost.large_us, unit=unit, bar=at_most(BAR_US, unit)),
        Row(
            what="the same, growth", measured=cost.large_us, unit=unit, bar=at_most(BAR_RATIO, TIMES), ratio=cost.ratio,
            note=f"over the cost at {SMALL:,}",
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(run(__doc__, rows))
