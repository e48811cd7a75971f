"""What every benchmark gives: rows with their bars, as a table for people and as JSON for the one that runs all."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MET, NOT_MET, NOT_COMPARABLE = "met", "not met", "not comparable"
TIMES = "x"
QUICK = "a quick run is too small for a verdict"
_HEADINGS = ("what", "measured", "bar", "ratio", "verdict", "note")
_WHOLE_FROM = 1_000  # from here on, decimals say nothing


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A limit: for the ratio where its unit is "x", for the measured figure otherwise."""

    sense: Literal["at most", "at least"]
    limit: float
    unit: str

    def holds(self, value: float) -> bool:
        """Whether a value is on the right side."""
        return value <= self.limit if self.sense == "at most" else value >= self.limit

    def __str__(self) -> str:
        return f"{self.sense} {figure(self.limit, self.unit)}"


def at_most(limit: float, unit: str) -> Bar:
    """A bar from above."""
    return Bar(sense="at most", limit=limit, unit=unit)


def at_least(limit: float, unit: str) -> Bar:
    """A bar from below."""
    return Bar(sense="at least", limit=limit, unit=unit)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure. `measured` and `ratio` are None where there was nothing to measure or to compare with."""

    what: str
    measured: float | None
    unit: str
    bar: Bar | None = None
    ratio: float | None = None
    """The measured figure over that of another thing, in the same run; `note` names it."""
    note: str = ""
    why_not: str = ""
    """Why the bar says nothing about this figure: a layer that is missing here, a smaller size."""

    @property
    def verdict(self) -> str:
        """`met`, `not met`, `not comparable`, or nothing where there is no bar."""
        if self.bar is None:
            return ""
        value = self.ratio if self.bar.unit == TIMES else self.measured
        if self.why_not or value is None:
            return NOT_COMPARABLE
        return MET if self.bar.holds(value) else NOT_MET

    @property
    def remark(self) -> str:
        """All that is to be said beside the figures."""
        return "; ".join(part for part in (self.note, self.why_not if self.bar else "") if part)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """A row as another process wrote it."""
        return cls(**{**raw, "bar": Bar(**raw["bar"]) if raw["bar"] else None})


def figure(value: float | None, unit: str) -> str:
    """A number for people: three significant digits, whole from a thousand on."""
    if value is None:
        return "-"
    digits = f"{value:,.0f}" if abs(value) >= _WHOLE_FROM else f"{value:.3g}"
    return f"{digits} {unit}".rstrip()


def table(rows: Iterable[Row]) -> str:
    """The rows as aligned columns, with headings."""
    cells = [_HEADINGS]
    for row in rows:
        ratio = figure(row.ratio, TIMES) if row.ratio is not None else ""
        bar = str(row.bar) if row.bar else ""
        cells.append((row.what, figure(row.measured, row.unit), bar, ratio, row.verdict, row.remark))
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADINGS))]
    lines = []
    for line in cells:
        what, measured, bar, ratio, verdict, note = (
            text.rjust(width) if column in (1, 3) else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append(f"  {what}  {measured}  {bar}  {ratio}  {verdict}  {note}".rstrip())
    return "\n".join(lines)


def run(title: str | None, rows: Callable[[bool], list[Row]], arguments: Sequence[str] | None = None) -> int:
    """What `python -m benchmarks.NAME` does: measure, print the table; `--to FILE` writes JSON instead."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a bar is missed")
    parser.add_argument("--to", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    found = [replace(row, why_not=row.why_not or QUICK) if options.quick else row for row in rows(options.quick)]
    head = (title or "").partition("\n")[0]
    if options.to:
        options.to.write_text(json.dumps({"title": head, "rows": [asdict(row) for row in found]}), "utf-8")
    else:
        print(head, table(found), sep="\n")
    sys.stdout.flush()
    return int(options.strict and any(row.verdict == NOT_MET for row in found))
