"""ModelPlanner: asks a language model in two steps, structure and then code, and checks each answer once more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from nadg_kernel.errors import PlannerError
from nadg_kernel.model import NEEDS_CODE, Command, Plan, Problem, Subtask
from nadg_kernel.planners import answering, prompting, schemas
from nadg_kernel.planners.base import Briefing, PlannerProgress, Tell
from nadg_kernel.planners.drafting import Drafted, draft_from, suspicious, with_code
from nadg_kernel.planners.preview import PromptStep, draft_steps
from nadg_kernel.planners.revising import Proposal, new_problems, propose

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

AT_ONCE = 8
"""Requests for code in flight."""
_STRUCTURE = frozenset(
    {"cycle", "dangling", "unknown_input", "duplicate_id", "name_collision", "bad_id", "label", "no_model", "map_input"}
)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one or more calls took, in tokens as the model's provider counts them."""

    calls: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            answer_tokens=self.answer_tokens + other.answer_tokens,
        )

    def to_json(self) -> dict[str, int]:
        """As a plan keeps it."""
        return {"calls": self.calls, "prompt_tokens": self.prompt_tokens, "answer_tokens": self.answer_tokens}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a model said. `cut`: it reached its output limit, so the text may end anywhere."""

    text: str
    usage: Usage = field(default_factory=lambda: Usage(calls=1))
    cut: bool = False


Say = Callable[[str], None]
"""Takes words about a wait or how far an answer is."""


class Model(Protocol):
    """A language model behind an API. Raises PlannerError that says what to do, and nothing else."""

    @property
    def name(self) -> str:
        """The model's own name."""

    def session(self) -> AbstractAsyncContextManager[None]:
        """Around a task's calls: connections are closed at its end. Tasks may overlap."""

    async def generate(self, prompt: str, schema: Mapping[str, Any] | None, say: Say) -> Reply:
        """Answer a prompt, as JSON of the schema where there is one."""

    async def count(self, prompt: str) -> int:
        """Tokens of a prompt."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one draft may take; reached, it stops with a message and keeps what is there."""

    calls: int = 120
    tokens: int = 1_000_000


class ModelPlanner:
    """Drafts with a model. The draft may lack code where the model failed; the plan says so and can be edited."""

    def __init__(self, model: Model, name: str, budget: Budget | None = None) -> None:
        """`name` is how settings and the panel call this planner."""
        self.model, self._name = model, name
        self.budget = budget or Budget()

    @property
    def name(self) -> str:
        """How settings and the panel call it."""
        return self._name

    async def draft(self, command: Command, briefing: Briefing, tell: Tell | None = None) -> Plan:
        """A draft: its structure first, then the code of its subtasks side by side, each told as it arrives."""
        async with self.model.session():
            return await Drafting(self, command, briefing, tell).run()

    async def revise(
        self,
        plan: Plan,
        feedback: str,
        briefing: Briefing | None = None,
        *,
        subtask: str | None = None,
        frozen: Collection[str] = (),
    ) -> Proposal:
        """Changes that a person asks for in words (see Reviser)."""
        if not feedback.strip():
            raise PlannerError("say in words what should change")
        about = f"About the subtask {plan[subtask].id!r} only: " if subtask is not None else ""
        async with self.model.session():
            return await self._change(plan, about + feedback, briefing, frozen)

    async def repair(
        self,
        plan: Plan,
        subtask: str,
        error: str,
        briefing: Briefing | None = None,
        *,
        shapes: str = "",
        frozen: Collection[str] = (),
    ) -> Proposal:
        """Changes after a failure (see Reviser)."""
        request = prompting.repair_request(plan[subtask], error, shapes)
        async with self.model.session():
            return await self._change(plan, request, briefing, frozen)

    async def synthesize(self, plan: Plan, results: Mapping[str, str]) -> str:
        """A Markdown report over results as text, by subtask."""
        asking = Asking(self.model, self.budget, lambda _text: None)
        async with self.model.session():
            reply = await asking.ask(prompting.report_prompt(plan, results), None)
        return reply.text.strip() + "\n"

    async def _change(self, plan: Plan, request: str, briefing: Briefing | None, frozen: Collection[str]) -> Proposal:
        asking = Asking(self.model, self.budget, lambda _text: None)
        prompt = prompting.change_prompt(plan, request, briefing or Briefing(context=plan.context), frozen)
        found = await self._changed(asking, prompt, plan, frozen)
        return replace(found, plan=replace(found.plan, planner=self._spent(plan, asking.usage)))

    async def _changed(self, asking: Asking, prompt: str, plan: Plan, frozen: Collection[str]) -> Proposal:
        reply = await asking.ask(prompt, schemas.CHANGE)
        try:
            first = propose(plan, answering.read_object(reply.text)[0], frozen=frozen, by=self.name)
        except PlannerError as error:
            again = await asking.again(prompt, schemas.CHANGE, reply.text, [str(error)])
            return propose(plan, answering.read_object(again.text)[0], frozen=frozen, by=self.name)
        problems = new_problems(first)
        if not problems:
            return first
        try:
            again = await asking.again(prompt, schemas.CHANGE, reply.text, problems)
            second = propose(plan, answering.read_object(again.text)[0], frozen=frozen, by=self.name)
        except PlannerError:
            return first
        return second if len(new_problems(second)) <= len(problems) else first

    def _spent(self, plan: Plan, usage: Usage) -> dict[str, Any]:
        """What the plan keeps of its planner, with what this change took on top."""
        known = plan.planner.get("usage")
        before = {name: int(known.get(name) or 0) for name in usage.to_json()} if isinstance(known, Mapping) else {}
        total = {name: value + before.get(name, 0) for name, value in usage.to_json().items()}
        return {**plan.planner, "model": self.model.name, "usage": total}

    def preview(self, command: Command, briefing: Briefing) -> str:
        """Exactly what the first request would send."""
        return _checked_prompt(command, briefing)

    def steps(self, command: Command, briefing: Briefing) -> tuple[PromptStep, ...]:
        """All requests of a draft, as far as they are known before the first answer."""
        _checked_prompt(command, briefing)
        return draft_steps(command, briefing)

    async def estimate(self, command: Command, briefing: Briefing) -> int:
        """Tokens of the first request, as the provider counts them."""
        prompt = _checked_prompt(command, briefing)
        async with self.model.session():
            return await self.model.count(prompt)


def _checked_prompt(command: Command, briefing: Briefing) -> str:
    if not command.text.strip():
        raise PlannerError("the command is empty: type what to do")
    return prompting.split_prompt(command, briefing)


def bulk_problems(plan: Plan, *, whole: bool) -> list[str]:
    """What is wrong with an answer as a whole, in words that go back to the model."""
    out = [] if whole else ["the answer was cut off: fewer subtasks, shorter texts"]
    if len(plan) > prompting.MOST_SUBTASKS:
        out.append(f"{len(plan)} subtasks are many: at most {prompting.MOST_SUBTASKS}, merge them")
    return out


class Asking:
    """Calls of one task to a model: counts them, holds the budget, and sends problems back once."""

    def __init__(self, model: Model, budget: Budget, say: Say) -> None:
        self.model, self.budget, self.say = model, budget, say
        self.usage = Usage()

    async def ask(self, prompt: str, schema: Mapping[str, Any] | None) -> Reply:
        """One call. Raises PlannerError when the budget is used up."""
        used = self.usage.prompt_tokens + self.usage.answer_tokens
        if self.usage.calls >= self.budget.calls or used >= self.budget.tokens:
            message = (
                f"the planner's budget is used up ({self.usage.calls} calls, {used:,} tokens): "
                "raise it, or finish the plan by hand"
            )
            raise PlannerError(message)
        self.usage += Usage(calls=1)
        reply = await self.model.generate(prompt, schema, self.say)
        self.usage += replace(reply.usage, calls=0)
        return reply

    async def again(self, prompt: str, schema: Mapping[str, Any] | None, answer: str, problems: Sequence[str]) -> Reply:
        """The same request with the problems of its answer."""
        listed = "\n".join(f"- {text}" for text in problems)
        return await self.ask(prompting.fill("fix", problems=listed, answer=answer[:100_000], request=prompt), schema)


class Drafting:
    """One draft in the making."""

    def __init__(self, planner: ModelPlanner, command: Command, briefing: Briefing, tell: Tell | None) -> None:
        self.command, self.briefing, self.planner = command, briefing, planner
        self.tell = tell or (lambda _progress: None)
        self.asking = Asking(planner.model, planner.budget, lambda text: self.tell(PlannerProgress(text=text)))
        self.lock = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> Plan:
        """Structure, then code."""
        prompt = _checked_prompt(self.command, self.briefing)
        self.tell(PlannerProgress(text=f"asking {self.planner.model.name} for a split"))
        drafted = await self._split(prompt)
        self._show(drafted.plan, f"{len(drafted.plan)} subtasks; writing their code")
        return await self._code(drafted)

    async def _split(self, prompt: str) -> Drafted:
        reply = await self.asking.ask(prompt, schemas.SPLIT)
        first, problems = self._read(reply)
        if not problems:
            assert first is not None  # noqa: S101 - an answer without problems was read
            return first
        self.tell(PlannerProgress(text="the answer has problems; asking once more"))
        try:
            second, left = self._read(await self.asking.again(prompt, schemas.SPLIT, reply.text, problems))
        except PlannerError:
            if first is None:
                raise
            return first
        best = second if second is not None and (first is None or len(left) <= len(problems)) else first
        if best is None:
            message = (
                f"{self.planner.model.name} gave no usable plan, twice: {left[0]}. Try again, or use chat or recipes"
            )
            raise PlannerError(message)
        return best

    def _read(self, reply: Reply) -> tuple[Drafted | None, list[str]]:
        try:
            raw, whole = answering.read_object(reply.text)
            drafted = draft_from(raw, self.command, self.briefing, {})
        except PlannerError as error:
            return None, [f"{error}{' (it was cut off: answer shorter)' if reply.cut else ''}"]
        problems = [str(problem) for problem in drafted.plan.problems if problem.code in _STRUCTURE]
        bulk = bulk_problems(drafted.plan, whole=whole and not reply.cut)
        drafted.mended += [f"{text[:1].upper()}{text[1:]}." for text in bulk]
        return drafted, problems + bulk

    async def _code(self, drafted: Drafted) -> Plan:
        plan = drafted.plan
        wanted = [item for item in plan.subtasks if item.kind == "python"]
        done: dict[str, Subtask] = {}
        failed: dict[str, str] = {}

        async def one(item: Subtask) -> None:
            try:
                async with self.lock:
                    done[item.id] = await self._one(plan, item, drafted.expected)
            except PlannerError as error:
                failed[item.id] = str(error)
                done[item.id] = _unwritten(item, str(error))
            self._show(_with(plan, done), f"code of {len(done)} of {len(wanted)} subtasks")

        async with asyncio.TaskGroup() as group:
            for item in wanted:
                group.create_task(one(item))
        return self._finished(_with(plan, done), drafted, failed)

    async def _one(self, plan: Plan, item: Subtask, expected: Mapping[str, str]) -> Subtask:
        prompt = prompting.code_prompt(plan, item, self.command, self.briefing, expected)
        reply = await self.asking.ask(prompt, schemas.CODE)
        first = with_code(item, answering.read_code(reply.text), plan)
        problems = _code_problems(plan, first)
        if not problems:
            return first
        try:
            second = await self.asking.again(prompt, schemas.CODE, reply.text, [str(problem) for problem in problems])
        except PlannerError:
            return first
        other = with_code(item, answering.read_code(second.text), plan)
        return other if len(_code_problems(plan, other)) <= len(problems) else first

    def _finished(self, plan: Plan, drafted: Drafted, failed: Mapping[str, str]) -> Plan:
        about = {
            "name": self.planner.name,
            "model": self.planner.model.name,
            "prompts": prompting.prompt_versions(),
            "usage": self.asking.usage.to_json(),
        }
        unwritten = [f"{name} has no code: {reason}" for name, reason in failed.items()]
        questions = [*plan.questions, *unwritten, *suspicious(plan)]
        return replace(
            plan,
            draft=plan.subtasks,
            planner=about,
            assumptions=(*plan.assumptions, *drafted.mended),
            questions=tuple(dict.fromkeys(questions)),
        )

    def _show(self, plan: Plan, text: str) -> None:
        self.tell(PlannerProgress(text=text, plan=plan, details={"usage": self.asking.usage.to_json()}))


def _with(plan: Plan, done: Mapping[str, Subtask]) -> Plan:
    return replace(plan, subtasks=tuple(done.get(item.id, item) for item in plan.subtasks))


def _code_problems(plan: Plan, item: Subtask) -> list[Problem]:
    found = _with(plan, {item.id: item}).problems
    return [problem for problem in found if problem.subtask == item.id and problem.code not in _STRUCTURE]


def _unwritten(item: Subtask, reason: str) -> Subtask:
    words = " ".join(char for char in reason.splitlines() if char.strip())[:200]
    reads = "".join(f"# inputs[{name!r}]\n" for name in item.inputs)
    return replace(item, code=f"{NEEDS_CODE}: {words}\n{reads}result = None\n")
