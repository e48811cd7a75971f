"""Changes to a plan: asked for in words, after a failure or after a run; by a model, or through any chat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nadg_kernel.advice.asking import Asking, able, asked, chat
from nadg_kernel.errors import PlannerError
from nadg_kernel.evidence import failure_text, input_shapes, result_shapes
from nadg_kernel.model import Plan, SubtaskState
from nadg_kernel.planners.base import Briefing
from nadg_kernel.planners.preview import PromptStep, change_step
from nadg_kernel.planners.prompting import follow_up_request, repair_request
from nadg_kernel.planners.revising import Proposal

if TYPE_CHECKING:
    from nadg_kernel.planners.base import Planner
    from nadg_kernel.run import Run

CHANGES_BY_CHAT = (
    "gemini can, with GEMINI_API_KEY; so can any chat, by copy and paste: grid.prompt(words, plan=plan) gives the text "
    "to copy, grid.revise(plan, answer=...) takes the answer (grid.prompt and grid.paste do the same for a new plan)"
)
RUN_BY_CHAT = (
    "gemini can, with GEMINI_API_KEY; so can any chat, by copy and paste: grid.prompt with run= gives the text to "
    "copy, the same call with answer= takes the answer (a new plan: grid.prompt and grid.paste)"
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is asked about a plan. `words` are as they are sent; `frozen` may not change; `ask` asks a planner.

    `method` is what a planner needs for it, `what` ends the sentence "the planner cannot", `holds` what is sent.
    """

    plan: Plan
    words: str
    frozen: frozenset[str]
    method: str
    what: str
    holds: str
    ask: Callable[[Any, Plan, Briefing], Awaitable[Proposal]]


def revision(plan: Plan, words: str, subtask: str | None = None) -> Change:
    """Changes that a person asks for in words; with `subtask` all others stay."""
    name = None if subtask is None else plan[subtask].id
    others = frozenset() if name is None else frozenset(plan.ids) - {name}
    return Change(
        plan=plan,
        words=words,
        frozen=others,
        method="revise",
        what=f"change a plan: {CHANGES_BY_CHAT}",
        holds="your words, the plan with its code, and the shape of your data",
        ask=lambda method, base, briefing: method(base, words, briefing, subtask=name, frozen=others),
    )


def repair(run: Run, subtask: str) -> Change:
    """Changes after a failure; what succeeded in the run stays. Raises PlannerError where nothing failed."""
    view = run[subtask]
    if view.state is not SubtaskState.FAILED:
        raise PlannerError(_nothing_to_repair(run, subtask))
    error, shapes, done = failure_text(view.error or {}), input_shapes(run, subtask), finished(run)
    return Change(
        plan=run.plan,
        words=repair_request(run.plan[subtask], error, shapes),
        frozen=done,
        method="repair",
        what=f"repair a subtask: {RUN_BY_CHAT}",
        holds="the traceback, the plan with its code, and the shape of the inputs",
        ask=lambda method, base, briefing: method(base, subtask, error, briefing, shapes=shapes, frozen=done),
    )


def follow_up(run: Run, words: str) -> Change:
    """More work after a run, over what it gave; what succeeded stays. Raises PlannerError without words."""
    if not words.strip():
        raise PlannerError("say in words what should come next")
    request, done = follow_up_request(words, result_shapes(run)), finished(run)
    return Change(
        plan=run.plan,
        words=request,
        frozen=done,
        method="revise",
        what=f"go on from a run: {RUN_BY_CHAT}",
        holds="your words, the plan with its code, and the shape of the results",
        ask=lambda method, base, briefing: method(base, request, briefing, frozen=done),
    )


class Changes(Asking):
    """The part of Advice that is about plans that exist."""

    def change(self, planner: Planner, change: Change, answer: str | None = None) -> Proposal:
        """The proposal of the planner's model, or of a chat's answer. Raises PlannerError."""
        method = None if answer is not None else able(planner, change.method, change.what)

        async def changed() -> Proposal:
            briefing = await self._briefing(change.plan.context.attached)
            base = change.plan.with_context(briefing.context)
            if method is None:
                return chat().read_changes(answer or "", base, change.frozen)
            return await asked(planner, lambda: change.ask(method, base, briefing))

        return self._loop.run(changed())

    def change_prompt(self, change: Change, answer: str | None = None) -> str:
        """The text for a chat; with `answer` for a second round after one that has problems."""
        if not change.words.strip():
            raise PlannerError("say in words what should change")
        briefing = self._loop.run(self._briefing(change.plan.context.attached))
        if answer is None:
            return chat().change_prompt(change.plan, change.words, briefing, change.frozen)
        base = change.plan.with_context(briefing.context)
        return chat().change_again(answer, base, change.words, briefing, change.frozen)

    def change_step(self, change: Change) -> PromptStep:
        """The one request that `change` would send."""
        briefing = self._loop.run(self._briefing(change.plan.context.attached))
        return change_step(change.plan, change.words, briefing, change.frozen)


def finished(run: Run) -> frozenset[str]:
    """Ids of what succeeded."""
    return frozenset(name for name, item in run.progress.subtasks.items() if item.state.good)


def _nothing_to_repair(run: Run, subtask: str) -> str:
    failed = [name for name, item in run.progress.subtasks.items() if item.state is SubtaskState.FAILED]
    other = f"what failed is {', '.join(failed)}" if failed else "nothing failed"
    return f"{subtask} is {run[subtask].state}: {other}; grid.revise(run.plan, words) changes anything else"
