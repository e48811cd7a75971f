"""RecipesPlanner: drafts a plan offline and deterministically from recipes, without any model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nadg_kernel.errors import PlannerError
from nadg_kernel.model import Command, DataSchema, Plan, Subtask
from nadg_kernel.model.edits import fresh_id
from nadg_kernel.planners.base import Briefing, PlannerProgress, Tell
from nadg_kernel.planners.recipes import writing
from nadg_kernel.planners.recipes.binding import Bound, bind
from nadg_kernel.planners.recipes.clauses import MAX_CHARACTERS, MAX_CLAUSES, Clause, split
from nadg_kernel.planners.recipes.columns import Table
from nadg_kernel.planners.recipes.graph import NO_DATA, Job, connect, result_schema
from nadg_kernel.planners.recipes.jobs import JobFinder
from nadg_kernel.planners.recipes.language import HELP, STOPWORDS
from nadg_kernel.planners.recipes.matching import Matcher, known_words
from nadg_kernel.planners.recipes.recipe import Recipe, library
from nadg_kernel.planners.recipes.words import printable, tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE = "Analyze customer sentiment from reviews, generate a summary report, and create data visualizations"


class RecipesPlanner:
    """Matches the clauses of a command to recipes. The same command and data always give the same plan."""

    name = "recipes"

    def __init__(self, recipes: Mapping[str, Recipe] | None = None) -> None:
        """Take other recipes than those of the package, mostly for tests."""
        self.recipes = dict(library() if recipes is None else recipes)

    async def draft(self, command: Command, briefing: Briefing, tell: Tell | None = None) -> Plan:
        """A draft. Raises PlannerError for a command that is empty or too long to be one."""
        plan = _Drafting(self.recipes, command, briefing).plan()
        if tell is not None:
            tell(PlannerProgress(text=f"{len(plan)} subtasks from recipes", plan=plan))
        return plan


class _Drafting:
    """One draft in the making."""

    def __init__(self, recipes: Mapping[str, Recipe], command: Command, briefing: Briefing) -> None:
        self.recipes, self.command, self.briefing = recipes, command, briefing
        self.data = dict(command.data)
        self.matcher = Matcher(recipes.values())
        self.known = known_words({name: Table(schema).columns for name, schema in self.data.items()})
        self.assumptions: list[str] = []
        self.questions: list[str] = []
        self.schemas: dict[str, DataSchema] = {}
        self.used: dict[str, str] = {}

    def plan(self) -> Plan:
        """Split, match, connect, write."""
        clauses = self._clauses()
        finder = JobFinder(self.recipes, self.matcher, self.data, self.known, self.command.text)
        jobs = finder.find(clauses)
        self.assumptions += finder.assumptions
        self.questions += finder.questions
        if not jobs:
            reason = "it only says what is not wanted" if finder.unwanted else "it only tells, and asks for nothing"
            message = f"the command gives no work: {reason}. Say what to do, for example: {EXAMPLE}"
            raise PlannerError(message)
        connect(jobs)
        ordered = _by_dependency(jobs)
        taken = set(self.data)
        for job in ordered:
            wanted = job.recipe.name if job.recipe else _short(job.clause.text)
            job.id = fresh_id(wanted, taken)
            taken.add(job.id)
        subtasks = tuple(self._subtask(job) for job in ordered)
        return Plan(
            command=self.command.text,
            subtasks=subtasks,
            draft=subtasks,
            data=self.data,
            goal=_goal(subtasks),
            assumptions=tuple(dict.fromkeys(self.assumptions)),
            questions=tuple(dict.fromkeys(self.questions)),
            planner={"name": RecipesPlanner.name, "recipes": self.used},
            context=self.briefing.context,
        )

    def _clauses(self) -> list[Clause]:
        text = printable(self.command.text).strip()
        if not text or not re.search(r"\w", text):
            message = f"the command is empty: type what to do, for example: {EXAMPLE}"
            raise PlannerError(message)
        if len(text) > MAX_CHARACTERS:
            message = (
                f"the command has {len(text):,} characters; recipes read at most {MAX_CHARACTERS:,}. "
                "Attach long text as data and say here what to do with it"
            )
            raise PlannerError(message)
        clauses = split(text, self.matcher.asks, self.known)
        if len(clauses) > MAX_CLAUSES:
            message = (
                f"the command asks for {len(clauses)} things; recipes plan at most {MAX_CLAUSES} at a time. Split it"
            )
            raise PlannerError(message)
        if not clauses or HELP.match(text):
            can = ", ".join(recipe.name.replace("_", " ") for recipe in self.recipes.values() if recipe.words)
            message = f"the command asks for no work. There are recipes for {can}. Type for example: {EXAMPLE}"
            raise PlannerError(message)
        return clauses

    def _subtask(self, job: Job) -> Subtask:
        if job.recipe is None:
            before = [other.id for other in job.before()]
            return writing.write_skeleton(job, before or [name for name in [job.data] if name in self.data])
        source = job.source.id if job.source else job.data
        made_here = job.source is not None and job.source.recipe is not None
        schema = self.schemas.get(source) if made_here else self.data.get(job.data)
        table = Table(schema or DataSchema())
        second = Table(self.data[job.second]) if job.recipe.second and job.second not in {job.data, ""} else None
        bound = self._bound(job, job.recipe, table, second)
        values = {**writing.defaults(job.recipe), **bound.values}
        self.schemas[job.id] = result_schema(job, values, table, schema, second)
        self.used[job.id] = job.recipe.name
        return writing.write(job, job.recipe, bound, table, source, self.briefing.capacity)

    def _bound(self, job: Job, recipe: Recipe, table: Table, second: Table | None) -> Bound:
        bound = bind(recipe, table, job.clause, job.source.id if job.source else job.data, second)
        self.assumptions += bound.assumptions
        self.questions += bound.questions
        if job.data == NO_DATA and not self.data and recipe.stage != "alone":
            bound.missing = []
            self.questions.append(
                f"Which data? Nothing is attached; the code reads inputs[{NO_DATA!r}]. Attach it under a name."
            )
        self.questions += [f"{recipe.name}: {reason}. Choose the column in the code." for reason in bound.missing]
        return bound


def _by_dependency(jobs: list[Job]) -> list[Job]:
    left, out = list(jobs), []
    while left:
        job = next((job for job in left if not any(other in left for other in job.before())), left[0])
        left.remove(job)
        out.append(job)
    return out


def _goal(subtasks: tuple[Subtask, ...]) -> str:
    titles = [
        item.title[:1].lower() + item.title[1:] if not item.needs_code else f"{item.title} (needs code)"
        for item in subtasks
    ]
    text = "; ".join(titles)
    return text[:1].upper() + text[1:]


def _short(text: str) -> str:
    words = [word for word in tokens(text) if word not in STOPWORDS]
    return " ".join(words[:4]) or "subtask"
