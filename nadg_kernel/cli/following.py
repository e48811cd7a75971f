"""A run that was started, to its end: follow it, write and show what it gave, and say how it went."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nadg_kernel.cli.codes import Code
from nadg_kernel.cli.console import error_line
from nadg_kernel.cli.watch import Ending, Watch
from nadg_kernel.display import clean_text
from nadg_kernel.errors import NadgError, SettingsError
from nadg_kernel.model import SubtaskState
from nadg_kernel.values import PLOTLY_MIME

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from nadg_kernel.display import Bundle
    from nadg_kernel.run import Run

STDOUT = "-"
SHOWN_LINES = 40
"""Lines of each result that are printed after a run; the JSON and the page hold all."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Where results go besides the console, and how long a run may take (seconds)."""

    json_file: str = ""
    html: Path | None = None
    timeout: float | None = None

    @property
    def stdout_is_json(self) -> bool:
        """Whether stdout belongs to a program."""
        return self.json_file == STDOUT

    def require_places(self) -> None:
        """Say before the work, not after it, that a result has nowhere to go. Raises SettingsError."""
        if self.json_file and not self.stdout_is_json:
            require_place("--json", Path(self.json_file))
        if self.html is not None:
            require_place("--html", self.html)


def require_place(option: str, path: Path) -> None:
    """Raise SettingsError where a file cannot be written for want of its folder."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        why = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        message = f"{option} {path} {why}"
        raise SettingsError(message)


def writing(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file of the person's. Raises SettingsError that names it."""
    try:
        write(path)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror or error}"
        raise SettingsError(message) from error


def followed(handle: Run, outputs: Outputs, console: Console) -> int:
    """Follow a run and report it; gives the exit code. Raises SettingsError where a report cannot be written."""
    console.print(f"Run {handle.id}")
    failure: NadgError | None = None
    ending = Ending.SETTLED
    try:
        ending = Watch(handle, console, timeout=outputs.timeout).follow()
    except NadgError as error:  # the run itself broke off: what it gave until then is still written
        failure = error
    if ending is Ending.LEFT:
        error_line(f"left run {handle.id} as it is; `nadg resume {handle.id}` goes on with it")
        return Code.INTERRUPTED
    _write_report(handle, outputs.json_file)
    _show_results(handle, console)
    if outputs.html is not None:
        writing(outputs.html, handle.export)
        console.print(f"\nResults and charts written to {outputs.html}")
    if failure is not None:
        error_line(str(failure))
        return Code.NOT_ALL_SUCCEEDED
    return _verdict(handle, ending is Ending.TIMED_OUT, outputs.timeout)


def _write_report(handle: Run, target: str) -> None:
    if not target:
        return
    from nadg_kernel.cli.report import run_json, to_text

    text = to_text(run_json(handle))
    if target == STDOUT:
        sys.stdout.buffer.write(text.encode())  # JSON is UTF-8 whatever the terminal speaks
        sys.stdout.flush()
        return
    writing(Path(target), lambda path: path.write_text(text, encoding="utf-8"))


def _show_results(handle: Run, console: Console) -> None:
    for name, item in handle.progress.subtasks.items():
        console.print(f"\n== {item.title} ({item.state})")
        lines = [line for bundle in handle[name].bundles() for line in _plain(bundle).splitlines()]
        for line in lines[:SHOWN_LINES]:
            console.print(line)
        if len(lines) > SHOWN_LINES:
            console.print(f"... {len(lines) - SHOWN_LINES} more lines; --json FILE or --html FILE holds all")


def _plain(bundle: Bundle) -> str:
    """What a terminal shows of a bundle: a figure by its title."""
    if isinstance(figure := bundle.get(PLOTLY_MIME), dict):
        title = (figure.get("layout") or {}).get("title")
        text = title.get("text") if isinstance(title, dict) else title
        return f"chart: {clean_text(str(text or 'untitled'), 200)}"
    return str(bundle.get("text/plain", ""))


def _verdict(handle: Run, timed_out: bool, timeout: float | None) -> int:  # noqa: FBT001 - a plain fact
    good = {SubtaskState.SUCCEEDED, SubtaskState.CACHED}
    bad = [item for item in handle.progress.subtasks.values() if item.state not in good]
    if not bad:
        return Code.OK
    counted = ", ".join(f"{item.id} {item.state}" for item in bad)
    late = f" after {timeout:g} s" if timed_out else ""
    error_line(f"run {handle.id} {handle.state}{late}: {counted}")
    return Code.NOT_ALL_SUCCEEDED
