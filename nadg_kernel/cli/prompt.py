"""`nadg prompt`: the text to copy into any chat, whose answer `nadg run --answer` takes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from nadg_kernel.cli.codes import Code
from nadg_kernel.errors import DataError, SettingsError
from nadg_kernel.model import Plan


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was typed after `nadg prompt`."""

    command: str
    data: tuple[str, ...] = ()
    plan: Path | None = None
    answer: str = ""
    samples: int = 0


def prompt(asked: Asked) -> int:
    """Print it, and nothing else, to stdout.

    With `plan` the text for changes to that plan file; with `answer`, a file or `-`, the text for a second round.
    """
    from nadg_kernel.cli.run import parse_data

    if asked.plan is not None and asked.samples:
        raise SettingsError("--samples lets a planner see first rows while it drafts: with --plan nothing is drafted")
    files, given = parse_data(asked.data), read_answer(asked.answer) if asked.answer else None
    plan = None if asked.plan is None else Plan.load(asked.plan)
    from nadg_kernel.grid import Grid

    with Grid(planner="chat") as grid:
        checked = None if plan is None else grid.check(plan, files)
        print(grid.prompt(asked.command, files, plan=checked, answer=given, samples=asked.samples))  # noqa: T201
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
