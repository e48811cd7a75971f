"""Find the jobs of a command: which recipe for which clause, on which data, and what is left out or unknown."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from nadg_kernel.planners.recipes.binding import PERIODS, by_columns
from nadg_kernel.planners.recipes.columns import Table
from nadg_kernel.planners.recipes.graph import NO_DATA, Job, choose_data, named_data, speaks_of
from nadg_kernel.planners.recipes.language import (
    AGGREGATES,
    CONDITION,
    GENERIC,
    GERUNDS,
    IDLE,
    OTHER_WORK,
    PREPARE,
    STOPWORDS,
    VERBS,
)
from nadg_kernel.planners.recipes.words import phrase, split_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nadg_kernel.model import DataSchema
    from nadg_kernel.planners.recipes.clauses import Clause
    from nadg_kernel.planners.recipes.matching import Asked, Matcher
    from nadg_kernel.planners.recipes.recipe import Recipe


class JobFinder:
    """Goes through the clauses of one command. `assumptions` and `questions` are for the person."""

    def __init__(
        self,
        recipes: Mapping[str, Recipe],
        matcher: Matcher,
        data: Mapping[str, DataSchema],
        known: frozenset[str],
        text: str,
    ) -> None:
        """`known`: folded words of the data's names and columns; `text` is the whole command."""
        self.recipes, self.matcher, self.data, self.known, self.text = recipes, matcher, data, known, text
        self.assumptions: list[str] = []
        self.questions: list[str] = []
        self.background: list[str] = []
        self.unwanted: set[str] = set()
        self._cache: dict[Clause, list[Asked]] = {}
        self._names = [pair for schema in data.values() for name in Table(schema).columns for pair in _spoken(name)]

    def find(self, clauses: list[Clause]) -> list[Job]:
        """The jobs in the order of the command, not yet connected."""
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
            matched = matched or self._aggregation(clause)
            if clause.background or (self._only_names_data(clause) and (not matched or wanted - {"profile"})):
                self.background.append(clause.text)
            elif matched:
                self._say_unused(clause)
                plain = self._without_condition(clause)
                for recipe in self._with_groups(plain, matched, jobs):
                    self._known(plain, recipe, jobs, default)
            else:
                self._unknown(clause, jobs, default)
        for number, job in enumerate(jobs):
            job.order = number
        if self.background:
            self.assumptions.append(f"Read as background, not as work: {'; '.join(self.background)}.")
        return jobs

    def _asked(self, clause: Clause) -> list[Asked]:
        if clause not in self._cache:
            text = clause.text
            for pattern, name in self._names:
                text = pattern.sub(name, text)
            self._cache[clause] = self.matcher.asked(replace(clause, text=text), self.known)
        return self._cache[clause]

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

    def _aggregation(self, clause: Clause) -> list[Recipe]:
        """`Revenue per salesperson` groups, though no word says so: a number's column, and one after `per`."""
        if clause.verb in OTHER_WORK or "group" not in self.recipes or "group" in self.unwanted:
            return []
        for schema in self.data.values():
            table = Table(schema)
            numbers = [name for name in table.mentioned(clause.words) if table.kind_of(name) == "number"]
            if by_columns(table, clause.text) and numbers:
                return [self.recipes["group"]]
        return []

    def _default(self) -> str:
        """The data that the whole command names first."""
        for name in self.data:
            if speaks_of(self.text, [name]):
                return name
        return ""

    def _unknown(self, clause: Clause, jobs: list[Job], default: str) -> None:
        name, _ = choose_data(clause, None, self.data, default)
        jobs.append(Job(clause=clause, recipe=None, data=name if self.data else ""))
        self.questions.append(f"No recipe does this: {clause.text!r}. Write its code, or drop it.")

    def _without_condition(self, clause: Clause) -> Clause:
        """The clause without what sounds like a filter, which is said to be left to the person."""
        found = CONDITION.search(clause.text)
        if found is None:
            return clause
        said = found[0].strip()
        self.questions.append(f"{said!r} is not applied: recipes take all rows. Filter in the code if it matters.")
        text = f"{clause.text[: found.start()]} {clause.text[found.end() :]}".strip()
        plain = replace(clause, text=text)
        same = [item.recipe.name for item in self._asked(plain)] == [item.recipe.name for item in self._asked(clause)]
        return plain if same else clause

    def _say_unused(self, clause: Clause) -> None:
        """Words that chose nothing are named, so that nobody believes they were understood."""
        said = {word for item in self._asked(clause) for word in item.words}
        said |= {word for item in self._asked(clause) for text in _choice_words(item.recipe) for word in text}
        idle = said | STOPWORDS | GENERIC | VERBS | IDLE | set(GERUNDS) | self.known | PERIODS | AGGREGATES
        unused = [word for word in clause.words if word not in idle and not word.isdigit()]
        if unused:
            self.assumptions.append(f"Not used of {clause.text!r}: {', '.join(dict.fromkeys(unused))}.")

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


def _spoken(column: str) -> list[tuple[re.Pattern[str], str]]:
    """A column of several words as a person says it, to be one word: "total bill" asks for no total."""
    words = split_name(column)
    if len(words) < 2:  # noqa: PLR2004 - several words
        return []
    return [(re.compile(r"\b" + r"[\s_-]+".join(map(re.escape, words)) + r"s?\b", re.IGNORECASE), "_".join(words))]


def _choice_words(recipe: Recipe) -> list[tuple[str, ...]]:
    return [
        phrase(text.removeprefix("?")) for options in recipe.choices.values() for t in options.values() for text in t
    ]
