"""ChatPlanner: any chat that a person may use becomes the planner, by copy and paste, through the same checks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nadg_kernel.errors import PlannerError
from nadg_kernel.model import Plan
from nadg_kernel.planners import answering, prompting
from nadg_kernel.planners.base import Briefing, PlannerProgress, Tell
from nadg_kernel.planners.drafting import draft_from, suspicious
from nadg_kernel.planners.modelling import bulk_problems
from nadg_kernel.planners.preview import PromptStep
from nadg_kernel.planners.revising import Proposal, new_problems, propose

if TYPE_CHECKING:
    from nadg_kernel.model import Command

Ask = Callable[[str], Awaitable[str]]
"""Takes a prompt to copy and gives what was pasted."""


@dataclass(frozen=True, kw_only=True)
class Pasted:
    """A plan from a pasted answer. With problems, `again` is the prompt to copy for a second round."""

    plan: Plan
    problems: tuple[str, ...] = ()
    again: str = ""


class ChatPlanner:
    """`prompt()` to copy, `read()` for what was pasted. `ask` does both, where a face offers it."""

    name = "chat"

    def __init__(self, ask: Ask | None = None) -> None:
        """Without `ask`, `draft` cannot reach a person and says so."""
        self._ask = ask

    def prompt(self, command: Command, briefing: Briefing) -> str:
        """The text to copy into a chat. Raises PlannerError for an empty command."""
        if not command.text.strip():
            raise PlannerError("the command is empty: type what to do, then copy the prompt")
        return prompting.split_prompt(command, briefing, "chat")

    preview = prompt

    def steps(self, command: Command, briefing: Briefing) -> tuple[PromptStep, ...]:
        """What there is to copy for a draft; nothing is sent by itself."""
        return (PromptStep(name="plan", text=self.prompt(command, briefing)),)

    def read(self, answer: str, command: Command, briefing: Briefing) -> Pasted:
        """The plan of a pasted answer. Raises PlannerError where there is none in it."""
        if not answer.strip():
            raise PlannerError("nothing was pasted: copy the prompt into a chat and paste its whole answer here")
        raw, whole = answering.read_object(answer)
        about = {"name": self.name, "prompts": prompting.prompt_versions()}
        drafted = draft_from(raw, command, briefing, about)
        bulk = bulk_problems(drafted.plan, whole=whole)
        notes = [*drafted.mended, *(f"{text[:1].upper()}{text[1:]}." for text in bulk)]
        questions = (*drafted.plan.questions, *suspicious(drafted.plan))
        plan = replace(drafted.plan, assumptions=(*drafted.plan.assumptions, *notes), questions=questions)
        problems = [*(str(problem) for problem in plan.problems if problem.blocks), *bulk]
        again = self._again(self.prompt(command, briefing), answer, problems) if problems else ""
        return Pasted(plan=plan, problems=tuple(problems), again=again)

    def again(self, answer: str, command: Command, briefing: Briefing) -> str:
        """The text to copy for a second round after an answer. Raises PlannerError where it has no problems."""
        try:
            text = self.read(answer, command, briefing).again
        except PlannerError as error:
            if not answer.strip():
                raise
            return self._again(self.prompt(command, briefing), answer, [str(error)])
        if not text:
            raise PlannerError("this answer has no problems: paste it, there is nothing to ask again")
        return text

    async def draft(self, command: Command, briefing: Briefing, tell: Tell | None = None) -> Plan:
        """A draft through `ask`, with a second round where the first answer has problems."""
        text = self.prompt(command, briefing)
        if self._ask is None:
            message = "chat plans by copy and paste: copy the prompt into any chat and paste its answer back"
            raise PlannerError(message)
        if tell is not None:
            tell(PlannerProgress(text="waiting for the answer to be pasted", details={"prompt": text}))
        first = self.read(await self._ask(text), command, briefing)
        if not first.problems:
            return first.plan
        if tell is not None:
            words = f"{len(first.problems)} problems; copy the second prompt, or keep the plan as it is"
            tell(PlannerProgress(text=words, plan=first.plan, details={"prompt": first.again}))
        answer = await self._ask(first.again)
        return self.read(answer, command, briefing).plan if answer.strip() else first.plan

    def change_prompt(self, plan: Plan, request: str, briefing: Briefing, frozen: Collection[str] = ()) -> str:
        """The text to copy for changes to a plan."""
        return prompting.change_prompt(plan, request, briefing, frozen)

    def read_changes(self, answer: str, plan: Plan, frozen: Collection[str] = ()) -> Proposal:
        """The proposal of a pasted answer. Raises PlannerError where there is no change in it."""
        raw, _ = answering.read_object(answer)
        return propose(plan, raw, frozen=frozen, by=self.name)

    def change_again(
        self, answer: str, plan: Plan, request: str, briefing: Briefing, frozen: Collection[str] = ()
    ) -> str:
        """The text to copy for a second round after an answer to `change_prompt`. PlannerError: no problems in it."""
        if not answer.strip():
            raise PlannerError("nothing was pasted: copy the prompt into a chat and give its whole answer here")
        try:
            problems = new_problems(self.read_changes(answer, plan, frozen))
        except PlannerError as error:
            problems = [str(error)]
        if not problems:
            raise PlannerError("this answer has no problems: take it, there is nothing to ask again")
        return self._again(self.change_prompt(plan, request, briefing, frozen), answer, problems)

    @staticmethod
    def _again(request: str, answer: str, problems: list[str]) -> str:
        listed = "\n".join(f"- {text}" for text in problems)
        return prompting.fill("fix", problems=listed, answer=answer[:100_000], request=request)
