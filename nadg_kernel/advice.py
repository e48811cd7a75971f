"""What a planner is asked from the front door: drafts, changes, repairs and reports, or the text for any chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from nadg_kernel.attachments import attach_all, surroundings
from nadg_kernel.errors import NadgError, PlannerError
from nadg_kernel.model import Command, SubtaskState
from nadg_kernel.planners.base import Briefing, Planner
from nadg_kernel.planners.registry import make_planner
from nadg_kernel.values import ValueDecodingError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from concurrent.futures import Future

    from nadg_kernel.data import Attached
    from nadg_kernel.fleet import Fleet
    from nadg_kernel.loop import BackgroundLoop
    from nadg_kernel.model import Plan
    from nadg_kernel.planners.base import Tell
    from nadg_kernel.planners.chat import ChatPlanner
    from nadg_kernel.planners.revising import Proposal
    from nadg_kernel.run import Run
    from nadg_kernel.settings import Settings
    from nadg_kernel.stores.blobs import BlobStore

T = TypeVar("T")

READY_S = 15.0
"""How long a draft waits for the local workers, so that it can say which imports exist."""
COLUMNS_SHOWN = 50


def chosen(planner: str | Planner | None, settings: Settings) -> Planner:
    """A planner by name, or the one given; None is that of the settings. Raises SettingsError."""
    return make_planner(planner, settings) if planner is None or isinstance(planner, str) else planner


class Advice:
    """Asks planners on the grid's loop, each with what is known of workers and data."""

    def __init__(self, *, settings: Settings, loop: BackgroundLoop, fleet: Fleet, blobs: BlobStore) -> None:
        """Keep what a briefing is made of; nobody is asked yet."""
        self._settings, self._loop, self._fleet, self._blobs = settings, loop, fleet, blobs

    def draft(
        self, planner: str | Planner, command: str, data: Mapping[str, object] | None, tell: Tell | None
    ) -> Future[Plan]:
        """A draft, without waiting for it. Raises DataError at once, and SettingsError for an unknown planner."""
        attached, who = attach_all(data, self._blobs), chosen(planner, self._settings)

        async def drafted() -> Plan:
            briefing = await self._briefing(attached)
            plan = await _asked(who, lambda: who.draft(_command(command, attached), briefing, tell))
            return plan.with_context(briefing.context)

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
        view = run[subtask]
        if view.state is not SubtaskState.FAILED:
            raise PlannerError(_nothing_to_repair(run, subtask))
        method = _able(planner, "repair", f"repair a subtask: {CHANGES_BY_CHAT}")
        error, shapes = failure_text(view.error or {}), input_shapes(run, subtask)
        done = frozenset(name for name, item in run.progress.subtasks.items() if item.state.good)

        async def repaired() -> Proposal:
            briefing = await self._briefing(run.plan.context.attached)
            base = run.plan.with_context(briefing.context)
            return await _asked(planner, lambda: method(base, subtask, error, briefing, shapes=shapes, frozen=done))

        return self._loop.run(repaired())

    def report(self, planner: Planner, run: Run) -> str:
        """A Markdown report over the run's results, as text of at most 60,000 characters together."""
        method = _able(planner, "synthesize", f"write a report: {REPORT_BY_CHAT}")
        results = {name: result_text(run, name) for name in run.plan.ids}
        text: str = self._loop.run(_asked(planner, lambda: method(run.plan, results)))
        return text

    def prompt(
        self,
        planner: str | Planner,
        command: str,
        data: Mapping[str, object] | None,
        plan: Plan | None,
        answer: str | None,
    ) -> str:
        """What would be sent for a draft; with `plan` for changes to it; with `answer` for a second round after it."""
        if plan is not None and answer is not None:
            message = "give either `plan`, for changes to it, or `answer`, for a second round of a draft"
            raise PlannerError(message)
        chat = _chat()
        if plan is not None:
            if not command.strip():
                raise PlannerError("say in words what should change")
            return chat.change_prompt(plan, command, self._loop.run(self._briefing(plan.context.attached)))
        attached = attach_all(data, self._blobs)
        asked, briefing = _command(command, attached), self._loop.run(self._briefing(attached))
        if answer is not None:
            return chat.again(answer, asked, briefing)
        text: str = getattr(chosen(planner, self._settings), "preview", chat.prompt)(asked, briefing)
        return text

    def paste(self, answer: str, command: str, data: Mapping[str, object] | None) -> Plan:
        """The draft of a chat's answer, checked as any other."""
        attached = attach_all(data, self._blobs)
        briefing = self._loop.run(self._briefing(attached))
        return _chat().read(answer, _command(command, attached), briefing).plan.with_context(briefing.context)

    async def _briefing(self, attached: Mapping[str, Attached]) -> Briefing:
        await self._fleet.settle(READY_S)
        states = self._fleet.engine.snapshot()
        packages = {name: version for state in states for name, version in state.packages.items()}
        capacity = max(1, sum(state.capacity for state in states if state.health == "ready"))
        return Briefing(context=surroundings(attached, states), packages=packages, capacity=capacity)


def failure_text(error: Mapping[str, Any]) -> str:
    """What a failed attempt told: its traceback, or its type and message where there is none, and its hint."""
    head = f"{error.get('type', 'failed')}: {error.get('message', '')}"
    trace, hint = str(error.get("traceback") or "").strip(), str(error.get("hint") or "").strip()
    return "\n".join(filter(None, (trace, "" if head in trace else head, hint)))


def input_shapes(run: Run, subtask: str) -> str:
    """One line per input of a subtask's first failed shard: its type, size, columns; never its values."""
    failed = run.progress.subtasks[subtask].failed
    try:
        inputs = run.inputs(subtask, failed.number if failed is not None else 0)
    except (NadgError, KeyError, ValueDecodingError) as error:
        return f"they cannot be read here: {error}"
    return "\n".join(f"{name}: {shape(value)}" for name, value in inputs.items()) or "it has none"


def shape(value: object) -> str:
    """What a value is, without what is in it."""
    kind = type(value).__name__
    columns = getattr(value, "dtypes", None)
    if hasattr(value, "columns") and columns is not None:
        pairs = [f"{name} {dtype}" for name, dtype in list(columns.items())[:COLUMNS_SHOWN]]
        more = f", {len(columns) - COLUMNS_SHOWN} more" if len(columns) > COLUMNS_SHOWN else ""
        return f"{kind}, {len(value)} rows x {len(columns)} columns ({', '.join(pairs)}{more})"  # type: ignore[arg-type]
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{kind} of shape {value.shape}, {value.dtype}"
    if isinstance(value, (list, tuple)):
        inner = sorted({type(item).__name__ for item in value})
        return f"{kind} of {len(value)} ({', '.join(inner)})"
    if isinstance(value, dict):
        keys = ", ".join(repr(key) for key in list(value)[:COLUMNS_SHOWN])
        return f"{kind} of {len(value)} (keys: {keys})"
    if isinstance(value, (str, bytes)):
        return f"{kind} of length {len(value)}"
    return kind


def result_text(run: Run, subtask: str) -> str:
    """A subtask's state and what it gave, as plain text: of a table its first rows."""
    view = run[subtask]
    shown = [str(bundle["text/plain"]) for bundle in view.bundles() if bundle.get("text/plain")]
    return "\n".join([f"({view.state})", *shown])


CHANGES_BY_CHAT = (
    "gemini can, with GEMINI_API_KEY; so can any chat, by copy and paste: grid.prompt(words, plan=plan) gives the text "
    "to copy, grid.revise(plan, answer=...) takes the answer (grid.prompt and grid.paste do the same for a new plan)"
)
REPORT_BY_CHAT = (
    "gemini can, with GEMINI_API_KEY; any chat can plan a report as a subtask, by copy and paste: grid.prompt gives "
    "the text to copy, grid.paste takes the answer"
)


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
