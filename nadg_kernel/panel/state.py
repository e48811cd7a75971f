"""The panel's state: one frozen record, and the small steps that the rules are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from nadg_kernel.engines.base import WorkerState
from nadg_kernel.errors import EditError
from nadg_kernel.model import Plan, Problem, RunState, Subtask
from nadg_kernel.panel.effects import Effect, Estimate, Save
from nadg_kernel.panel.records import (
    Change,
    Kept,
    Offer,
    PlanFile,
    PlannerItem,
    ResultItem,
    RunItem,
    RunSnapshot,
    Step,
    Suggestion,
    Trial,
)

if TYPE_CHECKING:
    from nadg_kernel.panel.actions import Action

SAMPLE_ROWS = 3
"""First rows that a planner sees once the person allows it."""


@dataclass(frozen=True, kw_only=True)
class PanelState:
    """Everything that the panel shows. `revision` rises with every change."""

    revision: int = 0
    step: Step = Step.COMMAND
    command: str = ""
    command_set: int = 0
    """Rises when the command was chosen instead of typed, so that the text box follows."""
    offers: tuple[Offer, ...] = ()
    attached: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    planners: tuple[PlannerItem, ...] = ()
    """Those that can be chosen, the grid's own first."""
    planner: str = ""
    """The chosen one; empty is the grid's own."""
    samples: tuple[str, ...] = ()
    """The data of which the person allowed first rows to be sent to this planner."""
    recent: tuple[str, ...] = ()
    """Commands of earlier runs, newest first."""
    draft_number: int = 0
    drafting: str | None = None
    """What the planner says it does, while it works."""
    plan: Plan | None = None
    problems: tuple[Problem, ...] = ()
    selected: str | None = None
    undo: tuple[Plan, ...] = ()
    redo: tuple[Plan, ...] = ()
    burst: str = ""
    file: str = ""
    """Which file the plan is saved in: a path, or the draft that it began as."""
    saved: str = ""
    """Where it was saved last."""
    files: tuple[PlanFile, ...] = ()
    comparing: bool = False
    """Whether the difference of the whole plan to its draft is shown."""
    run_plan: Plan | None = None
    run: RunSnapshot | None = None
    starting: bool = False
    workers: tuple[WorkerState, ...] = ()
    results: tuple[ResultItem, ...] = ()
    runs: tuple[RunItem, ...] = ()
    revises: bool = False
    """Whether the planner can change a plan when asked in words."""
    trial: Trial | None = None
    trying: bool = False
    ask_number: int = 0
    asking: str = ""
    """What the planner is being asked for, in words; empty while it is not."""
    change: Change | None = None
    prompt: str = ""
    prompt_line: str = ""
    """What is sent to whom, in one line."""
    estimate: tuple[str, str, str] = ("", "", "")
    """Digest of the plan that was estimated, its time in words, its tokens in words."""
    prompt_changes: bool = False
    """Whether the prompt is for changes to the plan, not for a draft."""
    kept: Kept = field(default_factory=Kept)
    next_prompt: str = ""
    """The text for a chat that is asked what comes next."""
    fleet_note: tuple[str, bool] = ("", False)
    """What came of the last request about workers, and whether it was refused."""
    fleet_busy: bool = False
    history: tuple[Mapping[str, Any], ...] = ()
    figures: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)
    notices: Mapping[Step, str] = field(default_factory=dict)
    """What went wrong, on the page where it matters, until it is dismissed or overtaken."""

    @property
    def data(self) -> tuple[Offer, ...]:
        """What is attached."""
        return tuple(offer for offer in self.offers if offer.name in self.attached)

    @property
    def chosen(self) -> PlannerItem | None:
        """The chosen planner; None until the planners are found."""
        return next((item for item in self.planners if item.name == self.planner), None)

    @property
    def rows_allowed(self) -> bool:
        """Whether first rows of all that is attached may be sent: data that came later needs to be asked for anew."""
        return bool(self.attached) and {*self.attached} <= {*self.samples}

    @property
    def allowed(self) -> Mapping[str, int]:
        """Data name -> first rows that the planner may see."""
        sends = self.chosen is not None and self.chosen.sends
        return dict.fromkeys(self.attached, SAMPLE_ROWS) if sends and self.rows_allowed else {}

    @property
    def running(self) -> bool:
        """Whether a run of this panel is under way."""
        return self.starting or (self.run is not None and self.run.state in {RunState.RUNNING, RunState.PAUSED})

    @property
    def blocking(self) -> tuple[Problem, ...]:
        """The problems that refuse approval."""
        return tuple(problem for problem in self.problems if problem.blocks)


Next = tuple[PanelState, tuple[Effect, ...]]


@singledispatch
def rule(action: Action, _state: PanelState) -> Next:
    """What an action does to a state; one function per action is registered by the rules' modules."""
    message = f"no rule for {type(action).__name__}"
    raise TypeError(message)


def plan_of(state: PanelState) -> Plan:
    """The plan under review. Raises EditError before there is one."""
    if state.plan is None:
        message = "there is no plan yet: draft one from a command"
        raise EditError(message)
    return state.plan


def with_plan(state: PanelState, plan: Plan) -> PanelState:
    """The state with this plan and its problems."""
    return replace(state, plan=plan, problems=plan.problems)


def answers_of(plan: Plan) -> dict[str, str]:
    """What the person answered to the planner's questions, as the edit log has it."""
    found = {
        question: pair[1] for edit in plan.edits if edit.kind == "answer" for question, pair in edit.changes.items()
    }
    return {question: str(found[question]) for question in plan.questions if question in found}


def first_problem(state: PanelState) -> str | None:
    """Where to look first: at the first problem, else at the first subtask."""
    plan = plan_of(state)
    found = next((problem.subtask for problem in state.problems if problem.subtask in plan.ids), None)
    return found or (plan.ids[0] if plan.ids else None)


def saved(state: PanelState) -> tuple[Effect, ...]:
    """Ask for the plan to be written, and for what it will take if that may have changed."""
    plan = plan_of(state)
    return Save(plan=plan, file=state.file), Estimate(plan=plan, data=state.data)


def noticed(state: PanelState, place: Step, text: str) -> PanelState:
    """Tell the person something on a page."""
    return replace(state, notices={**state.notices, place: text})


def quiet(state: PanelState, place: Step) -> PanelState:
    """A page without its message."""
    if place not in state.notices:
        return state
    return replace(state, notices={step: text for step, text in state.notices.items() if step is not place})


def selected_subtask(state: PanelState) -> Subtask | None:
    """The subtask that the page shows, of the run's plan on the Run page and of the reviewed plan elsewhere."""
    shown = state.run_plan if state.step is Step.RUN else state.plan
    if shown is None or not shown.ids:
        return None
    return shown[state.selected] if state.selected in shown.ids else shown.subtasks[0]
