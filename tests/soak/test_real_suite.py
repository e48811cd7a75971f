"""The real thing: the test suite of a package from PyPI over four workers gives what one process gives, and sooner."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections import Counter

import pytest

from nadg_kernel import Grid, RunState

PACKAGE = "networkx==3.5"
PARTS = os.environ.get("NADG_TEST_SUITE_PARTS", "algorithms").split(",")
"""Of the package: thousands of tests over two hundred files, a minute or two of processor time."""
SHARDS = 16
FASTER = 1.5

# What the recipe's own recorder keeps, of plain pytest in one process.
ALONE = """
import json, sys, pytest

class Recorder:
    rows = []

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            self.rows.append([report.nodeid, report.outcome])

    def pytest_collectreport(self, report):
        if report.failed:
            self.rows.append([report.nodeid, "error"])

pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[2:]], plugins=[recorder := Recorder()])
open(sys.argv[1], "w").write(json.dumps(recorder.rows))
"""


def unpacked(folder):
    """The sdist as it lies on the index, with the tests of some parts only."""
    fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", PACKAGE]
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        fetch = ["pip", *fetch[3:]]
    subprocess.run(fetch, cwd=folder, check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (project,) = [path for path in folder.iterdir() if path.is_dir()]
    name = PACKAGE.partition("==")[0]
    for path in list(project.rglob("test_*.py")):
        if path.relative_to(project).parts[:2] not in {(name, part) for part in PARTS}:
            path.unlink()
    return project


def in_one_process(project, folder):
    """Sorted (test, outcome), and the seconds that it took."""
    own = shutil.copytree(project, folder / "alone")
    files = sorted(str(path.relative_to(own)) for path in own.rglob("test_*.py"))
    out = folder / "alone.json"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", ALONE, str(out), *files], cwd=own, check=True, stdout=subprocess.DEVNULL)
    return sorted(map(tuple, json.loads(out.read_text()))), time.perf_counter() - began


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_suite_from_the_index(tmp_path):
    project = unpacked(tmp_path)
    with Grid(home=tmp_path / "home", local_workers=4, planner="recipes") as grid:
        assert grid.wait_ready(4, 120)
        plan = grid.plan("Run the tests of the project", data={"project": str(project)})
        plan = plan.edit("test_run", map={"over": "test_files", "shards": SHARDS}, timeout_s=3000, network=False)
        began = time.perf_counter()
        run = grid.run(plan.approve(), show=False).wait()
        took = time.perf_counter() - began
        assert run.state is RunState.SUCCEEDED, run
        frame = run["tests"].value
    alone, alone_s = in_one_process(project, tmp_path)
    here = sorted(zip(frame["test"], frame["outcome"], strict=True))
    counts = dict(Counter(outcome for _, outcome in here))
    print(f"\n{PACKAGE} {PARTS}: {len(here):,} tests, {counts}, {frame['file'].nunique()} files")
    print(f"one process {alone_s:.1f} s, four workers {took:.1f} s: {alone_s / took:.2f} times as fast")
    assert len(here) >= 1000 or PARTS != ["algorithms"]
    assert here == alone
    if (os.cpu_count() or 1) >= 2 and PARTS == ["algorithms"]:
        assert alone_s / took >= FASTER
