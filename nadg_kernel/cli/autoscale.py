"""`nadg autoscale`: what autoscaling would do for work that waits, before anybody turns it on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from nadg_kernel.cli.codes import Code
from nadg_kernel.cli.console import error_line

if TYPE_CHECKING:
    from pathlib import Path

    from nadg_kernel.grid import Grid
    from nadg_kernel.model import Plan

READY_S = 15.0


def autoscale(max_workers: int, plan: Path | None, *, dry_run: bool, as_json: bool) -> int:
    """Say what would be started and stopped. Gives the exit code. Raises NadgError."""
    if not dry_run:
        error_line("workers come and go with the runs of a Grid: Grid(autoscale=N) there, --dry-run here")
        return Code.BAD_INPUT
    from nadg_kernel.grid import Grid
    from nadg_kernel.model import Plan

    read = None if plan is None else Plan.load(plan)
    with Grid() as grid:
        grid.wait_ready(1, READY_S)
        found = grid.autoscale(max_workers, dry_run=True, plan=[read] if read is not None else left(grid))
    if as_json:
        actions = [
            {"start": item.start, "kind": str(item.kind), "worker": item.name, "reason": item.reason}
            for item in found.actions
        ]
        waiting = sum(demand.waiting for demand in found.demands)
        print(json.dumps({"waiting": waiting, "actions": actions, "obstacle": found.obstacle}))  # noqa: T201
    else:
        print(found)  # noqa: T201
    return Code.OK


def left(grid: Grid) -> list[Plan]:
    """What runs that nobody drives still have to do, each as the plan of its unfinished subtasks."""
    out = []
    for offer in grid.offers():
        whole = grid.loop.run(grid.store.get_plan(offer.run_id))
        if whole is None:
            continue
        frame = grid.history(run=offer.run_id)
        done = set(frame[frame["state"].isin(["succeeded", "cached"])]["subtask"]) if len(frame) else set()
        out.append(replace(whole, subtasks=tuple(item for item in whole.subtasks if item.id not in done)))
    return out
