"""Arrange the jobs of a command: which recipe reads what, and what has to come first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nadg_kernel.model import DataSchema
from nadg_kernel.planners.recipes.clauses import Clause
from nadg_kernel.planners.recipes.columns import Table
from nadg_kernel.planners.recipes.language import CHANGES_ROWS
from nadg_kernel.planners.recipes.recipe import Recipe
from nadg_kernel.planners.recipes.words import contains, folded, spans, split_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NO_DATA = "data"
"""The name that code reads when nothing is attached; the plan says that it is missing."""


@dataclass(kw_only=True, eq=False)
class Job:
    """One subtask in the making. Without a recipe it needs code."""

    clause: Clause
    recipe: Recipe | None
    data: str = ""
    """The attached data that it is about."""
    second: str = ""
    source: Job | None = None
    """The job whose result it reads instead of the data."""
    also: Job | None = None
    """A job of its chain that it reads besides."""
    fixed: bool = False
    """Whether its source is settled: it is part of a chain."""
    extras: list[Job] = field(default_factory=list)
    waits: list[Job] = field(default_factory=list)
    """Jobs that come first, read or not."""
    id: str = ""
    order: int = 0

    @property
    def stage(self) -> str:
        """The recipe's stage; `unknown` when it needs code."""
        return "unknown" if self.recipe is None else self.recipe.stage

    def before(self) -> list[Job]:
        """What it depends on, each once."""
        jobs = [*filter(None, [self.source, self.also]), *self.extras, *self.waits]
        return list(dict.fromkeys(jobs))

    def reaches(self, other: Job) -> bool:
        """Whether it depends on another job, directly or not."""
        todo, seen = list(self.before()), set()
        while todo:
            job = todo.pop()
            if job is other:
                return True
            if id(job) not in seen:
                seen.add(id(job))
                todo.extend(job.before())
        return False


def named_data(clause: Clause, recipe: Recipe, data: Mapping[str, DataSchema]) -> list[str]:
    """Data that the clause names and that the recipe can read."""
    words = clause.words
    named = [name for name in data if next(spans(words, split_name(name), exact=True), None) is not None]
    return [name for name in named if fits(recipe, data[name])]


def choose_data(
    clause: Clause, recipe: Recipe | None, data: Mapping[str, DataSchema], default: str
) -> tuple[str, bool]:
    """The data a clause is about, and whether that was a choice between several that fit."""
    if not data:
        return NO_DATA, False
    words = clause.words
    named = [name for name in data if next(spans(words, split_name(name), exact=True), None) is not None]
    fit = [name for name in data if recipe is None or fits(recipe, data[name])]
    if len(named) == 1 or (named and not fit):
        return named[0], False
    pool = [name for name in named if name in fit] or fit or list(data)
    mentions = {name: len(Table(data[name]).mentioned(words)) for name in pool}
    best = max(mentions.values())
    if best and len([name for name in pool if mentions[name] == best]) == 1:
        return max(pool, key=lambda name: mentions[name]), False
    if default in pool:
        return default, False
    return pool[0], len(pool) > 1


def fits(recipe: Recipe, schema: DataSchema) -> bool:
    """Whether data has the kind and the columns that a recipe cannot do without."""
    if schema.kind not in recipe.data_kinds:
        return False
    table = Table(schema)
    for spec in recipe.columns.values():
        role = spec.rstrip("?*+")
        if role == "shared":
            continue
        if not spec.endswith(("?", "*")) and table.columns and table.find(role) is None:
            return False
    return True


def connect(jobs: Sequence[Job]) -> None:
    """Set sources, extras and waits of all jobs, given in the order of the command."""
    for job in jobs:
        if job.recipe is not None and not job.fixed:
            _source(job, jobs)
    for job in jobs:
        if job.stage in {"view", "summary"}:
            _collect(job, jobs)
    for job in jobs:
        if job.recipe is not None and job.source is None and not job.fixed:
            job.source = _changed_table(job, jobs)
    for job in jobs:
        _follow(job, jobs)


def _source(job: Job, jobs: Sequence[Job]) -> None:
    """Read what an earlier stage made: in the same clause, when it speaks of it, or when it follows."""
    earlier = [other for other in jobs if other is not job and _may_feed(other, job)]
    same_clause = [other for other in earlier if other.clause is job.clause and other.stage == "rows"]
    if job.stage == "table":
        spoken = [o for o in earlier if o.stage == "rows" and o.recipe and contains(job.clause.words, o.recipe.words)]
        before = [o for o in earlier if o.order < job.order and o.stage == "rows"]
        linked = before[-1:] if job.clause.refers or job.clause.follows or _columns_only_there(job, before) else []
        pick = same_clause or spoken or linked
        job.source = pick[-1] if pick else None
    elif job.stage == "rows":
        before = [o for o in earlier if o.order < job.order and o.stage == "rows" and o.clause is not job.clause]
        job.source = before[-1] if before and (job.clause.refers or job.clause.follows) else None


def _changed_table(job: Job, jobs: Sequence[Job]) -> Job | None:
    """The last job without a recipe that changes the same table before this one ("clean it", "remove duplicates")."""
    made = [o for o in jobs if o.recipe is None and o.clause.verb in CHANGES_ROWS and o.data == job.data]
    return next((o for o in reversed(made) if o.order < job.order and not o.reaches(job)), None)


def _columns_only_there(job: Job, before: Sequence[Job]) -> bool:
    added = {word for o in before if o.recipe for name in o.recipe.adds for word in [tuple(split_name(name))]}
    return any(next(spans(job.clause.words, name, exact=True), None) is not None for name in added)


def _may_feed(other: Job, job: Job) -> bool:
    return job.data in {other.data, other.second} and not other.reaches(job) and not _comes_later(other, job)


def _comes_later(other: Job, job: Job) -> bool:
    """Whether the command puts `other` after `job` with a "then"."""
    return other.order > job.order and other.clause is not job.clause and other.clause.follows


def _collect(job: Job, jobs: Sequence[Job]) -> None:
    """A view shows what the analyses of the command gave: rows as its source, tables beside them."""
    if job.stage == "summary":
        said = [o for o in jobs if _may_feed(o, job) and o.stage == "rows" and o.order <= job.order]
        use = job.clause.refers or job.clause.follows
        picked = [o for o in said if o.clause is job.clause or (use and o.order < job.order)]
        job.source = picked[-1] if picked else None
        return
    able = [o for o in jobs if o is not job and _may_feed(o, job)]
    shows = ("rows",) if job.recipe is None else job.recipe.shows
    rows = [o for o in able if o.stage == "rows"]
    tables = [o for o in able if o.stage == "table" and o.order < job.order]
    only_table = len(tables) == 1 and (job.clause.follows or job.clause.refers) and "rows" not in shows
    job.source = next(reversed(tables if only_table else rows), None)
    job.extras = [o for o in able if o.stage in shows and o.stage != "rows" and o is not job.source]


def _follow(job: Job, jobs: Sequence[Job]) -> None:
    """`then`, `from it`: wait for all of the clause before."""
    if job.fixed and job.source is not None:
        return
    if job.recipe is None:
        spoken = [
            o
            for o in jobs
            if o.order < job.order and o.recipe is not None and contains(job.clause.words, o.recipe.words)
        ]
        job.waits = [o for o in spoken if not o.reaches(job)]
    if not (job.clause.follows or job.clause.refers):
        return
    earlier = [o for o in jobs if o.clause is not job.clause and o.order < job.order]
    if job.stage == "view":  # one view says nothing that another one needs
        earlier = [o for o in earlier if o.stage != "view"]
    if not earlier:
        return
    last = earlier[-1].clause
    group = [o for o in earlier if o.clause is last]
    ends = [o for o in group if not any(other.reaches(o) for other in group)]
    job.waits += [o for o in ends if not job.reaches(o) and not o.reaches(job)]


def result_schema(
    job: Job, values: Mapping[str, object], table: Table, data: DataSchema | None, second: Table | None = None
) -> DataSchema:
    """What the job's result will look like, for the columns of its dependents."""
    recipe = job.recipe
    if recipe is None or data is None:
        return DataSchema(kind="json")
    kinds = dict(zip(table.columns, table.dtypes, strict=False))
    if recipe.keeps is None:
        columns = dict(kinds)
        for name, dtype in zip(second.columns, second.dtypes, strict=False) if second is not None else ():
            columns.setdefault(name, dtype)
    else:
        columns = {}
        for constant in recipe.keeps:
            kept = values.get(constant)
            columns |= {str(name): "str" for name in (kept if isinstance(kept, list) else [kept]) if name}
    for pattern, dtype in recipe.adds.items():
        for name in _expand(pattern, values):
            columns[name] = dtype
    rows = data.rows if recipe.keeps is None else None
    return DataSchema(columns=tuple(columns), dtypes=tuple(columns.values()), rows=rows)


def _expand(pattern: str, values: Mapping[str, object]) -> list[str]:
    names = [pattern]
    for constant, value in values.items():
        mark = "{" + constant + "}"
        options = value if isinstance(value, list) else [value]
        names = [name.replace(mark, str(option)) for name in names for option in (options if mark in name else [""])]
    return [name for name in names if "{" not in name]


def speaks_of(text: str, names: Sequence[str]) -> bool:
    """Whether a text names any of the given data."""
    words = folded(text)
    return any(next(spans(words, split_name(name), exact=True), None) is not None for name in names)
