"""What the panel asks of the grid on its Results page: files for the person's working folder, and what comes next."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import DataError
from nadg_kernel.panel import actions as plan_actions
from nadg_kernel.panel import result_actions as a
from nadg_kernel.panel import result_effects as e
from nadg_kernel.panel.doing_plans import proposed

if TYPE_CHECKING:
    from collections.abc import Callable

    from nadg_kernel.grid import Grid
    from nadg_kernel.panel.action import Action
    from nadg_kernel.panel.effects import Effect
    from nadg_kernel.run import Run

NAME_CHARS = 120


class Results:
    """One method per effect; all are called on the performer's threads."""

    def __init__(self, grid: Grid, run_of: Callable[[str], Run]) -> None:
        """`run_of` gives the handle of a run."""
        self._grid, self._run_of = grid, run_of

    def handlers(self) -> dict[type[Effect], Callable[[Any], Action | None]]:
        """Effect -> what carries it out."""
        return {e.KeepFile: self.keep, e.AskForNext: self.ask_next, e.WriteNextPrompt: self.prompt}

    def keep(self, effect: e.KeepFile) -> Action:
        """Write one file under a name that nothing has yet; the working folder is the notebook's."""
        run, folder = self._run_of(effect.run_id), Path.cwd()
        try:
            match effect.what:
                case "report":
                    path = run.export(_claimed(folder, f"nadg-{run.id}.html"))
                case "notebook":
                    path = run.to_notebook(_claimed(folder, f"nadg-{run.id}.ipynb"))
                case "plan":
                    path = _claimed(folder, f"nadg-{run.id}-plan.json")
                    run.plan.save(path)
                case _:
                    path = self._artifact(run, folder, effect)
        except OSError as error:
            text = f"Nothing can be written into {folder}: {error.strerror or error}."
            return a.FileKept(text=text, refused=True, subtask=effect.subtask)
        return a.FileKept(text=f"Saved as {path}", subtask=effect.subtask)

    def ask_next(self, effect: e.AskForNext) -> Action:
        """More work over what a run gave, by the planner or a chat's answer."""
        run = self._run_of(effect.run_id)
        found = self._grid.follow_up(run, effect.words, answer=effect.answer, planner=effect.planner or None)
        return plan_actions.Proposed(number=effect.number, change=proposed(found, effect.run_id, follows=True))

    def prompt(self, effect: e.WriteNextPrompt) -> Action:
        """The text for a chat."""
        return a.NextPromptMade(text=self._grid.prompt(effect.words, run=self._run_of(effect.run_id)))

    def _artifact(self, run: Run, folder: Path, effect: e.KeepFile) -> Path:
        """Into a folder of its own: beside the notebook, a name such as pandas.py would be imported from then on."""
        files = run[effect.subtask].artifacts
        if not 0 <= effect.number < len(files):
            message = f"{effect.subtask} has no such file any more: it ran again"
            raise DataError(message)
        wanted = files[effect.number]
        try:
            data = self._grid.blobs.get(wanted.sha256)
        except KeyError as error:
            message = f"the bytes of {wanted.path} are not on this machine any more"
            raise DataError(message) from error
        own = folder / f"nadg-{run.id}-files"
        own.mkdir(exist_ok=True)
        path = _claimed(own, file_name(wanted.path))
        path.write_bytes(data)
        return path


def file_name(path: str) -> str:
    """A plain name for a file that foreign code named: no folder, no leading dot, nothing that a shell would read."""
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return re.sub(r"[^\w. -]", "_", name).strip(". ")[-NAME_CHARS:] or "file"


def _claimed(folder: Path, name: str) -> Path:
    """An empty new file of this name, or of the next free one: nothing of the person's is ever written over."""
    wanted = Path(name)
    for number in count(1):
        path = folder / (name if number == 1 else f"{wanted.stem}-{number}{wanted.suffix}")
        if wanted.suffix == ".ipynb" and path.with_name(f"{path.stem}_data").exists():
            continue  # a notebook's data goes there
        try:
            path.open("x").close()
        except FileExistsError:
            continue
        return path
    raise AssertionError
