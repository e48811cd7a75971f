"""Exit codes: scripts decide by them, so they have names and are documented in docs/cli.md."""

from enum import IntEnum


class Code(IntEnum):
    """How a command ended."""

    OK = 0
    """For `run`: every subtask ended succeeded or cached."""
    NOT_ALL_SUCCEEDED = 1
    """A run that ended otherwise, or an internal error."""
    BAD_INPUT = 2
    """Usage, settings, data, plan, approval or workers: nothing ran."""
    INTERRUPTED = 130
    """Ctrl-C."""
