"""What a planner is asked from the front door: drafts, changes, repairs and reports, or the text for any chat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from nadg_kernel.attachments import attach_all, surroundings
from nadg_kernel.errors import NadgError, PlannerError
from nadg_kernel.evidence import failure_text, input_shapes, result_text, sample_rows
from nadg_kernel.model import Command, SubtaskState
from nadg_kernel.planners.base import Briefing, Planner
from nadg_kernel.planners.preview import Preview, change_step, report_step, sent_data
from nadg_kernel.planners.prompting import repair_request
from nadg_kernel.planners.registry import make_planner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Future

    from nadg_kernel.costs import Cost
    from nadg_kernel.data import Attached
    from nadg_kernel.fleet import Fleet
    from nadg_kernel.loop import BackgroundLoop
    from nadg_kernel.model import Context, Plan
    from nadg_kernel.planners.base import Tell
    from nadg_kernel.planners.chat import ChatPlanner
    from nadg_kernel.planners.preview import PromptStep
    from nadg_kernel.planners.revising import Proposal
    from nadg_kernel.run import Run
    from nadg_kernel.settings import Settings
    from nadg_kernel.stores.base import Store
    from nadg_kernel.stores.blobs import BlobStore

T = TypeVar("T")

READY_S = 15.0
"""How long a draft waits for the local workers, so that it can say which imports exist."""
Samples = int | Mapping[str, int]
"""Rows that the person allows to be sent: of all data, or by name. 0 is the default everywhere."""


def chosen(planner: str | Planner | None, settings: Settings) -> Planner:
    """A planner by name, or the one given; None is that of the settings. Raises SettingsError."""
    return make_planner(planner, settings) if planner is None or isinstance(planner, str) else planner


class Advice:
    """Asks planners on the grid's loop, each with what is known of workers and data."""

    def __init__(self, *, settings: Settings, loop: BackgroundLoop, fleet: Fleet, blobs: BlobStore) -> None:
        """Keep what a briefing is made of; nobody is asked yet."""
        self.previewing: Callable[[Plan, str], object] | None = None
        self._settings, self._loop, self._fleet, self._blobs = settings, loop, fleet, blobs

    def draft(
        self,
        planner: str | Planner,
        command: str,
        data: Mapping[str, object] | None,
        tell: Tell | None,
        samples: Samples = 0,
    ) -> Future[Plan]:
        """A draft, without waiting for it. Raises DataError at once, and SettingsError for an unknown planner."""
        attached, who = attach_all(data, self._blobs), chosen(planner, self._settings)
        rows = sample_rows(attached, samples, self._blobs)

        async def drafted() -> Plan:
            briefing = await self._briefing(attached, rows)
            plan = await _asked(who, lambda: who.draft(_command(command, attached), briefing, tell))
            return _finished(plan, briefing)

        return self._loop.submit(drafted())

    def revise(self, planner: Planner, plan: Plan, words: str, subtask: str | None, answer: str | None) -> Proposal:
        """Changes that a person asks for in words, or those of a pasted answer; `subtask` alone may change then."""
        name = None if subtask is None else plan[subtask].id
        others = frozenset() if name is None else frozenset(plan.ids) - {name}
        method = None if answer is not None else _able(planner, "revise", f"change a plan: {CHANGES_BY_CHAT}")

        async def revised() -> Proposal:
            briefing = await self._briefing(plan.context.attached)
            base = plan.with_context(briefing.context)
            if method is None:
                return _chat().read_changes(answer or "", base, others)
            return await _asked(planner, lambda: method(base, words, briefing, subtask=name, frozen=others))

        return self._loop.run(revised())

    def repair(self, planner: Planner, run: Run, subtask: str) -> Proposal:
        """Changes after a failure. What succeeded in the run stays as it is."""
        error, shapes, done = _failure(run, subtask)
        method = _able(planner, "repair", f"repair a subtask: {CHANGES_BY_CHAT}")

        async def repaired() -> Proposal:
            briefing = await self._briefing(run.plan.context.attached)
            base = run.plan.with_context(briefing.context)
            return await _asked(planner, lambda: method(base, subtask, error, briefing, shapes=shapes, frozen=done))

        return self._loop.run(repaired())

    def report(self, planner: Planner, run: Run) -> str:
        """A Markdown report over the run's results, as text of at most 60,000 characters together."""
        method = _able(planner, "synthesize", f"write a report: {REPORT_BY_CHAT}")
        results = _results(run)
        text: str = self._loop.run(_asked(planner, lambda: method(run.plan, results)))
        return text

    def prompt(
        self,
        planner: str | Planner,
        command: str,
        data: Mapping[str, object] | None,
        plan: Plan | None,
        answer: str | None,
        samples: Samples = 0,
    ) -> str:
        """The text for a chat, and what a model would be sent first.

        For a draft; with `plan` for changes to it; with `answer` for a second round after one that has problems.
        """
        chat = _chat()
        if plan is not None:
            if not command.strip():
                raise PlannerError("say in words what should change")
            briefing = self._loop.run(self._briefing(plan.context.attached))
            if answer is not None:
                return chat.change_again(answer, plan.with_context(briefing.context), command, briefing)
            return chat.change_prompt(plan, command, briefing)
        asked, briefing = self._asking(command, data, samples)
        if answer is not None:
            return chat.again(answer, asked, briefing)
        text: str = getattr(chosen(planner, self._settings), "preview", chat.prompt)(asked, briefing)
        return text

    def preview(
        self, planner: str | Planner, command: str, data: Mapping[str, object] | None, samples: Samples = 0
    ) -> Preview:
        """All that a draft would send, without sending it."""
        who = chosen(planner, self._settings)
        asked, briefing = self._asking(command, data, samples)
        about, steps = _receiver(who), getattr(who, "steps", None)
        shown = () if steps is None else tuple(steps(asked, briefing))
        known = steps is not None or who.name in _SENDS_NOTHING
        told = asked.data if shown else {}
        return Preview(planner=who.name, model=about, steps=shown, data=sent_data(told, briefing.samples), known=known)

    def preview_change(self, planner: Planner, plan: Plan, words: str, step: PromptStep | None = None) -> Preview:
        """What a call over this plan would send: changes to it unless it is another `step`."""
        if step is None:
            step = change_step(plan, words, self._loop.run(self._briefing(plan.context.attached)))
        return Preview(planner=planner.name, model=_receiver(planner), steps=(step,), data=sent_data(plan.data, {}))

    def preview_of_run(self, planner: Planner, run: Run, subtask: str | None) -> Preview:
        """What `repair` of a failed subtask would send, or without one `report`."""
        if subtask is None:
            return self.preview_change(planner, run.plan, "", report_step(run.plan, _results(run)))
        error, shapes, done = _failure(run, subtask)
        briefing = self._loop.run(self._briefing(run.plan.context.attached))
        words = repair_request(run.plan[subtask], error, shapes)
        step = change_step(run.plan.with_context(briefing.context), words, briefing, done)
        return self.preview_change(planner, run.plan, "", step)

    def paste(self, answer: str, command: str, data: Mapping[str, object] | None) -> Plan:
        """The draft of a chat's answer, checked as any other."""
        asked, briefing = self._asking(command, data, 0)
        return _finished(_chat().read(answer, asked, briefing).plan, briefing)

    def _asking(self, command: str, data: Mapping[str, object] | None, samples: Samples) -> tuple[Command, Briefing]:
        attached = attach_all(data, self._blobs)
        rows = sample_rows(attached, samples, self._blobs)
        return _command(command, attached), self._loop.run(self._briefing(attached, rows))

    def around(self, attached: Mapping[str, Attached]) -> Context:
        """What a plan over this data is checked against now, and how it says what a call over it would send."""
        return replace(surroundings(attached, self._fleet.engine.snapshot()), preview=self.previewing)

    async def cost(self, planner: Planner, plan: Plan, attached: Mapping[str, Attached], store: Store) -> Cost:
        """What running a plan takes. Counting is for the planner's model; where it cannot, lengths are estimated."""
        from nadg_kernel.costs import cost
        from nadg_kernel.estimates import earlier, estimate

        data = {name: item.schema for name, item in attached.items()}
        whole = replace(plan, data={**plan.data, **data}) if data else plan
        time = estimate(whole, await earlier(store, whole), self._fleet.engine.snapshot())
        words, by = await _counted(planner, whole)
        return cost(whole, time, words, by)

    async def _briefing(self, attached: Mapping[str, Attached], rows: Mapping[str, str] | None = None) -> Briefing:
        await self._fleet.settle(READY_S)
        states = self._fleet.engine.snapshot()
        packages = {name: version for state in states for name, version in state.packages.items()}
        capacity = max(1, sum(state.capacity for state in states if state.health == "ready"))
        return Briefing(context=self.around(attached), packages=packages, capacity=capacity, samples=rows or {})


CHANGES_BY_CHAT = (
    "gemini can, with GEMINI_API_KEY; so can any chat, by copy and paste: grid.prompt(words, plan=plan) gives the text "
    "to copy, grid.revise(plan, answer=...) takes the answer (grid.prompt and grid.paste do the same for a new plan)"
)
REPORT_BY_CHAT = (
    "gemini can, with GEMINI_API_KEY; any chat can plan a report as a subtask, by copy and paste: grid.prompt gives "
    "the text to copy, grid.paste takes the answer"
)


_SENDS_NOTHING = frozenset({"recipes"})


def _receiver(planner: Planner) -> str:
    """The model that a planner sends to; empty where it has none."""
    return str(getattr(getattr(planner, "model", None), "name", ""))


def _finished(plan: Plan, briefing: Briefing) -> Plan:
    """A draft with what it is checked against; that rows were sent is kept with it."""
    if briefing.samples:
        plan = replace(plan, planner={**plan.planner, "samples": sorted(briefing.samples)})
    return plan.with_context(briefing.context)


async def _counted(planner: Planner, plan: Plan) -> tuple[dict[str, int], str]:
    """Tokens of each prompt's own words as the planner's model counts them, and its name; nothing where it cannot."""
    prompts = {item.id: item.code for item in plan.subtasks if item.kind == "prompt" and item.code.strip()}
    model = getattr(planner, "model", None)
    if not prompts or model is None:
        return {}, ""
    try:
        async with model.session():
            return {name: await model.count(text) for name, text in prompts.items()}, _receiver(planner)
    except PlannerError:
        return {}, ""  # no key or no reach: the cost says that it is estimated


def _done(run: Run) -> frozenset[str]:
    return frozenset(name for name, item in run.progress.subtasks.items() if item.state.good)


def _results(run: Run) -> dict[str, str]:
    return {name: result_text(run, name) for name in run.plan.ids}


def _failure(run: Run, subtask: str) -> tuple[str, str, frozenset[str]]:
    """What `repair` tells: the error, the shapes of the inputs, and what stays. Raises PlannerError."""
    view = run[subtask]
    if view.state is not SubtaskState.FAILED:
        raise PlannerError(_nothing_to_repair(run, subtask))
    return failure_text(view.error or {}), input_shapes(run, subtask), _done(run)


def _chat() -> ChatPlanner:
    from nadg_kernel.planners.chat import ChatPlanner  # most grids never need it

    return ChatPlanner()


def _command(text: str, attached: Mapping[str, Attached]) -> Command:
    return Command(text=text, data={name: item.schema for name, item in attached.items()})


def _able(planner: Planner, method: str, what: str) -> Any:
    """A method that only planners with a model have."""
    found = getattr(planner, method, None)
    if found is None:
        message = f"the planner {planner.name} cannot {what}"
        raise PlannerError(message)
    return found


async def _asked(planner: Planner, ask: Callable[[], Awaitable[T]]) -> T:
    try:
        return await ask()
    except NadgError:
        raise
    except Exception as error:  # a planner from elsewhere may raise anything; what was asked is not lost
        message = f"the planner {planner.name} failed: {error!r}"
        raise PlannerError(message) from error


def _nothing_to_repair(run: Run, subtask: str) -> str:
    failed = [name for name, item in run.progress.subtasks.items() if item.state is SubtaskState.FAILED]
    other = f"what failed is {', '.join(failed)}" if failed else "nothing failed"
    return f"{subtask} is {run[subtask].state}: {other}; grid.revise(run.plan, words) changes anything else"
