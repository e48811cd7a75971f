"""`nadg run`: from a command or a plan file to results, with the person's approval in between."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nadg_kernel.budget import Budget
from nadg_kernel.cli import planfile
from nadg_kernel.cli.codes import Code
from nadg_kernel.cli.console import ask, can_ask, error_line, make_console
from nadg_kernel.cli.following import Outputs, followed, require_place, writing
from nadg_kernel.cli.prompt import read_answer
from nadg_kernel.display import clean_text
from nadg_kernel.errors import DataError, PlanHasProblems, SettingsError, WorkerError
from nadg_kernel.model import Plan
from nadg_kernel.model.problems import MAX_CODE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from nadg_kernel.grid import Grid
    from nadg_kernel.model import DataSchema, Problem

LOCAL_READY_S, REMOTE_READY_S = 60.0, 15.0
"""How long to wait for a first worker: one that starts here on a busy machine, and one that is asked elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was typed after `nadg run`."""

    command: str | None
    data: tuple[str, ...] = ()
    plan: Path | None = None
    answer: str = ""
    samples: int = 0
    max_tokens: int | None = None
    approve: bool = False
    save_plan: Path | None = None
    outputs: Outputs


def run(options: Options) -> int:
    """Do it; gives the exit code. Raises NadgError for input that is no good."""
    if (options.command is None) == (options.plan is None):
        message = "give either a command in quotes or --plan FILE" + ("" if options.plan is None else ", not both")
        raise SettingsError(message)
    if options.samples and (options.command is None or options.answer):
        raise SettingsError("--samples lets a planner see first rows while it drafts: here nothing is drafted")
    budget = None if options.max_tokens is None else Budget(tokens=options.max_tokens)
    data = parse_data(options.data)
    answer = read_answer(options.answer) if options.answer else None
    options.outputs.require_places()
    if options.save_plan is not None:
        require_place("--save-plan", options.save_plan)
    if options.plan is not None:
        Plan.load(options.plan)  # what is no plan is said before any worker starts
    console = make_console(stderr=options.outputs.stdout_is_json)
    from nadg_kernel.grid import Grid

    with Grid() as grid:
        plan = _prepared(grid, options, data, answer, console)
        if plan is None:
            return Code.BAD_INPUT
        require_worker(grid, waited=options.plan is not None)
        handle = grid.run(plan, data, show=False, budget=budget)
        return followed(handle, options.outputs, console)


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


def _prepared(grid: Grid, options: Options, data: dict[str, Path], answer: str | None, console: Console) -> Plan | None:
    """The plan, approved; None when nobody approved it."""
    if options.plan is None:
        plan = _drafted(grid, options, data, answer, console)
    else:
        _wait_for_worker(grid)  # so that problems name imports that no worker has
        attached = grid.check(Plan(command=""), data).context.attached
        schemas: dict[str, DataSchema] = {name: item.schema for name, item in attached.items()}
        plan = planfile.load(options.plan, schemas)
        planfile.require_data(plan, set(schemas))
        plan = grid.check(plan, attached)
        if answer is not None:
            proposal = grid.revise(plan, answer=answer)
            console.print(clean_text("\n".join([proposal.diff(), "", *proposal.notes]), MAX_CODE_BYTES))
            plan = proposal.plan
        elif plan.approval is not None:
            departures = planfile.departures(plan, schemas)
            if not departures:
                return _saved(_runnable(plan), options, console)
            if not options.approve:
                raise planfile.refuse(options.plan, plan, departures)
            console.print("Approved anew, for it changed since its approval: " + "; ".join(departures))
        plan = planfile.with_schemas(plan, schemas)
    _show(plan, console, code=not options.approve)
    console.print(clean_text(str(grid.estimate(plan)), MAX_CODE_BYTES))
    if _blocking(plan):
        _saved(plan, options, console)
        if answer is not None:
            console.print("nadg prompt with the same words and --answer FILE prints the text for a second round")
        raise PlanHasProblems(_blocking(plan))
    if options.approve or (can_ask() and ask("Approve and run this plan?")):
        return _saved(plan.approve(), options, console)
    _saved(plan, options, console)
    error_line("not approved, nothing ran" if can_ask() else "nothing ran: without a terminal, --approve is needed")
    return None


def _drafted(grid: Grid, options: Options, data: dict[str, Path], answer: str | None, console: Console) -> Plan:
    """A draft of the command: a chat's, or that of the planner, after saying what it is sent."""
    command = options.command or ""
    if answer is not None:
        return grid.paste(answer, command, data)
    shown = grid.prompt_preview(command, data, samples=options.samples)
    if shown.sends:
        console.print(clean_text(shown.line))
    return grid.plan(command, data, samples=options.samples)


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
        writing(options.save_plan, plan.save)
        console.print(f"{'Approved plan' if plan.approved else 'Draft'} written to {options.save_plan}")
    return plan


def _wait_for_worker(grid: Grid) -> bool:
    return grid.wait_ready(timeout=LOCAL_READY_S if grid.settings.local_workers else REMOTE_READY_S)


def require_worker(grid: Grid, *, waited: bool = False) -> None:
    """Raise WorkerError, saying why, where no worker can take anything."""
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
