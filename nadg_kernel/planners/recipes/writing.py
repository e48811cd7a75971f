"""Write subtasks: a recipe's code with its constants and sources in place, or a skeleton that needs code."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from nadg_kernel.model import NEEDS_CODE, Limits, Map, Permissions, Subtask
from nadg_kernel.planners.recipes.words import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nadg_kernel.planners.recipes.binding import Bound
    from nadg_kernel.planners.recipes.columns import Table
    from nadg_kernel.planners.recipes.graph import Job
    from nadg_kernel.planners.recipes.recipe import Recipe

TITLE = 80
"""Characters of a title that is taken from the command."""
MAP_FROM_ROWS = 200
"""Below this many rows one worker is done before a second one has started."""
ROWS_AT_MOST = 10_000
"""Rows of one shard, so that it ends well within its time."""
_EXTRAS = "extras = {}"


def write(job: Job, recipe: Recipe, bound: Bound, table: Table, source: str, capacity: int) -> Subtask:
    """The subtask of a job: `source` and the job's extras are what it reads, `bound` the values of its constants."""
    extras = [other.id for other in job.extras]
    also = job.also.id if job.also else ""
    text = fill(recipe, bound.values, {"SOURCE": source, "SECOND": job.second, "ALSO": also}, extras)
    names = [name for name in (source, *extras, job.second, also) if name]
    return Subtask(
        id=job.id,
        title=title(recipe, {**defaults(recipe), "SECOND": job.second, **bound.values}, source),
        instruction=f"{job.clause.text}\n\n{recipe.summary}".strip(),
        kind=recipe.kind,
        code=with_missing(text, bound.missing),
        inputs=tuple(dict.fromkeys(names)),
        depends_on=tuple(other.id for other in job.before()),
        map=_map(recipe, job, table, capacity),
        limits=Limits(timeout_s=recipe.timeout_s),
        permissions=Permissions(processes=recipe.processes),
    )


def _map(recipe: Recipe, job: Job, table: Table, capacity: int) -> Map | None:
    if recipe.map_source and job.source is not None:
        return Map(over=job.source.id, rows=1)
    rows = table.rows or 0
    if not recipe.map_rows or job.source is not None or table.kind != "frame" or rows < MAP_FROM_ROWS:
        return None
    wanted = min(max(2, capacity), rows // recipe.map_rows)
    return Map(over=job.data, shards=max(wanted, math.ceil(rows / ROWS_AT_MOST)))


def write_skeleton(job: Job, sources: Sequence[str]) -> Subtask:
    """A subtask that a person still has to write."""
    asked = job.clause.text
    return Subtask(
        id=job.id,
        title=asked[:1].upper() + asked[1:TITLE],
        instruction=asked,
        code=skeleton(asked, sources),
        inputs=tuple(sources),
        depends_on=tuple(other.id for other in job.before()),
    )


def defaults(recipe: Recipe) -> dict[str, object]:
    """Choices and counts as the recipe's file has them, where the clause left them alone."""
    out: dict[str, object] = {}
    for name in (*recipe.choices, *recipe.counts):
        if found := re.search(rf"^{name} = \[?['\"]?(\w+)['\"]?", recipe.code, re.MULTILINE):
            out[name] = found[1].replace("_", "")
    return out


def fill(recipe: Recipe, values: Mapping[str, Any], names: Mapping[str, str], extras: Sequence[str] = ()) -> str:
    """The recipe's code with its constants set, each on one line at the top, where a person changes it.

    `names`: what SOURCE, SECOND and ALSO are called in the plan.
    """
    code = recipe.code
    for name, value in values.items():
        line = re.compile(rf"^{name} = .*?(?P<note>  #.*)?$", re.MULTILINE)
        code = line.sub(lambda match, name=name, value=value: f"{name} = {value!r}{match['note'] or ''}", code, count=1)  # type: ignore[misc]
    for place, name in names.items():
        code = code.replace(f'inputs["{place}"]', f"inputs[{name!r}]").replace(f"{{{place}}}", f"{{{name}}}")
    if extras:
        pairs = ", ".join(f"{name!r}: inputs[{name!r}]" for name in extras)
        code = code.replace(_EXTRAS, f"extras = {{{pairs}}}")
    return code


def title(recipe: Recipe, values: Mapping[str, Any], source: str) -> str:
    """The recipe's title with the constants in it."""

    def word(match: re.Match[str]) -> str:
        value = source if match[1] == "SOURCE" else values.get(match[1], "")
        if str(value).isdigit():
            return f"{int(str(value)):,}"
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

    text = re.sub(r"\{(\w+)\}", word, recipe.title).strip()
    text = re.sub(r"\b(?:of|by|in)\s+(?=by\b)", "", text)
    text = re.sub(r"(?:\s+(?:of|by|in))+\s*$", "", text).strip()
    return text[:1].upper() + text[1:]


def with_missing(code: str, missing: Sequence[str]) -> str:
    """The code under lines that say what a person still has to decide; they block approval while they stand."""
    return "".join(f"{NEEDS_CODE}: {' '.join(printable(reason).split())}\n" for reason in missing) + code


def skeleton(clause: str, sources: Sequence[str]) -> str:
    """Runnable code for a clause without a recipe; its first line blocks approval until a person has written it."""
    asked = " ".join(clause.split())
    short = asked if len(asked) <= 160 else asked[:159] + "…"  # noqa: PLR2004
    lines = [
        f"{NEEDS_CODE}: {short}",
        "# Write it here, set `result`, then delete the first line; or drop this subtask.",
    ]
    names = []
    for number, source in enumerate(sources):
        name = "source" if number == 0 else f"source_{number + 1}"
        names.append(name)
        lines.append(f"{name} = inputs[{source!r}]")
    lines.append(f"result = {names[0] if len(names) == 1 else '[' + ', '.join(names) + ']' if names else 'None'}")
    return "\n".join(lines) + "\n"
