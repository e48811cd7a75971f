"""`nadg run`: from a command or a plan file to results, with the person's approval in between."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nadg_kernel.cli import planfile
from nadg_kernel.cli.codes import Code
from nadg_kernel.cli.console import ask, can_ask, error_line, make_console
from nadg_kernel.display import clean_text
from nadg_kernel.errors import DataError, NadgError, PlanHasProblems, SettingsError, WorkerError
from nadg_kernel.model import Plan, SubtaskState
from nadg_kernel.model.problems import MAX_CODE_BYTES
from nadg_kernel.values import PLOTLY_MIME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from nadg_kernel.display import Bundle
    from nadg_kernel.grid import Grid
    from nadg_kernel.model import DataSchema, Problem
    from nadg_kernel.run import Run

STDOUT = "-"
LOCAL_READY_S, REMOTE_READY_S = 60.0, 15.0
"""How long to wait for a first worker: one that starts here on a busy machine, and one that is asked elsewhere."""
SHOWN_LINES = 40
"""Lines of each result that are printed after a run; the JSON and the page hold all."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was typed after `nadg run`."""

    command: str | None
    data: tuple[str, ...] = ()
    plan: Path | None = None
    approve: bool = False
    json_file: str = ""
    html: Path | None = None
    save_plan: Path | None = None
    timeout: float | None = None


def run(options: Options) -> int:
    """Do it; gives the exit code. Raises NadgError for input that is no good."""
    if (options.command is None) == (options.plan is None):
        message = "give either a command in quotes or --plan FILE" + ("" if options.plan is None else ", not both")
        raise SettingsError(message)
    data = parse_data(options.data)
    _check_targets(options)
    if options.plan is not None:
        Plan.load(options.plan)  # what is no plan is said before any worker starts
    console = make_console(stderr=options.json_file == STDOUT)
    from nadg_kernel.grid import Grid

    with Grid() as grid:
        plan = _prepared(grid, options, data, console)
        if plan is None:
            return Code.BAD_INPUT
        _require_worker(grid, waited=options.plan is not None)
        handle = grid.run(plan, data, show=False)
        return _followed(handle, options, console)


def parse_data(given: Sequence[str]) -> dict[str, Path]:
    """Read `NAME=FILE` pairs. Raises DataError for what is no pair, a name used twice, or a file that is not there."""
    out: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not name.isidentifier() or not path:
            message = f"--data is NAME=FILE with a Python name, such as reviews=reviews.csv, not {text!r}"
            raise DataError(message)
        if name in out:
            message = f"--data {name} is given twice"
            raise DataError(message)
        out[name] = Path(path).expanduser()
        if not out[name].exists():
            message = f"--data {name}: no such file: {path}"
            raise DataError(message)
    return out


def _check_targets(options: Options) -> None:
    """Say before the work, not after it, that a result has nowhere to go."""
    targets = [("--save-plan", options.save_plan), ("--html", options.html)]
    if options.json_file and options.json_file != STDOUT:
        targets.append(("--json", Path(options.json_file)))
    for option, path in targets:
        if path is None:
            continue
        if path.is_dir() or not path.absolute().parent.is_dir():
            why = "is a folder" if path.is_dir() else "is in a folder that does not exist"
            message = f"{option} {path} {why}"
            raise SettingsError(message)


def _prepared(grid: Grid, options: Options, data: dict[str, Path], console: Console) -> Plan | None:
    """The plan, approved; None when nobody approved it."""
    if options.plan is None:
        plan = grid.plan(options.command or "", data)
    else:
        _wait_for_worker(grid)  # so that problems name imports that no worker has
        attached = grid.check(Plan(command=""), data).context.attached
        schemas: dict[str, DataSchema] = {name: item.schema for name, item in attached.items()}
        plan = planfile.load(options.plan, schemas)
        planfile.require_data(plan, set(schemas))
        plan = grid.check(plan, attached)
        if plan.approval is not None:
            departures = planfile.departures(plan, schemas)
            if not departures:
                return _saved(_runnable(plan), options, console)
            if not options.approve:
                raise planfile.refuse(options.plan, plan, departures)
            console.print("Approved anew, for it changed since its approval: " + "; ".join(departures))
        plan = planfile.with_schemas(plan, schemas)
    _show(plan, console, code=not options.approve)
    if _blocking(plan):
        _saved(plan, options, console)
        raise PlanHasProblems(_blocking(plan))
    if options.approve or (can_ask() and ask("Approve and run this plan?")):
        return _saved(plan.approve(), options, console)
    _saved(plan, options, console)
    error_line("not approved, nothing ran" if can_ask() else "nothing ran: without a terminal, --approve is needed")
    return None


def _runnable(plan: Plan) -> Plan:
    """An approved plan may still be impossible here: other workers, other data."""
    if blocking := _blocking(plan):
        raise PlanHasProblems(blocking)
    return plan


def _blocking(plan: Plan) -> list[Problem]:
    return [problem for problem in plan.problems if problem.blocks]


def _show(plan: Plan, console: Console, *, code: bool) -> None:
    """Show what an approval covers; the code too where somebody is still to decide."""
    for item in plan.subtasks if code else ():
        console.print(clean_text(f"-- {item.id}: {item.name}\n{item.code.rstrip()}\n", MAX_CODE_BYTES))
    console.print(clean_text(str(plan), MAX_CODE_BYTES))
    granted = [
        f"{item.name}: {', '.join(item.permissions.granted)}" for item in plan.subtasks if item.permissions.granted
    ]
    console.print("Permissions: " + ("; ".join(granted) if granted else "none (no network, no processes, no GPU)"))


def _saved(plan: Plan, options: Options, console: Console) -> Plan:
    if options.save_plan is not None:
        _writing(options.save_plan, plan.save)
        console.print(f"{'Approved plan' if plan.approved else 'Draft'} written to {options.save_plan}")
    return plan


def _wait_for_worker(grid: Grid) -> bool:
    return grid.wait_ready(timeout=LOCAL_READY_S if grid.settings.local_workers else REMOTE_READY_S)


def _require_worker(grid: Grid, *, waited: bool) -> None:
    if grid.wait_ready(timeout=0.1) if waited else _wait_for_worker(grid):
        return
    states = grid.worker_states()
    if not states:
        message = "there is no worker: NADG_LOCAL_WORKERS is 0 and none is registered. Nothing ran"
        raise WorkerError(message)
    told = "; ".join(
        f"{state.worker_id} is {state.health}{': ' if state.reason else ''}{state.reason}" for state in states
    )
    message = f"no worker is ready ({told}). Nothing ran"
    raise WorkerError(message)


def _followed(handle: Run, options: Options, console: Console) -> int:
    from nadg_kernel.cli.watch import Ending, Watch

    console.print(f"Run {handle.id}")
    failure: NadgError | None = None
    ending = Ending.SETTLED
    try:
        ending = Watch(handle, console, timeout=options.timeout).follow()
    except NadgError as error:  # the run itself broke off: what it gave until then is still written
        failure = error
    if ending is Ending.LEFT:
        error_line(f"left run {handle.id} as it is; Grid().resume({handle.id!r}) goes on with it")
        return Code.INTERRUPTED
    _write_report(handle, options.json_file)
    _show_results(handle, console)
    if options.html is not None:
        _writing(options.html, handle.export)
        console.print(f"\nResults and charts written to {options.html}")
    if failure is not None:
        error_line(str(failure))
        return Code.NOT_ALL_SUCCEEDED
    return _verdict(handle, ending is Ending.TIMED_OUT, options.timeout)


def _write_report(handle: Run, target: str) -> None:
    if not target:
        return
    from nadg_kernel.cli.report import run_json, to_text

    text = to_text(run_json(handle))
    if target == STDOUT:
        sys.stdout.buffer.write(text.encode())  # JSON is UTF-8 whatever the terminal speaks
        sys.stdout.flush()
        return
    _writing(Path(target), lambda path: path.write_text(text, encoding="utf-8"))


def _writing(path: Path, write: Callable[[Path], object]) -> None:
    try:
        write(path)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror or error}"
        raise SettingsError(message) from error


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
