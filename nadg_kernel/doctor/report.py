"""What the doctor says: one frozen Check per thing looked at, and all of them as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from html import escape
from typing import Any

from nadg_kernel.display import clean_text

_COLOURS = {"ok": "#1a7f37", "note": "#9a6700", "problem": "#cf222e"}


class State(StrEnum):
    """How a thing is."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; everything that is asked of it works."""
    PROBLEM = "problem"
    """Something that the settings ask for cannot work."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `found` and `do` are text without secrets; `do` is empty where all is well."""

    topic: str
    what: str
    state: State
    found: str
    do: str = ""


@dataclass(frozen=True)
class Report:
    """All checks in their order; a notebook shows it as a table."""

    checks: tuple[Check, ...]

    @property
    def problems(self) -> tuple[Check, ...]:
        """The checks that found a problem."""
        return tuple(check for check in self.checks if check.state is State.PROBLEM)

    @property
    def summary(self) -> str:
        """Counts, in words."""
        count = {state: sum(check.state is state for check in self.checks) for state in State}
        problems = "problem" if count[State.PROBLEM] == 1 else "problems"
        notes = "note" if count[State.NOTE] == 1 else "notes"
        return f"{count[State.PROBLEM]} {problems}, {count[State.NOTE]} {notes}, {count[State.OK]} ok"

    def to_json(self) -> dict[str, Any]:
        """`{"ok", "checks"}`; each check is an object of its five fields."""
        return {"ok": not self.problems, "checks": [asdict(check) for check in self.checks]}

    def __repr__(self) -> str:
        """One line per check, and what to do below it."""
        return "\n".join([*(line(check) for check in self.checks), self.summary])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{_html(check.topic)}</td><td>{_html(check.what)}</td>"
            f'<td style="color:{_COLOURS[check.state]}">{_html(check.state)}</td>'
            f"<td>{_html(check.found)}</td><td>{_html(check.do)}</td></tr>"
            for check in self.checks
        )
        head = "".join(f"<th scope='col'>{name}</th>" for name in ("topic", "what", "state", "found", "what to do"))
        style = "text-align:left;white-space:normal;overflow-wrap:anywhere"
        return (
            f"<table style='{style}'><caption>{_html(self.summary)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )


def line(check: Check) -> str:
    """A check as plain text, for logs and terminals that show no table."""
    first = f"{check.state:<8} {check.topic}, {check.what}: {check.found}"
    text = f"{first}; {check.do}" if check.do else first
    return clean_text(" ".join(text.split(" ")).replace("\n", " "))


def _html(text: str) -> str:
    return escape(clean_text(text))
