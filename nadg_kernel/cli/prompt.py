"""`nadg prompt`: the text to copy into any chat, whose answer `nadg run --answer` takes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nadg_kernel.cli.codes import Code
from nadg_kernel.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence


def prompt(command: str, data: Sequence[str], answer: str) -> int:
    """Print it, and nothing else, to stdout; with `answer`, a file or `-`, the text for a second round."""
    from nadg_kernel.cli.run import parse_data

    files, given = parse_data(data), read_answer(answer) if answer else None
    from nadg_kernel.grid import Grid

    with Grid(planner="chat") as grid:
        print(grid.prompt(command, files, answer=given))  # noqa: T201
    return Code.OK


def read_answer(place: str) -> str:
    """What a chat answered, from a file or, for `-`, from stdin. Raises DataError where it is no text."""
    try:
        raw = sys.stdin.buffer.read() if place == "-" else Path(place).expanduser().read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        message = f"--answer {place}: {error.strerror or error}"
        raise DataError(message) from error
    except UnicodeDecodeError as error:
        message = f"--answer {place}: it is no UTF-8 text"
        raise DataError(message) from error
