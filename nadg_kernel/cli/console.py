"""Where the command line writes: people read one stream, programs the other, and no foreign text is markup."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from nadg_kernel.display import clean_text

if TYPE_CHECKING:
    from rich.console import Console

UNBOUND_WIDTH = 160
"""Columns where the output is no terminal: nothing is cut to a width that nobody has."""


def prepare_streams() -> None:
    """Let a terminal that lacks a character show another one instead of failing (Windows code pages)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def make_console(*, stderr: bool = False) -> Console:
    """A console for people; on stderr where stdout belongs to a program."""
    from rich.console import Console

    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = UNBOUND_WIDTH
    return console


def error_line(text: str) -> None:
    """One line on stderr, whatever the text is."""
    first, *rest = [line.strip() for line in clean_text(text).splitlines() if line.strip()] or ["unknown error"]
    listed = "; ".join(line.removeprefix("- ") for line in rest)
    line = f"{first} {listed}" if first.endswith(":") else "; ".join(filter(None, (first, listed)))
    print(f"nadg: {line}", file=sys.stderr)  # noqa: T201


def can_ask() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> bool:
    """A yes or no on stderr, no by default; an end of input is a no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
    answer = sys.stdin.readline()
    return answer.strip().lower() in {"y", "yes"}
