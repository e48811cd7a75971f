"""RecipesPlanner: drafts a plan offline and deterministically from recipes, without any model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nadg_kernel.errors import PlannerError
from nadg_kernel.model import Command, DataSchema, Plan, Subtask
from nadg_kernel.model.edits import fresh_id
from nadg_kernel.planners.base import Briefing, PlannerProgress, Tell
from nadg_kernel.planners.recipes import writing
from nadg_kernel.planners.recipes.binding import PERIODS, Bound, bind, by_columns
from nadg_kernel.planners.recipes.clauses import MAX_CHARACTERS, MAX_CLAUSES, Clause, split
from nadg_kernel.planners.recipes.columns import Table
from nadg_kernel.planners.recipes.graph import (
    NO_DATA,
    Job,
    choose_data,
    connect,
    named_data,
    result_schema,
    speaks_of,
)
from nadg_kernel.planners.recipes.language import CONDITION, GENERIC, PREPARE, STOPWORDS, VERBS
from nadg_kernel.planners.recipes.matching import Asked, asked, known_words
from nadg_kernel.planners.recipes.recipe import Recipe, library
from nadg_kernel.planners.recipes.words import printable, split_name, tokens

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
        self.known = known_words({name: Table(schema).columns for name, schema in self.data.items()})
        self.assumptions: list[str] = []
        self.questions: list[str] = []
        self.background: list[str] = []
        self.unwanted: set[str] = set()
        self.schemas: dict[str, DataSchema] = {}
        self.used: dict[str, str] = {}

    def plan(self) -> Plan:
        """Split, match, connect, write."""
        jobs = self._jobs(self._clauses())
        if not jobs:
            self._nothing()
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
        clauses = split(text, lambda part: bool(asked(Clause(text=part), self.recipes.values(), frozenset())))
        if len(clauses) > MAX_CLAUSES:
            message = (
                f"the command asks for {len(clauses)} things; recipes plan at most {MAX_CLAUSES} at a time. Split it"
            )
            raise PlannerError(message)
        if not clauses:
            clauses = [Clause(text=text)]
        return clauses

    def _jobs(self, clauses: list[Clause]) -> list[Job]:
        wanted = {item.recipe.name for clause in clauses if not clause.negated for item in self._asked(clause)}
        for clause in clauses:
            if clause.negated:
                self._leave_out(clause, wanted)
        jobs: list[Job] = []
        default = self._default()
        for clause in clauses:
            if clause.negated:
                continue
            matched = [item.recipe for item in self._asked(clause) if item.recipe.name not in self.unwanted]
            if clause.background or (self._only_names_data(clause) and (not matched or wanted - {"profile"})):
                self.background.append(clause.text)
            elif matched:
                self._condition(clause)
                for recipe in self._with_groups(clause, matched, jobs):
                    self._known(clause, recipe, jobs, default)
            else:
                self._unknown(clause, jobs, default)
        for number, job in enumerate(jobs):
            job.order = number
        if self.background:
            self.assumptions.append(f"Read as background, not as work: {'; '.join(self.background)}.")
        return jobs

    def _asked(self, clause: Clause) -> list[Asked]:
        return asked(clause, self.recipes.values(), self.known)

    def _leave_out(self, clause: Clause, wanted: set[str]) -> None:
        """What is not wanted; "no pie chart" beside a wanted chart is about its kind, which a recipe cannot choose."""
        for item in self._asked(clause):
            rest = set(clause.words) - set(item.words) - STOPWORDS - GENERIC - VERBS - self.known
            if rest and item.recipe.name in wanted:
                self.questions.append(f"Not applied: no {clause.text!r}. The recipe has no such choice; edit its code.")
            else:
                self.unwanted.add(item.recipe.name)
                self.assumptions.append(f"Left out, as the command says: {clause.text}.")

    def _only_names_data(self, clause: Clause) -> bool:
        """`Load the reviews`: attached data needs no loading."""
        rest = set(clause.words) - STOPWORDS - GENERIC - VERBS - self.known
        return clause.verb in PREPARE and not rest and len(self.data) > 0

    def _with_groups(self, clause: Clause, matched: list[Recipe], jobs: list[Job]) -> list[Recipe]:
        """Rows asked for `per channel` are grouped too; a chart of "the average" shows the groups there are already."""
        names = [recipe.name for recipe in matched]
        group = self.recipes.get("group")
        columns = [c for name, schema in self.data.items() for c in by_columns(Table(schema), clause.text)]
        if group is not None and columns and all(recipe.stage == "rows" and not recipe.second for recipe in matched):
            return [*matched, group]
        named = {word for column in columns for word in split_name(column)}
        if "time_series" in names and named & PERIODS and group is not None:  # "per day", where day is a column
            matched = [group if recipe.name == "time_series" else recipe for recipe in matched]
            names = [recipe.name for recipe in matched]
        shown = any(recipe.stage == "view" for recipe in matched)
        if shown and "group" in names and not columns and any(job.recipe is group for job in jobs):
            return [recipe for recipe in matched if recipe is not group]
        return matched

    def _default(self) -> str:
        """The data that the whole command names first."""
        for name in self.data:
            if speaks_of(self.command.text, [name]):
                return name
        return ""

    def _unknown(self, clause: Clause, jobs: list[Job], default: str) -> None:
        name, _ = choose_data(clause, None, self.data, default)
        jobs.append(Job(clause=clause, recipe=None, data=name if self.data else ""))
        self.questions.append(f"No recipe does this: {clause.text!r}. Write its code, or drop it.")

    def _condition(self, clause: Clause) -> None:
        found = CONDITION.search(clause.text)
        if found is not None:
            self.questions.append(
                f"{found[0].strip()!r} is not applied: recipes take all rows. Filter in the code if it matters."
            )

    def _known(self, clause: Clause, recipe: Recipe, jobs: list[Job], default: str) -> None:
        if recipe.stage == "alone":
            self._chain(clause, recipe, jobs)
            return
        if recipe.second:
            self._join(clause, recipe, jobs, default)
            return
        several = named_data(clause, recipe, self.data)
        if len(several) > 1:
            for name in several:
                self._add(clause, recipe, name, jobs)
            return
        name, unsure = choose_data(clause, recipe, self.data, default)
        if unsure:
            others = ", ".join(repr(other) for other in self.data if other != name)
            self.questions.append(f"Is {recipe.name} meant for {name!r} or for {others}? {name!r} is taken.")
        self._add(clause, recipe, name, jobs)

    def _chain(self, clause: Clause, recipe: Recipe, jobs: list[Job]) -> None:
        """A recipe that makes its own input, and those that come before it."""
        if any(job.recipe is recipe and job.clause.text == clause.text for job in jobs):
            return
        data = ""
        if recipe.data_kinds == ("folder",):
            fit = [name for name, schema in self.data.items() if schema.kind == "folder"]
            data = fit[0] if fit else NO_DATA
            if not fit:
                self.questions.append(f"Which folder? None is attached; the code reads inputs[{NO_DATA!r}].")
        made: dict[str, Job] = {}
        source: Job | None = None
        for name in (*recipe.chain, recipe.name):
            part = self.recipes[name]
            job = Job(clause=clause, recipe=part, source=source, also=made.get(part.also), fixed=True)
            job.data = data if source is None else ""
            job.second = data if source is not None and '"SECOND"' in part.code else ""
            made[name] = source = job
            jobs.append(job)

    def _join(self, clause: Clause, recipe: Recipe, jobs: list[Job], default: str) -> None:
        """Two tables: those that the clause names, else the first that there are."""
        named = named_data(clause, recipe, self.data)
        order = [*named, *(name for name in ([default] if default else []) if name not in named), *self.data]
        tables = [name for name in dict.fromkeys(order) if self.data[name].kind == "frame"]
        first, second = (*tables, *tables, NO_DATA, NO_DATA)[:2]
        jobs.append(Job(clause=clause, recipe=recipe, data=first, second=second, order=len(jobs)))

    def _add(self, clause: Clause, recipe: Recipe, data: str, jobs: list[Job]) -> None:
        same = [job for job in jobs if job.recipe is recipe and job.data == data]
        if not same or (recipe.stage == "table" and all(job.clause.text != clause.text for job in same)):
            jobs.append(Job(clause=clause, recipe=recipe, data=data, order=len(jobs)))

    def _nothing(self) -> None:
        reason = "it only says what is not wanted" if self.unwanted else "it only tells, and asks for nothing"
        message = f"the command gives no work: {reason}. Say what to do, for example: {EXAMPLE}"
        raise PlannerError(message)

    def _subtask(self, job: Job) -> Subtask:
        if job.recipe is None:
            before = [other.id for other in job.before()]
            return writing.write_skeleton(job, before or [name for name in [job.data] if name in self.data])
        source = job.source.id if job.source else job.data
        schema = self.schemas.get(source) if job.source else self.data.get(job.data)
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
        self.questions += [
            f"{recipe.title.split(' of ')[0]}: {reason}. Choose the column in the code." for reason in bound.missing
        ]
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
