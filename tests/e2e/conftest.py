"""Runs `nadg` as a person does, in a home of its own, and reads what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from nadg_kernel.cli import main

COMMAND = "Analyze customer sentiment from reviews, generate a summary report, and create data visualizations"
PLOTLY = "application/vnd.plotly.v1+json"


@dataclass
class Ran:
    """One call of `nadg`: exit code, what it said, and the JSON that it wrote."""

    code: int
    out: str
    err: str
    report: dict = field(default_factory=dict)

    def __getitem__(self, subtask):
        return next(item for item in self.report["subtasks"] if item["id"] == subtask)

    @property
    def states(self):
        return {item["id"]: item["state"] for item in self.report["subtasks"]}

    def refused(self, *says, code=2):
        """Assert that it ended with one clear line on stderr and no traceback of ours."""
        assert self.code == code, (self.code, self.out, self.err)
        assert "Traceback" not in self.err
        assert "nadg_kernel" not in self.out, "a line of ours in a traceback"
        assert "internal error" not in self.err
        lines = [line for line in self.err.splitlines() if line.startswith("nadg: ")]
        assert len(lines) == 1, self.err
        for words in says:
            assert words in lines[0], lines[0]
        return lines[0]


def written(folder, report, code):
    return json.loads((folder / report).read_text("utf-8")) if report and code < 2 else {}


class Nadg:
    """`nadg` over one home and one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "home"

    def __call__(self, *arguments, timeout=90, report="", **environ):
        env = {**os.environ, "NADG_HOME": str(self.home), **environ}
        command = [sys.executable, "-m", "nadg_kernel", *map(str, arguments)]
        ran = subprocess.run(
            command,
            cwd=self.folder,
            env=env,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
        out, err = ran.stdout.decode(), ran.stderr.decode()
        return Ran(ran.returncode, out, err, written(self.folder, report, ran.returncode))


class Quick:
    """`nadg` in this very process, without workers unless they are asked for: for what ends before anything runs."""

    def __init__(self, folder, monkeypatch, capsys):
        self.folder, self.home = folder, folder / "home"
        self._monkeypatch, self._capsys = monkeypatch, capsys
        monkeypatch.chdir(folder)
        monkeypatch.setenv("NADG_HOME", str(self.home))

    def __call__(self, *arguments, workers=0, report="", **environ):
        for name, value in {"NADG_LOCAL_WORKERS": str(workers), **environ}.items():
            self._monkeypatch.setenv(name, value)
        code = main([str(argument) for argument in arguments])
        out, err = self._capsys.readouterr()
        return Ran(int(code), out, err, written(self.folder, report, code))


@pytest.fixture
def nadg(tmp_path):
    return Nadg(tmp_path)


@pytest.fixture
def quick(tmp_path, monkeypatch, capsys):
    return Quick(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="module")
def module_nadg(tmp_path_factory):
    return Nadg(tmp_path_factory.mktemp("e2e"))


@pytest.fixture
def write_plan(tmp_path):
    """Write a plan file by hand: subtasks as (id, code, depends_on)."""

    def write(*subtasks, **more):
        raw = {
            "command": "by hand",
            "subtasks": [{"id": name, "code": code, "depends_on": list(after)} for name, code, *after in subtasks],
            **more,
        }
        path = tmp_path / "plan.json"
        path.write_text(json.dumps(raw), encoding="utf-8")
        return path

    return write
