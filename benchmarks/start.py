"""What a person waits for before anything runs: the import, the first two workers, a draft."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.report import Row, at_most, run

IMPORTS, GRIDS, DRAFTS = 15, 3, 20
QUICK_IMPORTS, QUICK_GRIDS, QUICK_DRAFTS = 3, 1, 5
WORKERS = 2
READY_S = 120.0
ANSWER = """Here is the split:
```json
{"goal": "Report on reviews", "assumptions": ["English"], "questions": [], "subtasks": [
 {"id": "clean", "inputs": ["reviews"], "code": "result = inputs['reviews'].dropna()"},
 {"id": "count", "inputs": ["clean"], "depends_on": ["clean"], "code": "result = len(inputs['clean'])"},
 {"id": "stars", "inputs": ["clean"], "depends_on": ["clean"], "code": "result = inputs['clean'].describe()"},
 {"id": "words", "inputs": ["clean"], "depends_on": ["clean"],
  "code": "import collections\\nresult = collections.Counter(' '.join(map(str, inputs['clean'].iloc[:, -1])).split())"},
 {"id": "report", "inputs": ["count", "stars", "words"], "depends_on": ["count", "stars", "words"],
  "code": "result = f\\"{inputs['count']} reviews, {len(inputs['words'])} words\\""}
]}
```"""
"""What a model would say, at once."""


def spawned(code: str) -> float:
    """Seconds of a fresh interpreter."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdin=subprocess.DEVNULL)  # noqa: S603
    return time.perf_counter() - begun


def imported(count: int) -> tuple[list[float], list[float]]:
    """Milliseconds of a bare interpreter, and of what the import adds to it, in turns."""
    spawned("import nadg_kernel")  # its bytecode and the disk's cache
    bare, added = [], []
    for _ in range(count):
        bare.append(spawned("pass") * 1000)
        added.append(spawned("import nadg_kernel") * 1000 - bare[-1])
    return bare, added


def once(drafts: int) -> None:
    """In a process of its own: a grid from nothing, then drafts. Prints its seconds and their milliseconds."""
    from nadg_kernel import Grid

    begun = time.perf_counter()
    with Grid() as grid:
        ready = grid.wait_ready(WORKERS, READY_S)
        seconds = time.perf_counter() - begun
        assert ready, f"not {WORKERS} workers after {READY_S:g} s: {grid.workers()}"
        from nadg_kernel.planners.scripted import ScriptedPlanner
        from nadg_kernel.samples import sample_reviews

        frame, spent = sample_reviews(), []
        for _ in range(drafts):
            planner = ScriptedPlanner((ANSWER,))
            begun = time.perf_counter()
            plan = grid.plan("Count the reviews and report on them", data={"reviews": frame}, planner=planner)
            spent.append((time.perf_counter() - begun) * 1000)
            assert not [problem for problem in plan.problems if problem.blocks], plan.problems
    print(json.dumps({"ready_s": seconds, "drafts_ms": spent}))


def grids(count: int, drafts: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds to two ready workers, ms of each grid's first draft, and ms of all later ones."""
    from nadg_kernel.settings import NAMES

    ready, first, later = [], [], []
    for _ in range(count):
        with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as home:
            # No key of the person's: recipes, two local workers and SQLite, as without any setting.
            env = {name: value for name, value in os.environ.items() if name not in NAMES} | {"NADG_HOME": home}
            command = [sys.executable, "-m", "benchmarks.start", "once", str(drafts)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env, text=True)  # noqa: S603
        found = json.loads(done.stdout.splitlines()[-1])
        ready.append(found["ready_s"])
        first.append(found["drafts_ms"][0])
        later += found["drafts_ms"][1:]
    return ready, first, later


def rows(quick: bool) -> list[Row]:  # noqa: FBT001 - the common interface
    """All three bars."""
    bare, added = imported(QUICK_IMPORTS if quick else IMPORTS)
    ready, first, later = grids(QUICK_GRIDS if quick else GRIDS, QUICK_DRAFTS if quick else DRAFTS)
    return [
        Row(what="a bare interpreter, median", measured=statistics.median(bare), unit="ms"),
        Row(
            what="import nadg_kernel adds, median", measured=statistics.median(added), unit="ms",
            bar=at_most(50, "ms"), note=f"least {min(added):.1f} ms",
        ),
        Row(
            what=f"Grid() to {WORKERS} ready local workers, median", measured=statistics.median(ready), unit="s",
            bar=at_most(3, "s"), note=f"slowest {max(ready):.2f} s",
        ),
        Row(
            what="a draft, planner answers at once, median", measured=statistics.median(later), unit="ms",
            bar=at_most(50, "ms"), note="sample reviews attached, answer read and checked",
        ),
        Row(what="a grid's first draft", measured=statistics.median(first), unit="ms", note="imports what it needs"),
    ]  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["once"]:
        once(int(sys.argv[2]))
    else:
        raise SystemExit(run(__doc__, rows))
