"""What a person waits for before anything runs: the import, the first two workers, a draft."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

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
    begun = time.perf_counter()
    from nadg_kernel import Grid

    loaded = time.perf_counter() - begun
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
    print(json.dumps({"loaded_s": loaded, "ready_s": seconds, "drafts_ms": spent}))


@dataclass
class Grids:
    """Seconds to have the class, and from there to ready workers; ms of each grid's first draft and of later ones."""

    loaded_s: list[float] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    later_ms: list[float] = field(default_factory=list)


def grids(count: int, drafts: int) -> Grids:
    """As many grids one after the other, each in a fresh interpreter and a new home."""
    from nadg_kernel.settings import NAMES

    seen = Grids()
    for _ in range(count):
        with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as home:
            # No key of the person's: recipes, two local workers and SQLite, as without any setting.
            env = {name: value for name, value in os.environ.items() if name not in NAMES} | {"NADG_HOME": home}
            command = [sys.executable, "-m", "benchmarks.start", "once", str(drafts)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env, text=True)  # noqa: S603
        found = json.loads(done.stdout.splitlines()[-1])
        seen.loaded_s.append(found["loaded_s"])
        seen.ready_s.append(found["ready_s"])
        seen.first_ms.append(found["drafts_ms"][0])
        seen.later_ms += found["drafts_ms"][1:]
    return seen


def rows(quick: bool) -> list[Row]:  # noqa: FBT001 - the common interface
    """All three bars."""
    bare, added = imported(QUICK_IMPORTS if quick else IMPORTS)
    seen = grids(QUICK_GRIDS if quick else GRIDS, QUICK_DRAFTS if quick else DRAFTS)
    return [
        Row(what="a bare interpreter, median", measured=statistics.median(bare), unit="ms"),
        Row(
            what="import nadg_kernel adds, median", measured=statistics.median(added), unit="ms",
            bar=at_most(50, "ms"), note=f"least {min(added):.1f} ms",
        ),
        Row(
            what="from nadg_kernel import Grid, median", measured=statistics.median(seen.loaded_s), unit="s",
            note="comes before what follows",
        ),
        Row(
            what=f"Grid() to {WORKERS} ready local workers, median", measured=statistics.median(seen.ready_s), unit="s",
            bar=at_most(3, "s"), note=f"slowest {max(seen.ready_s):.2f} s",
        ),
        Row(
            what="a draft, planner answers at once, median", measured=statistics.median(seen.later_ms), unit="ms",
            bar=at_most(50, "ms"), note="sample reviews attached, answer read and checked",
        ),
        Row(what="a grid's first draft", measured=statistics.median(seen.first_ms), unit="ms", note="with its imports"),
    ]  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["once"]:
        once(int(sys.argv[2]))
    else:
        raise SystemExit(run(__doc__, rows))
