"""Runs benchmarks, each in a process of its own: the machine, a table for each, and what came of all bars."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import benchmarks
from benchmarks.machine import busy, load, machine
from benchmarks.report import MET, NOT_COMPARABLE, NOT_MET, TIMES, Row, figure, table

if TYPE_CHECKING:
    from collections.abc import Sequence

APART = {"__main__", "loads", "machine", "report", "rivals"}
LIMIT_S = 1_800.0
_LAST_LINES = 40


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a benchmark gave: rows, or why it broke."""

    name: str
    seconds: float
    title: str = ""
    rows: tuple[Row, ...] = ()
    broken: str = ""
    output: str = ""


def names() -> list[str]:
    """Every benchmark that there is: a new module is one without being listed anywhere."""
    return sorted({module.name for module in pkgutil.iter_modules(benchmarks.__path__)} - APART)


def find(name: str, *, quick: bool, limit_s: float = LIMIT_S) -> Finding:
    """Run one benchmark to its end, and end all that it started when it takes too long."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        to, log = Path(folder, "rows.json"), Path(folder, "output")
        command = [sys.executable, "-m", f"benchmarks.{name}", "--to", str(to), *(["--quick"] if quick else [])]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=os.name == "posix"
            )
            try:
                code = process.wait(limit_s)
                broken = f"exit code {code}" if code else "" if to.exists() else "it gave no rows"
            except subprocess.TimeoutExpired:
                broken = f"not over after {limit_s:g} s"
            finally:
                _end(process)
        seconds = time.monotonic() - begun
        if broken:
            lines = log.read_text("utf-8", "replace").strip().splitlines()[-_LAST_LINES:]
            return Finding(name=name, seconds=seconds, broken=broken, output="\n".join(lines))
        found = json.loads(to.read_text("utf-8"))
    rows = tuple(Row.from_json(raw) for raw in found["rows"])
    return Finding(name=name, seconds=seconds, title=found["title"], rows=rows)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing that a benchmark started disturbs the next one."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def shown(finding: Finding) -> str:
    """One benchmark's table, or its last words."""
    head = f"{finding.name} ({finding.seconds:.0f} s)"
    if finding.broken:
        said = "\n".join(f"  | {line}" for line in finding.output.splitlines())
        return f"{head}: BROKEN, {finding.broken}\n{said}".rstrip()
    return f"{head}: {finding.title}\n{table(finding.rows)}"


def summary(findings: Sequence[Finding]) -> str:
    """How many bars are met, and each that is not."""
    judged = [(finding.name, row) for finding in findings for row in finding.rows if row.bar]
    count = {verdict: sum(row.verdict == verdict for _, row in judged) for verdict in (MET, NOT_MET, NOT_COMPARABLE)}
    broken = [finding for finding in findings if finding.broken]
    lines = [f"Bars: {', '.join(f'{number} {verdict}' for verdict, number in count.items())}. Broken: {len(broken)}."]
    for name, row in judged:
        if row.verdict == NOT_MET and row.bar:
            ratio = row.bar.unit == TIMES
            value = figure(row.ratio, TIMES) if ratio else figure(row.measured, row.unit)
            over = f" {row.note}" if ratio else ""
            lines.append(f"  {NOT_MET:15} {name}: {row.what}: {value}{over}, bar {row.bar}")
    for name, row in judged:
        if row.verdict == NOT_COMPARABLE:
            lines.append(f"  {NOT_COMPARABLE:15} {name}: {row.what}, {row.bar}: {row.why_not or row.note}")
    lines += [f"  {'broken':15} {finding.name}: {finding.broken}" for finding in broken]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every benchmark ran to its end, whatever its bars; 1 when one broke, or with --strict a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(names())}; all if none")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all of them work")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a bar is missed")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - set(names())):
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(names())}")
    print("Benchmarks on this machine", machine(), sep="\n", flush=True)
    if busy():
        print(f"  others are busy here (load {load():.1f}): absolute figures say less than ratios", flush=True)
    findings = []
    for name in options.names or names():
        print(f"... {name}", file=sys.stderr, flush=True)
        findings.append(find(name, quick=options.quick))
        print(f"\n{shown(findings[-1])}", flush=True)
    print(f"\n{summary(findings)}", flush=True)
    missed = any(row.verdict == NOT_MET for finding in findings for row in finding.rows)
    return int(any(finding.broken for finding in findings) or (options.strict and missed))


if __name__ == "__main__":
    raise SystemExit(main())
