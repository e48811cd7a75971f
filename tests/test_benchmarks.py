"""Holds `make bench` and `make soak`: every bar gets its verdict, and a benchmark that breaks is named."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as runner
from benchmarks.report import MET, NOT_COMPARABLE, NOT_MET, Row, at_least, at_most, figure, run, table

ROOT = Path(__file__).parents[1]
GOOD = '''"""A good one: says what it is.

And more.
"""
from benchmarks.report import Row, at_most, run

def rows(quick):
    print("noise")
    return [Row(what="fast thing", measured=1 if quick else 2.0, unit="ms", bar=at_most(3, "ms"), note="by day"),
            Row(what="slow thing", measured=4.0, unit="ms", bar=at_most(1.5, "x"), ratio=2.0, note="over tea")]

if __name__ == "__main__":
    raise SystemExit(run(__doc__, rows))
'''
BROKEN = "print('so far so good')\nraise RuntimeError('the disk is gone')\n"
SILENT = "print('this one prints its own table')\n"


def row(measured=1.0, **more):
    return Row(what="x", measured=measured, unit="ms", **more)


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (row(), ""),
        (row(2, bar=at_most(2, "ms")), MET),
        (row(2.1, bar=at_most(2, "ms")), NOT_MET),
        (row(2, bar=at_least(2, "ms")), MET),
        (row(1.9, bar=at_least(2, "ms")), NOT_MET),
        (row(100, bar=at_most(1, "x"), ratio=0.7), MET),
        (row(0.1, bar=at_most(1, "x"), ratio=1.2), NOT_MET),
        (row(1, bar=at_most(2, "x"), note="dask is not installed"), NOT_COMPARABLE),
        (row(None, bar=at_most(2, "ms"), note="no such thing here"), NOT_COMPARABLE),
        (row(1, bar=at_most(2, "ms"), why_not="half the size"), NOT_COMPARABLE),
    ],
)
def test_verdicts(one, verdict):
    assert one.verdict == verdict


@pytest.mark.parametrize(
    ("value", "words"), [(None, "-"), (0.01234, "0.0123 s"), (12.34, "12.3 s"), (1234.5, "1,234 s"), (40, "40 s")]
)
def test_figures(value, words):
    assert figure(value, "s") == words


def test_a_table_is_aligned_and_says_why():
    lines = table([row(bar=at_most(2, "ms"), why_not="half the size", note="on SQLite"), row(1234567)]).splitlines()
    assert lines[0].split() == ["what", "measured", "bar", "ratio", "verdict", "note"]
    assert lines[1].endswith("not comparable  on SQLite; half the size")
    assert lines[1].index("1 ms") + len("1 ms") == lines[2].index("ms") + len("ms")


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["--strict"], 1), (["--quick", "--strict"], 0)])
def test_one_alone_fails_for_a_missed_bar_only_when_asked(arguments, code, capsys):
    assert run("Title.\n\nMore.", lambda _quick: [row(3, bar=at_most(2, "ms"))], arguments) == code
    assert capsys.readouterr().out.startswith("Title.\n  what")


@pytest.fixture
def more(tmp_path, monkeypatch):
    """Puts modules beside the benchmarks that there are."""

    def put(**modules):
        folder = tmp_path / "benchmarks"
        folder.mkdir()
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text, "utf-8")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(tmp_path))))

    return put


def bench(*arguments):
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_what_breaks_is_named_and_hides_nothing(more):
    more(good=GOOD, broken=BROKEN, silent=SILENT)
    done = bench("broken", "good", "silent")
    assert done.returncode == 1
    assert re.search(r"^broken \(\d+ s\): BROKEN, exit code 1$", done.stdout, re.MULTILINE)
    assert "  | RuntimeError: the disk is gone" in done.stdout
    assert re.search(r"^good \(\d+ s\): A good one: says what it is\.$", done.stdout, re.MULTILINE)
    assert re.search(r"^silent \(\d+ s\): BROKEN, it gave no rows$", done.stdout, re.MULTILINE)
    assert "\nBars: 1 met, 1 not met, 0 not comparable. Broken: 2.\n" in done.stdout
    assert "  not met         good: slow thing: 2 x over tea, bar at most 1.5 x\n" in done.stdout
    assert "  broken          broken: exit code 1\n" in done.stdout
    assert "noise" not in done.stdout


def test_a_missed_bar_is_a_fact_and_no_error(more):
    more(good=GOOD)
    done = bench("good")
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("processor", "cores", "Python", "kernel", "load average"):
        assert re.search(rf"^  {word} +\S", done.stdout, re.MULTILINE), word
    assert bench("good", "--strict").returncode == 1


def test_a_quick_run_gives_no_verdict(more):
    more(good=GOOD)
    done = bench("good", "--quick", "--strict")
    assert done.returncode == 0
    assert "\nBars: 0 met, 0 not met, 2 not comparable. Broken: 0.\n" in done.stdout
    assert "good: fast thing, at most 3 ms: a quick run is too small for a verdict" in done.stdout


def test_one_that_hangs_is_ended(more):
    more(hanging="import time\nwhile True: time.sleep(1)\n")
    found = runner.find("hanging", quick=True, limit_s=0.5)
    assert found.broken == "not over after 0.5 s"


def test_an_unknown_name_is_refused():
    done = bench("speed")
    assert done.returncode == 2
    assert "no benchmark is called speed; there are" in done.stderr


@pytest.mark.parametrize("name", runner.names())
def test_every_benchmark_is_documented_and_gives_rows(name):
    module = importlib.import_module(f"benchmarks.{name}")
    assert callable(module.rows)
    assert module.__doc__
    assert f"| `{name}` |" in (ROOT / "docs" / "benchmarks.md").read_text("utf-8")


def test_every_bar_of_a_command_has_a_benchmark():
    known = {"dispatch", "heartbeat", "history", "journal", "panel", "scheduler", "start", "worker"}
    assert known <= set(runner.names())


def commands(target, *settings):
    """What `make` would run, asked from within `make test` too."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", "-n", target, *settings]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows has uv instead of make")
def test_make_bench_runs_all_or_those_that_are_named():
    assert commands("bench").rstrip().endswith("/python -m benchmarks")
    assert commands("bench", "BENCH=start --quick").rstrip().endswith("/python -m benchmarks start --quick")


@pytest.mark.skipif(os.name == "nt", reason="Windows has uv instead of make")
def test_make_soak_runs_what_make_test_leaves_out():
    *_, said, ran = commands("soak", "SEED=7", "SOAK=-k endurance").splitlines()
    assert "SEED=7" in said
    assert ran.startswith("NADG_TEST_SEED=7 ")
    for words in ("-m pytest", "-m soak", "--hypothesis-seed=7", "-k endurance tests"):
        assert f" {words}" in ran
    assert '-m "not serial and not soak and not bench"' in commands("test")
