"""`nadg doctor`: the doctor's report as a table for people, as lines elsewhere, as JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg_kernel.cli.codes import Code
from nadg_kernel.cli.console import make_console
from nadg_kernel.cli.jsonfile import STDOUT, require_place, write_json
from nadg_kernel.display import clean_text
from nadg_kernel.doctor import doctor as examine
from nadg_kernel.doctor.report import line

if TYPE_CHECKING:
    from rich.console import Console

    from nadg_kernel.doctor import Report

COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


def doctor(*, online: bool, workers: bool, json_file: str) -> int:
    """Look, report, and give 1 where there is a problem. Raises SettingsError where the JSON has no place."""
    require_place(json_file)
    report = examine(online=online, workers=workers)
    if json_file:
        write_json(report.to_json(), json_file)
    if json_file != STDOUT:
        show(report, make_console())
    return Code.NOT_ALL_SUCCEEDED if report.problems else Code.OK


def show(report: Report, console: Console) -> None:
    """A table where somebody looks at a terminal, a line per check elsewhere."""
    if console.is_terminal:
        _table(report, console)
    else:
        for check in report.checks:
            console.print(line(check))
    console.print(report.summary)


def _table(report: Report, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(pad_edge=False)
    for name in ("topic", "what", "state", "found", "what to do"):
        table.add_column(name, overflow="fold")
    for check in report.checks:
        state = Text(check.state, style=COLOURS[check.state])
        topic, what, found, do = (Text(clean_text(text)) for text in (check.topic, check.what, check.found, check.do))
        table.add_row(topic, what, state, found, do)
    console.print(table)
