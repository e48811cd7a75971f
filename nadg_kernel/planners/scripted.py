"""Planners and models that say what they were told to say: for tests, notebooks and demonstrations without a key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from nadg_kernel.errors import PlannerError
from nadg_kernel.model import Command, Plan
from nadg_kernel.planners import answering
from nadg_kernel.planners.base import Briefing, PlannerProgress, Tell
from nadg_kernel.planners.drafting import draft_from
from nadg_kernel.planners.modelling import Reply, Say, Usage

Answer = Plan | Mapping[str, Any] | str | Exception
"""A plan, an answer as JSON or text, or an error to raise."""


@dataclass
class ScriptedPlanner:
    """Gives its answers one after another, the last one again and again. `asked` keeps the commands."""

    answers: tuple[Answer, ...]
    name: str = "scripted"
    asked: list[Command] = field(default_factory=list)

    async def draft(self, command: Command, briefing: Briefing, tell: Tell | None = None) -> Plan:
        """The next answer as a draft of this command."""
        if not self.answers:
            raise PlannerError("the scripted planner has no answers")
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append(command)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Plan):
            plan = replace(
                answer, command=command.text, data=dict(command.data), context=briefing.context, approval=None
            )
        else:
            raw = answering.read_object(answer)[0] if isinstance(answer, str) else answer
            plan = draft_from(raw, command, briefing, {"name": self.name}).plan
        if tell is not None:
            tell(PlannerProgress(text=f"{len(plan)} subtasks as scripted", plan=plan))
        return plan


@dataclass
class ScriptedModel:
    """A model that answers by a function of the prompt: text, an object, a Reply, or an error to raise."""

    reply: Callable[[str], Any]
    name: str = "scripted-model"
    prompts: list[str] = field(default_factory=list)

    def session(self) -> AbstractAsyncContextManager[None]:
        """Nothing to close."""
        return nullcontext()

    async def generate(self, prompt: str, schema: Mapping[str, Any] | None, say: Say) -> Reply:  # noqa: ARG002
        """The function's answer at once."""
        self.prompts.append(prompt)
        answer = self.reply(prompt)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Reply):
            return answer
        text = answer if isinstance(answer, str) else json.dumps(answer)
        say(f"{self.name} answered")
        return Reply(text=text, usage=Usage(calls=1, prompt_tokens=len(prompt) // 4, answer_tokens=len(text) // 4))

    async def count(self, prompt: str) -> int:
        """A token is four characters here."""
        return len(prompt) // 4
