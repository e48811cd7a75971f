"""A run on a terminal: a bar, or plain lines where nobody sits, and what Ctrl-C means."""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING

from nadg_kernel.cli.console import ask, can_ask
from nadg_kernel.display import clean_text
from nadg_kernel.model import SubtaskState
from nadg_kernel.runview import detail_text, seconds_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from rich.console import Console
    from rich.progress import Progress, TaskID

    from nadg_kernel.progress import SubtaskProgress
    from nadg_kernel.run import Run

TICK_S = 0.15


class Ending(Enum):
    """How following a run ended."""

    SETTLED = "settled"
    TIMED_OUT = "timed out"
    LEFT = "left"
    """A person went away from it: it is not over and can be resumed."""


class Watch:
    """Follows one run to its end."""

    def __init__(self, run: Run, console: Console, *, timeout: float | None) -> None:
        """Follow for at most `timeout` seconds; what still runs then is cancelled."""
        self._run, self._console = run, console
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._cancelling = self._timed_out = False
        self._view: _Bar | _Lines = _Bar(run, console) if console.is_terminal else _Lines(run, console)

    def follow(self) -> Ending:
        """Wait, show, and take Ctrl-C: the first asks whether to cancel, the next leaves the run as it is."""
        with self._view:
            while True:
                try:
                    if self._settled():
                        self._view.draw()
                        return Ending.TIMED_OUT if self._timed_out else Ending.SETTLED
                    self._view.draw()
                    self._watch_time()
                except KeyboardInterrupt:
                    if self._cancelling or not self._interrupted():
                        return Ending.LEFT

    def _settled(self) -> bool:
        try:
            self._run.wait(TICK_S)
        except TimeoutError:
            return False
        return True

    def _watch_time(self) -> None:
        if self._deadline is not None and not self._timed_out and time.monotonic() > self._deadline:
            self._timed_out = True
            self._cancel("the time given with --timeout is over: cancelling")

    def _interrupted(self) -> bool:
        """Handle the first Ctrl-C; False when the person presses it again at the question."""
        if not can_ask():
            self._cancel("interrupted: cancelling (once more leaves the run, to be resumed later)")
            return True
        try:
            if self._view.pause(lambda: ask("Cancel the run? Ctrl-C again leaves it, to be resumed later.")):
                self._cancel("cancelling")
        except KeyboardInterrupt:
            return False
        return True

    def _cancel(self, words: str) -> None:
        self._cancelling = True
        self._console.print(words)
        self._run.cancel()


class _Lines:
    """One line for each change of a subtask's state that lasts long enough to be seen."""

    def __init__(self, run: Run, console: Console) -> None:
        self._run, self._console = run, console
        self._seen: dict[str, SubtaskState] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to clean up."""

    def draw(self) -> None:
        """Print what changed since the last time."""
        for name, item in self._run.progress.subtasks.items():
            state = item.state
            if self._seen.get(name) is state:
                continue
            self._seen[name] = state
            if state is SubtaskState.RUNNING or state.final:
                self._console.print(self._line(item, state))

    def pause(self, question: Callable[[], bool]) -> bool:
        """Ask in between."""
        return question()

    @staticmethod
    def _line(item: SubtaskProgress, state: SubtaskState) -> str:
        parts = [f"{state:<9}", item.title]
        if state.final:
            parts += [seconds_text(item.seconds), detail_text(item)]
        return clean_text("  ".join(part for part in parts if part), 400)


class _Bar:
    """A bar for the run and one for each subtask that is at work."""

    def __init__(self, run: Run, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        self._run = run
        self._progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        subtasks = self._run.progress.subtasks
        self._whole = self._progress.add_task("run", total=len(subtasks), note="")
        for name, item in subtasks.items():
            self._tasks[name] = self._progress.add_task(
                f"  {item.title}", total=1.0, visible=False, start=False, note=""
            )
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()

    def draw(self) -> None:
        """Bring the bars up to date."""
        progress = self._run.progress
        share = sum(1.0 if item.state.final else item.fraction or 0.0 for item in progress.subtasks.values())
        self._progress.update(self._whole, completed=share, note=f"{progress.done} of {len(progress.subtasks)}")
        for name, task in self._tasks.items():
            item = progress.subtasks[name]
            begun = item.state is SubtaskState.RUNNING or (item.state.final and item.started_at is not None)
            if begun:
                self._progress.start_task(task)
            note = str(item.state) if item.state.final else detail_text(item)
            self._progress.update(task, visible=begun, completed=item.fraction or 0.0, note=note)
            if item.state.final:
                self._progress.stop_task(task)

    def pause(self, question: Callable[[], bool]) -> bool:
        """Ask without the bars painting over the question."""
        self._progress.stop()
        try:
            return question()
        finally:
            self._progress.start()
