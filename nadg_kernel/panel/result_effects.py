"""What the Results page asks of the grid, as frozen records."""

from __future__ import annotations

from dataclasses import dataclass

from nadg_kernel.panel.effects import Effect


@dataclass(frozen=True, kw_only=True)
class KeepFile(Effect):
    """Write something of a run into the working folder."""

    run_id: str
    what: str
    subtask: str = ""
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class AskForNext(Effect):
    """Ask the planner for more work over a run's results, or read it from a chat's answer."""

    number: int
    run_id: str
    words: str
    answer: str | None = None
    planner: str = ""


@dataclass(frozen=True, kw_only=True)
class WriteNextPrompt(Effect):
    """Make the text for a chat."""

    run_id: str
    words: str
