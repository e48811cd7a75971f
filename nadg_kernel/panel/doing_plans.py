"""What the panel asks of the grid about plans: drafts, checks, files, changes, prompts, estimates."""

from __future__ import annotations

import re
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import EditError
from nadg_kernel.model import Plan
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import effects as e
from nadg_kernel.panel.found import file_of_name, saved_plans
from nadg_kernel.panel.records import Change, Step, Suggestion

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from nadg_kernel.grid import Grid
    from nadg_kernel.panel.actions import Action
    from nadg_kernel.panel.materials import Materials
    from nadg_kernel.planners.base import PlannerProgress
    from nadg_kernel.planners.revising import Proposal
    from nadg_kernel.run import Run


class Plans:
    """One method per effect; all are called on the performer's threads."""

    def __init__(
        self,
        grid: Grid,
        materials: Materials,
        tell: Callable[[Action], None],
        failure: Callable[[BaseException, Step | None, int | None], Action],
        run_of: Callable[[str], Run],
    ) -> None:
        """`run_of` gives the handle of a run."""
        self._grid, self._materials, self._tell, self._failure, self._run_of = grid, materials, tell, failure, run_of
        self._folder = grid.settings.home / "plans"
        self._paths: dict[str, Path] = {}
        self.newest: Plan | None = None
        """The last plan that was to be estimated: older ones are of no use."""

    def handlers(self) -> dict[type[e.Effect], Callable[[Any], Action | None]]:
        """Effect -> what carries it out."""
        return {
            e.StartDraft: self.draft,
            e.ReadAnswer: self.read_answer,
            e.Suggest: self.suggest,
            e.ReadFile: self.read_file,
            e.ReadPlan: self.read_plan,
            e.FindPlans: self.find_plans,
            e.Check: self.check,
            e.Save: self.save,
            e.SavePlanAs: self.save_as,
            e.Estimate: self.estimate,
            e.AskForChange: self.change,
            e.AskForRepair: self.repair,
            e.WritePrompt: self.prompt,
        }

    def draft(self, effect: e.StartDraft) -> None:
        """Ask the planner; what comes of it is told later."""

        def tell(progress: PlannerProgress) -> None:
            self._tell(a.Drafting(number=effect.number, text=progress.text))

        future = self._grid.draft(effect.command, self._materials.values(effect.data), tell=tell, **_asked_of(effect))
        future.add_done_callback(partial(self._drafted, effect.number))

    def _drafted(self, number: int, future: Future[Plan]) -> None:
        if future.cancelled():
            self._tell(a.Failed(message="The draft was cancelled.", place=Step.COMMAND, number=number))
        elif (error := future.exception()) is not None:
            self._tell(self._failure(error, Step.COMMAND, number))
        else:
            self._tell(a.Drafted(number=number, plan=future.result()))

    def read_answer(self, effect: e.ReadAnswer) -> Action:
        """A chat's answer, as a draft."""
        plan = self._grid.paste(effect.answer, effect.command, self._materials.values(effect.data))
        return a.Drafted(number=effect.number, plan=plan)

    def suggest(self, effect: e.Suggest) -> Action:
        """Recipes that fit the data."""
        found = self._grid.suggest(self._materials.values(effect.data))
        suggestions = tuple(
            Suggestion(title=item.title, reason=item.why, values=item.subtask.to_json()) for item in found
        )
        return a.Suggested(suggestions=suggestions)

    def read_file(self, effect: e.ReadFile) -> Action:
        """A file of the person's."""
        return a.FileFound(offer=self._materials.file(effect.path, effect.taken))

    def read_plan(self, effect: e.ReadPlan) -> Action:
        """A saved plan, which is saved there again."""
        plan = Plan.load(effect.path)
        self._paths[effect.path] = Path(effect.path)
        return a.Opened(plan=plan, path=effect.path)

    def find_plans(self, _effect: e.FindPlans) -> Action:
        """The plans on disk."""
        return a.PlansFound(files=saved_plans(self._folder))

    def check(self, effect: e.Check) -> Action:
        """The plan against workers and data as they are."""
        return a.Checked(plan=self._grid.check(effect.plan, self._materials.missing(effect.plan, effect.data)))

    def save(self, effect: e.Save) -> Action:
        """The plan on disk: whole or not at all, also when the kernel is killed meanwhile."""
        path = self._paths.get(effect.file)
        if path is None:
            words = "-".join(re.findall(r"[a-z0-9]+", effect.plan.command.lower())[:6])[:48] or "plan"
            path = self._folder / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{words}.json"
            self._paths[effect.file] = path
        _write(effect.plan, path)
        return a.Saved(path=str(path))

    def save_as(self, effect: e.SavePlanAs) -> Action:
        """The plan in a file of the person's choice, never over another one. Raises EditError."""
        path = file_of_name(effect.name, self._folder)
        if path.exists() and self._paths.get(effect.file) != path:
            message = f"{path} is there already: choose another name, or remove that file first"
            raise EditError(message)
        try:
            _write(effect.plan, path)
        except OSError as error:
            message = f"the plan cannot be saved as {path}: {error.strerror or error}"
            raise EditError(message) from error
        self._paths[str(path)] = path
        return a.SavedAs(plan=effect.plan, file=effect.file, path=str(path))

    def estimate(self, effect: e.Estimate) -> Action | None:
        """What the plan will take, unless a newer one is on its way already."""
        if self.newest is not effect.plan:
            return None
        cost = self._grid.estimate(effect.plan, self._materials.missing(effect.plan, effect.data))
        return a.Estimated(digest=effect.plan.digest, time=cost.time_text, tokens=cost.tokens_text)

    def change(self, effect: e.AskForChange) -> Action:
        """The planner's changes, or those of a chat's answer."""
        found = self._grid.revise(
            effect.plan, effect.words, effect.subtask, answer=effect.answer, planner=effect.planner or None
        )
        return a.Proposed(number=effect.number, change=proposed(found, ""))

    def repair(self, effect: e.AskForRepair) -> Action:
        """The planner's fix of a failed subtask."""
        found = self._grid.repair(self._run_of(effect.run_id), effect.subtask, planner=effect.planner or None)
        return a.Proposed(number=effect.number, change=proposed(found, effect.run_id))

    def prompt(self, effect: e.WritePrompt) -> Action:
        """The text that a planner is sent, or that any chat may be given."""
        if effect.plan is not None:
            return a.PromptMade(text=self._grid.prompt(effect.command, plan=effect.plan), changes=True)
        data = self._materials.values(effect.data)
        asked = _asked_of(effect)
        line = self._grid.prompt_preview(effect.command, data, **asked).line
        return a.PromptMade(text=self._grid.prompt(effect.command, data, **asked), line=line)


def _asked_of(effect: e.StartDraft | e.WritePrompt) -> dict[str, Any]:
    """Who is asked, and which rows it may see."""
    return {"planner": effect.planner or None, "samples": effect.samples}


def _write(plan: Plan, path: Path) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.tmp")
    plan.save(fresh)
    fresh.replace(path)


def proposed(found: Proposal, run_id: str, *, follows: bool = False) -> Change:
    """A planner's proposal as the panel keeps it."""
    reruns = tuple(item.name for item in found.plan.subtasks if item.id in found.changed)
    return Change(
        base=found.base,
        plan=found.plan,
        why=found.why,
        notes=found.notes,
        run_id=run_id,
        reruns=reruns,
        follows=follows,
    )
