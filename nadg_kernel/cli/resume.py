"""`nadg resume`: go on with a run that was left, interrupted, or whose machine went down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg_kernel.cli.codes import Code
from nadg_kernel.cli.console import error_line, make_console
from nadg_kernel.cli.following import followed
from nadg_kernel.cli.run import require_worker
from nadg_kernel.display import clean_text

if TYPE_CHECKING:
    from nadg_kernel.cli.following import Outputs

CHARS = 70


def resume(run_id: str | None, outputs: Outputs) -> int:
    """Take the run over and follow it; without an id list those that can be. Gives the exit code. Raises NadgError."""
    outputs.require_places()
    from nadg_kernel.grid import Grid

    if run_id is None:
        with Grid(local_workers=0) as grid:
            found = grid.offers()
        for item in found:
            words = " ".join(clean_text(item.command, CHARS).split())
            print(f"{item.run_id}  {item.done} of {item.total} done  {words}")  # noqa: T201
        if not found:
            error_line("there is no run to go on with")
        return Code.OK
    with Grid() as grid:
        require_worker(grid)
        handle = grid.resume(run_id, show=False)
        return followed(handle, outputs, make_console(stderr=outputs.stdout_is_json))
