"""What a planner would send, step by step, so that a person can read it before anything leaves this machine."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nadg_kernel.model import Command, Plan, Subtask
from nadg_kernel.planners import prompting

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from nadg_kernel.model import DataSchema
    from nadg_kernel.planners.base import Briefing

CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English and code; what a provider counts differs."""
_SHOWN_COLUMNS = 12


def tokens_of(characters: int) -> int:
    """Tokens that a text of so many characters has, about."""
    return -(-characters // CHARACTERS_PER_TOKEN)


@dataclass(frozen=True, kw_only=True)
class PromptStep:
    """One request. `text` is exactly what is sent; a step with a `note` depends on an earlier answer, as it says."""

    name: str
    text: str
    note: str = ""

    @property
    def characters(self) -> int:
        """Length of the text."""
        return len(self.text)

    @property
    def tokens(self) -> int:
        """About so many tokens; a guess from the length."""
        return tokens_of(len(self.text))


@dataclass(frozen=True, kw_only=True)
class SentData:
    """What the texts hold of one piece of data: its columns and number of rows, and rows only as `sample`."""

    name: str
    kind: str
    columns: tuple[str, ...] = ()
    rows: int | None = None
    sample: str = ""
    """The rows that the person allowed, as they are sent; empty: none."""

    @property
    def line(self) -> str:
        """It in one line."""
        shown = ", ".join(self.columns[:_SHOWN_COLUMNS])
        more = f" and {len(self.columns) - _SHOWN_COLUMNS} more" if len(self.columns) > _SHOWN_COLUMNS else ""
        count = "" if self.rows is None else f", the number of rows ({self.rows:,})"
        what = f"columns {shown}{more}{count}" if self.columns else f"that it is {self.kind}{count}"
        return f"{self.name}: {what}, {'sample rows' if self.sample else 'no rows'}"


@dataclass(frozen=True, kw_only=True)
class Preview:
    """All that a call of a planner would send. `model` is to whom; empty where nothing is sent anywhere."""

    planner: str
    model: str = ""
    steps: tuple[PromptStep, ...] = ()
    data: tuple[SentData, ...] = ()
    holds: str = "your command and the shape of your data"
    """What the texts hold, in words."""
    known: bool = True
    """False: a planner of another package that does not say what it sends."""

    @property
    def sends(self) -> bool:
        """Whether anything leaves this machine, or might."""
        return bool(self.model) or not self.known

    @property
    def characters(self) -> int:
        """Of all steps together."""
        return sum(step.characters for step in self.steps)

    @property
    def tokens(self) -> int:
        """Of all steps together, about."""
        return sum(step.tokens for step in self.steps)

    @property
    def line(self) -> str:
        """The whole in one line, for beside a button."""
        if not self.known:
            return f"The planner {self.planner} does not say what it sends"
        if self.model:
            rows = [item.name for item in self.data if item.sample]
            none = "; no rows" if self.data else ""
            with_rows = f"; sample rows of {', '.join(rows)}" if rows else none
            first = self.steps[0].tokens if self.steps else 0
            return f"Sent to {self.model}: {self.holds}{with_rows} (about {first:,} tokens)"
        if self.steps:
            return f"Nothing is sent: the text is for you to copy (about {self.steps[0].tokens:,} tokens)"
        return f"Nothing is sent: the planner {self.planner} works on this machine"

    def __str__(self) -> str:
        """The whole as plain text, every step's text included."""
        lines = [self.line, *(f"  {item.line}" for item in self.data)]
        for step in self.steps:
            lines += ["", f"== {_head(step)}", step.text.rstrip()]
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:
        parts = [f"<p>{html.escape(self.line)}</p>"]
        if self.data:
            parts.append("<ul>" + "".join(f"<li>{html.escape(item.line)}</li>" for item in self.data) + "</ul>")
        parts += [
            f"<details><summary>{html.escape(_head(step))}</summary>"
            f'<pre style="white-space:pre-wrap">{html.escape(step.text)}</pre></details>'
            for step in self.steps
        ]
        return {"text/plain": str(self), "text/html": "".join(parts)}


def sent_data(data: Mapping[str, DataSchema], samples: Mapping[str, str]) -> tuple[SentData, ...]:
    """What is told of data with these schemas, and with these rows."""
    return tuple(
        SentData(
            name=name,
            kind=schema.kind,
            columns=schema.columns[: prompting.COLUMNS_SHOWN],
            rows=schema.rows,
            sample=prompting.sample_text(samples.get(name, "")),
        )
        for name, schema in data.items()
    )


def draft_steps(command: Command, briefing: Briefing) -> tuple[PromptStep, ...]:
    """The requests for a draft. Of those for code only the part is known that does not come from the split."""
    each = Subtask(id="each_subtask", title="each subtask of the split, with what the split says of it")
    plan = Plan(command=command.text, data=dict(command.data))
    return (
        PromptStep(name="split", text=prompting.split_prompt(command, briefing)),
        PromptStep(
            name="code",
            text=prompting.code_prompt(plan, each, command, briefing, {}),
            note="once for each subtask, with the plan of the split; an answer with problems goes back once with them",
        ),
    )


def change_step(plan: Plan, words: str, briefing: Briefing, frozen: Collection[str] = ()) -> PromptStep:
    """The request for changes to a plan."""
    note = "" if words.strip() else "your words stand where it says so"
    asked = words if words.strip() else "(your words)"
    return PromptStep(name="change", text=prompting.change_prompt(plan, asked, briefing, frozen), note=note)


def _head(step: PromptStep) -> str:
    note = f"; {step.note}" if step.note else ""
    return f"{step.name}: {step.characters:,} characters, about {step.tokens:,} tokens{note}"


def report_step(plan: Plan, results: Mapping[str, str]) -> PromptStep:
    """The request for a report over results as text."""
    return PromptStep(name="report", text=prompting.report_prompt(plan, results))
