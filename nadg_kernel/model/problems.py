"""What is wrong with a plan, found without running it. A problem says where it is; some block approval."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

from pydantic import ValidationError

from nadg_kernel import wire
from nadg_kernel.model.code_facts import CodeFacts, code_facts
from nadg_kernel.model.edits import ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nadg_kernel.model.plan import Context
    from nadg_kernel.model.records import DataSchema, Subtask

MAX_CODE_BYTES = 256 * 1024
MAX_SHARDS = 100_000
MAX_RETRIES = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One problem: a stable code, words for a person, where it is, and whether it blocks approval."""

    code: str
    message: str
    subtask: str | None = None
    line: int | None = None
    blocks: bool = True

    def __str__(self) -> str:
        """As it is shown in lists: where, then what."""
        where = "" if self.subtask is None else self.subtask
        if self.line is not None:
            where += f", line {self.line}"
        return f"{where}: {self.message}" if where else self.message


class Factory(Protocol):
    """Makes a problem of the subtask at hand."""

    def __call__(self, code: str, message: str, *, line: int | None = None, blocks: bool = True) -> Problem:
        """A problem here."""


def find_problems(subtasks: Sequence[Subtask], data: Mapping[str, DataSchema], context: Context) -> tuple[Problem, ...]:
    """All problems, in the plan's order, those of the whole plan first."""
    return tuple(_all(subtasks, data, context))


def _all(subtasks: Sequence[Subtask], data: Mapping[str, DataSchema], context: Context) -> Iterator[Problem]:
    if not subtasks:
        yield Problem(code="empty", message="the plan has no subtasks: add one, or draft again")
    yield from context.data_problems
    counts = Counter(item.id for item in subtasks)
    for name, count in counts.items():
        if count > 1:
            yield Problem(code="duplicate_id", message=f"the id {name!r} is used {count} times", subtask=name)
        if name in data:
            yield Problem(code="name_collision", message=f"{name!r} is also the name of attached data", subtask=name)
    looping = _cycle(subtasks)
    if looping:
        path = " -> ".join((*looping, looping[0]))
        yield Problem(code="cycle", message=f"these wait for each other: {path}", subtask=looping[0])
    for item in subtasks:
        yield from _subtask(item, counts, data, context)


def _subtask(
    item: Subtask, ids: Mapping[str, int], data: Mapping[str, DataSchema], context: Context
) -> Iterator[Problem]:
    def problem(code: str, message: str, *, line: int | None = None, blocks: bool = True) -> Problem:
        return Problem(code=code, message=message, subtask=item.id, line=line, blocks=blocks)

    yield from _names(item, ids, data, problem)
    yield from _map(item, ids, data, problem)
    yield from _limits(item, problem)
    for label in item.labels:
        if context.labels is not None and label not in context.labels:
            yield problem("label", f"no worker offers the label {label!r}")
    if item.kind == "prompt":
        if not item.code.strip():
            yield problem("missing_code", "the prompt is empty")
        if context.labels is not None and not any(label.startswith("model:") for label in context.labels):
            yield problem("no_model", "no worker has a model: a prompt needs one (NADG_WORKER_MODEL on a worker)")
    else:
        yield from _code(item, ids, data, context, problem)


def _names(
    item: Subtask, ids: Mapping[str, int], data: Mapping[str, DataSchema], problem: Factory
) -> Iterator[Problem]:
    if not ID.fullmatch(item.id):
        yield problem("bad_id", f"{item.id!r} is no id: letters, digits and _, not starting with a digit")
    for name in item.depends_on:
        if name not in ids:
            yield problem("dangling", f"depends on {name!r}, which is not in the plan")
    for name in item.inputs:
        if name in ids and name not in item.depends_on:
            yield problem("input_not_dependency", f"reads {name!r} without depending on it")
        if name not in ids and name not in data:
            yield problem("unknown_input", f"reads {name!r}, which is neither attached data nor a subtask")


def _map(item: Subtask, ids: Mapping[str, int], data: Mapping[str, DataSchema], problem: Factory) -> Iterator[Problem]:
    if item.map is None:
        return
    over = item.map
    if over.over not in item.inputs:
        yield problem("map_input", f"maps over {over.over!r}, which is not among its inputs")
    if (over.shards is None) == (over.rows is None):
        yield problem("map_size", "a map needs either `shards` (a count) or `rows` (rows per shard)")
    for name, value in (("shards", over.shards), ("rows", over.rows)):
        if value is not None and value < 1:
            yield problem("map_size", f"map {name} must be at least 1, not {value}")
    if over.shards is not None and over.shards > MAX_SHARDS:
        yield problem("map_size", f"{over.shards} shards are more than {MAX_SHARDS}")
    schema = data.get(over.over)
    if over.over not in ids and schema is not None and schema.kind not in {"frame", "json", "array", "folder"}:
        yield problem("map_over", f"cannot split {over.over!r}: it is {schema.kind}, not a table, list or folder")


def _limits(item: Subtask, problem: Factory) -> Iterator[Problem]:
    try:
        wire.Limits.model_validate(asdict(item.limits))
    except ValidationError as error:
        for part in error.errors():
            name = ".".join(str(piece) for piece in part["loc"])
            reason = part["msg"].replace("Input should be", "must be")
            yield problem("limits", f"limit {name} = {part['input']!r} {reason}")
    if not 0 <= item.retries <= MAX_RETRIES:
        yield problem("limits", f"retries must be 0 to {MAX_RETRIES}, not {item.retries}")


def _code(
    item: Subtask,
    ids: Mapping[str, int],
    data: Mapping[str, DataSchema],
    context: Context,
    problem: Factory,
) -> Iterator[Problem]:
    if not item.code.strip():
        yield problem("missing_code", "there is no code yet")
        return
    if len(item.code.encode("utf-8", "surrogatepass")) > MAX_CODE_BYTES:
        yield problem("code_size", f"the code is over {MAX_CODE_BYTES // 1024} KB: attach data instead")
        return
    if item.needs_code:
        lines = item.code.splitlines()
        line = next(number for number, text in enumerate(lines, 1) if text.lstrip().startswith("# needs code"))
        yield problem("needs_code", "needs code: write it and delete this line, or drop the subtask", line=line)
    facts = code_facts(item.code)
    if facts.error is not None:
        words, at = facts.error
        yield problem("syntax", words, line=at)
        return
    if context.modules is not None:
        yield from _imports(facts, item, context, problem)
    yield from _reads(facts, item, ids, data, problem)
    for name, at in facts.free:
        words = f"uses {name!r}, which nothing here defines: a worker knows no names of the notebook"
        yield problem("free_name", words, line=at, blocks=False)


def _imports(facts: CodeFacts, item: Subtask, context: Context, problem: Factory) -> Iterator[Problem]:
    """A module is on a worker, or in an attached folder among the inputs, whose files go along."""
    folders: dict[str, frozenset[str]] = {
        name: getattr(data, "modules", frozenset()) for name, data in context.attached.items()
    }
    modules = frozenset(context.modules or ()).union(*(folders.get(name, ()) for name in item.inputs))
    for name, line, guarded in facts.imports:
        if not name:
            yield problem("relative_import", "relative imports have no package here", line=line)
        elif name not in modules and name not in sys.stdlib_module_names:
            there = next((folder for folder, found in folders.items() if name in found), None)
            hint = f"; the folder {there!r} has it: add it to the inputs" if there else ""
            yield problem("import", f"no worker has {name}{hint}", line=line, blocks=not guarded)


def _reads(
    facts: CodeFacts,
    item: Subtask,
    ids: Mapping[str, int],
    data: Mapping[str, DataSchema],
    problem: Factory,
) -> Iterator[Problem]:
    """`inputs["x"]` of something that is not sent; assigned names and whole-dict uses are left alone."""
    for key, line in facts.reads:
        if key in item.inputs:
            continue
        if key in ids or key in data:
            yield problem("not_sent", f"reads inputs[{key!r}], which is not among its inputs", line=line)
        else:
            known = ", ".join([*data, *(name for name in ids if name != item.id)]) or "none"
            yield problem("unknown_input", f"reads inputs[{key!r}]; there is no such input ({known})", line=line)


def _cycle(subtasks: Sequence[Subtask]) -> list[str]:
    """The ids of one cycle, in order; empty if there is none."""
    edges = {item.id: list(item.depends_on) for item in subtasks}
    state: dict[str, int] = {}
    for root, targets in edges.items():
        if root in state:
            continue
        path: list[str] = []
        stack: list[tuple[str, Iterator[str]]] = [(root, iter(targets))]
        state[root] = 1
        path.append(root)
        while stack:
            node, rest = stack[-1]
            for name in rest:
                if name not in edges:
                    continue
                if state.get(name) == 1:
                    return path[path.index(name) :][::-1]
                if name not in state:
                    state[name] = 1
                    path.append(name)
                    stack.append((name, iter(edges[name])))
                    break
            else:
                state[node] = 2
                path.pop()
                stack.pop()
    return []
