# /// recipe
# name = "test_run"
# title = "Run each test file"
# summary = "Runs pytest on the shard's files, in a copy of the folder."
# stage = "alone"
# words = []
# map_source = true
# timeout_s = 300
# ///
import io
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

OPTIONS = ["-q", "--tb=short", "-p", "no:cacheprovider"]


class Recorder:
    def __init__(self):
        self.rows = []

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            row = {"test": report.nodeid, "outcome": report.outcome, "seconds": float(report.duration)}
            self.rows.append(row | {"message": "" if report.passed else str(report.longreprtext)[-2000:]})

    def pytest_collectreport(self, report):
        if report.failed:
            row = {"test": report.nodeid, "outcome": "error", "seconds": 0.0}
            self.rows.append(row | {"message": str(report.longreprtext)[-2000:]})


for path, content in inputs["SECOND"].items():
    target = Path("project") / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
os.chdir("project")
sys.path[:0] = [".", "src"]
rows = []
for number, name in enumerate(inputs["SOURCE"], 1):
    recorder = Recorder()
    shown = io.StringIO()
    with redirect_stdout(shown):
        pytest.main([*OPTIONS, name], plugins=[recorder])
    print(shown.getvalue())
    rows += [{"file": name, **row} for row in recorder.rows]
    progress(number / len(inputs["SOURCE"]), name)
result = rows
