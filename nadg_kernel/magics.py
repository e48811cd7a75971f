"""Cell magics: `%%nadg` drafts a plan from a cell's text, `%%subtask` debugs a subtask here and writes it back."""

from __future__ import annotations

import argparse
import re
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from nadg_kernel.errors import EditError, NadgError, PlannerError, RunNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from IPython.core.interactiveshell import InteractiveShell

    from nadg_kernel.grid import Grid
    from nadg_kernel.model import Plan
    from nadg_kernel.run import Run

PLAN_NAME, RESULT_NAME = "_plan", "_result"
"""Where the magics leave what they made, in the notebook's namespace."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line instead of leaving the kernel."""
        raise EditError(f"{message}. Usage: {self.format_usage().removeprefix('usage: ').strip()}")

    def read(self, line: str) -> argparse.Namespace:
        """Read a magic's line."""
        try:
            return self.parse_args(shlex.split(line))
        except ValueError as error:
            self.error(str(error))


def _nadg_parser() -> _Parser:
    parser = _Parser(prog="%%nadg", add_help=False)
    parser.add_argument("--data", nargs="*", metavar="NAME", help="variables to attach")
    parser.add_argument("--planner", metavar="PLANNER", help="gemini, chat or recipes")
    return parser


def _subtask_parser() -> _Parser:
    parser = _Parser(prog="%%subtask", add_help=False)
    parser.add_argument("subtask", metavar="ID")
    parser.add_argument("run", metavar="RUN_ID", nargs="?", help="the newest run with this subtask if left out")
    parser.add_argument("--shard", type=int, default=0, metavar="N", help="which piece of a map, from 0")
    return parser


class Magics:
    """The magics over one notebook's shell. Errors of ours are one line, those of the person's code a traceback."""

    def __init__(self, shell: InteractiveShell) -> None:
        """Use the shell's namespace to find the grid, the frames and the runs."""
        self.shell = shell

    def nadg(self, line: str, cell: str) -> None:
        """`%%nadg [--data NAME ...] [--planner PLANNER]`: draft a plan from the cell's text, and show it as `_plan`.

        Without --data: the data frames whose names the text mentions, or all of the notebook's frames if it mentions
        none.
        """
        with _plain_errors():
            options = _nadg_parser().read(line)
            if not cell.strip():
                raise PlannerError("the cell is empty: type below %%nadg what to do")
            data = self._chosen(options.data) if options.data is not None else self._frames(cell)
            plan = self._grid().plan(cell.strip(), data, planner=options.planner)
            self._keep(plan)
            self._display(plan)
            grid = self._grid_name()
            attached = ", ".join(data) or "nothing"
            print(f"Attached: {attached}. Edit: {PLAN_NAME} = {PLAN_NAME}.edit(...)")  # noqa: T201
            print(f"Run: run = {grid}.run({PLAN_NAME}.approve())")  # noqa: T201

    def subtask(self, line: str, cell: str) -> None:
        """`%%subtask ID [RUN_ID] [--shard N]`: run the cell's code here on the run's real inputs.

        The code sees `inputs`, `shard`, `shards`, `progress` and `display` as on a worker; its `result` is shown and
        kept as `_result`. Code that ran becomes an edit of the run's plan, a draft that a person approves.
        """
        with _plain_errors():
            options = _subtask_parser().read(line)
            run = self._run(options.run) if options.run else self._newest(options.subtask)
            inputs = run.inputs(options.subtask, options.shard)
            pieces = len(run.progress.subtasks[options.subtask].shards) or 1
        namespace = self._worker_namespace(inputs, options.shard, pieces)
        filename = self.shell.compile.cache(cell, raw_code=cell)
        exec(compile(cell, filename, "exec"), namespace)  # noqa: S102 - the person's own cell, as any cell is run
        result = namespace.get("result")
        self.shell.user_ns[RESULT_NAME] = result
        if result is not None:
            self._display(result)
        self._write_back(run, options.subtask, cell)

    def _write_back(self, run: Run, subtask: str, code: str) -> None:
        if code.strip() == run.plan[subtask].code.strip():
            print(f"The code of {subtask!r} is as it was.")  # noqa: T201
            return
        with _plain_errors():
            run.plan = run.plan.edit(subtask, code=code)
        self._keep(run.plan)
        print(f"Written back to {subtask!r}; the plan is a draft again, as run.plan and {PLAN_NAME}.")  # noqa: T201
        print(f"Approve and go on: run.revise({PLAN_NAME}.approve())")  # noqa: T201
        if problems := [str(problem) for problem in run.plan.problems if problem.blocks]:
            print("Before that: " + "; ".join(problems))  # noqa: T201

    def _worker_namespace(self, inputs: Mapping[str, Any], shard: int, shards: int) -> dict[str, Any]:
        return {
            "__name__": "__main__",
            "inputs": dict(inputs),
            "shard": shard,
            "shards": shards,
            "progress": self._progress(),
            "display": self._display,
        }

    def _progress(self) -> Callable[..., None]:
        from IPython.display import display

        handle: list[Any] = []

        def progress(fraction: float | None = None, text: str = "") -> None:
            words = " ".join(filter(None, ("" if fraction is None else f"{fraction:.0%}", text)))
            bundle = {"text/plain": words}
            if handle:
                handle[0].update(bundle, raw=True)
            else:
                handle.append(display(bundle, raw=True, display_id=True))  # type: ignore[no-untyped-call]

        return progress

    @staticmethod
    def _display(value: object) -> None:
        from IPython.display import display

        display(value)  # type: ignore[no-untyped-call]

    def _keep(self, plan: Plan) -> None:
        self.shell.user_ns[PLAN_NAME] = plan

    def _grids(self) -> Iterator[tuple[str, Grid]]:
        from nadg_kernel.grid import Grid

        names = sorted(self.shell.user_ns, key=lambda name: (name != "grid", name))
        for name in names:
            if isinstance(value := self.shell.user_ns[name], Grid) and not name.startswith("_"):
                yield name, value

    def _grid(self) -> Grid:
        """The notebook's grid, `grid` first; a new one under that name where there is none."""
        from nadg_kernel.grid import Grid

        for _name, grid in self._grids():
            return grid
        made = self.shell.user_ns["grid"] = Grid()
        return made

    def _grid_name(self) -> str:
        return next((name for name, _grid in self._grids()), "grid")

    def _run(self, run_id: str) -> Run:
        for _name, grid in self._grids():
            if run_id in grid.runs_here:
                return grid.runs_here[run_id]
        raise RunNotFound(run_id)

    def _newest(self, subtask: str) -> Run:
        """The run that was started last of those that have the subtask."""
        here = [run for _name, grid in self._grids() for run in grid.runs_here.values() if subtask in run.plan.ids]
        if not here:
            raise EditError(f"no run here has a subtask {subtask!r}: run a plan first, or give the run's id")
        return max(here, key=lambda run: run.id)

    def _chosen(self, names: list[str]) -> dict[str, Any]:
        namespace = self.shell.user_ns
        if missing := [name for name in names if name not in namespace]:
            known = ", ".join(self._all_frames()) or "none"
            raise EditError(f"there is no variable {missing[0]!r} in this notebook (data frames: {known})")
        return {name: namespace[name] for name in names}

    def _frames(self, text: str) -> dict[str, Any]:
        frames = self._all_frames()
        named = {name: frame for name, frame in frames.items() if re.search(rf"\b{re.escape(name)}\b", text)}
        return named or frames

    def _all_frames(self) -> dict[str, Any]:
        import pandas as pd

        hidden = getattr(self.shell, "user_ns_hidden", {})
        return {
            name: value
            for name, value in self.shell.user_ns.items()
            if isinstance(value, pd.DataFrame) and not name.startswith("_") and name not in hidden
        }


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn an error of this package into IPython's usage error, which is shown as a line without a traceback."""
    try:
        yield
    except NadgError as error:
        from IPython.core.error import UsageError

        raise UsageError(str(error)) from error


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext nadg_kernel`: register `%%nadg` and `%%subtask`."""
    magics = Magics(shell)
    register = shell.magics_manager.register_function
    register(magics.nadg, "cell", "nadg")
    register(magics.subtask, "cell", "subtask")
