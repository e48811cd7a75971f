"""What can happen on the panel's Results page, as frozen records: files kept, and what should come next."""

from __future__ import annotations

from dataclasses import dataclass

from nadg_kernel.panel.action import Action


@dataclass(frozen=True, kw_only=True)
class KeepFile(Action):
    """Write something of the shown run into the working folder; of an artifact, `subtask` and its place there."""

    what: str
    subtask: str = ""
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class FileKept(Action):
    """Where it was written, in words, or why it was not."""

    text: str
    refused: bool = False
    subtask: str = ""
    """Whose file it is; empty is the run's own."""


@dataclass(frozen=True, kw_only=True)
class AskNext(Action):
    """Ask the planner for more work over the shown run's results, or read it from a chat's answer."""

    words: str
    answer: str | None = None


@dataclass(frozen=True, kw_only=True)
class MakeNextPrompt(Action):
    """Make the text for a chat that is asked for more work over the shown run's results."""

    words: str


@dataclass(frozen=True, kw_only=True)
class NextPromptMade(Action):
    """The text to give to a chat."""

    text: str
