"""Edits as pure functions over a plan's subtasks. A plan keeps its draft and every edit, so splits can be studied."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from nadg_kernel.errors import EditError
from nadg_kernel.model.building import build_subtask
from nadg_kernel.model.inputs import mentioned_inputs
from nadg_kernel.model.records import Subtask

ID = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
EDIT_KINDS = ("edit", "add", "drop", "move", "hold", "split", "merge", "answer", "undo", "redo", "revise")

Subtasks = tuple[Subtask, ...]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One recorded change: when, who, what. `changes` maps a field to its value before and after."""

    at: datetime
    by: str
    kind: str
    subtask: str | None = None
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The plan file's form."""
        return {
            "at": self.at.isoformat(),
            "by": self.by,
            "kind": self.kind,
            "subtask": self.subtask,
            "changes": {name: list(pair) for name, pair in self.changes.items()},
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Edit:
        """Read the plan file's form. Raises KeyError, TypeError or ValueError on anything else."""
        changes = {str(name): (pair[0], pair[1]) for name, pair in dict(raw.get("changes") or {}).items()}
        return cls(
            at=datetime.fromisoformat(raw["at"]),
            by=str(raw["by"]),
            kind=str(raw["kind"]),
            subtask=raw.get("subtask"),
            changes=changes,
        )


def find(subtasks: Subtasks, subtask_id: str) -> Subtask:
    """The subtask with this id. Raises EditError that lists what there is."""
    for subtask in subtasks:
        if subtask.id == subtask_id:
            return subtask
    known = ", ".join(item.id for item in subtasks) or "none"
    message = f"no subtask {subtask_id!r} in the plan (there are: {known})"
    raise EditError(message)


def changed_fields(before: Subtask, after: Subtask) -> dict[str, tuple[Any, Any]]:
    """Field -> (before, after), in the plan file's form."""
    old, new = before.to_json(), after.to_json()
    return {name: (old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name)}


def build(values: Mapping[str, Any], base: Subtask | None = None) -> Subtask:
    """`build_subtask` with an EditError for bad values."""
    try:
        subtask = build_subtask(values, base)
    except (TypeError, ValueError) as error:
        raise EditError(str(error)) from error
    if not ID.fullmatch(subtask.id):
        message = f"{subtask.id!r} is no id: letters, digits and _, not starting with a digit, at most 64"
        raise EditError(message)
    return subtask


def edit(subtasks: Subtasks, data: Sequence[str], subtask_id: str, values: Mapping[str, Any]) -> Subtasks:
    """Change fields of one subtask; a new id is followed by all that refer to it.

    Where the code changes and `inputs` are not given, names that the new code reads are added to the inputs (and, when
    they are subtasks, to the dependencies): what is read is sent.
    """
    before = find(subtasks, subtask_id)
    after = build(values, before)
    if after.id != subtask_id:
        _refuse_taken(subtasks, data, after.id)
        return _renamed(tuple(after if item is before else item for item in subtasks), subtask_id, after.id)
    after = with_inputs(after, _inputs_after(before, after, set(values), data, subtasks), subtasks)
    return tuple(after if item is before else item for item in subtasks)


def _inputs_after(
    before: Subtask, after: Subtask, given: set[str], data: Sequence[str], subtasks: Subtasks
) -> tuple[str, ...]:
    if "inputs" in given:
        return after.inputs
    others = [item.id for item in subtasks if item is not before]
    inputs = list(after.inputs)
    if "depends_on" in given:
        inputs = [name for name in inputs if name not in others or name in after.depends_on]
        new = [name for name in after.depends_on if name in others and name not in before.depends_on]
        inputs += mentioned_inputs(after.code, new)
    if "code" in given:
        inputs += [name for name in (*data, *others) if _is_constant_read(after.code, name)]
    return tuple(dict.fromkeys(inputs))


def with_inputs(subtask: Subtask, inputs: Sequence[str], subtasks: Subtasks) -> Subtask:
    """The subtask with these inputs; those that are subtasks become dependencies too."""
    unique = tuple(dict.fromkeys(inputs))
    ids = {item.id for item in subtasks}
    needed = tuple(name for name in unique if name in ids and name != subtask.id)
    return replace(subtask, inputs=unique, depends_on=tuple(dict.fromkeys((*subtask.depends_on, *needed))))


def add(
    subtasks: Subtasks, data: Sequence[str], values: Mapping[str, Any], before: str | None = None
) -> tuple[Subtasks, Subtask]:
    """Add a subtask, at the end or `before` another. Without an id it gets one from its title.

    Without `inputs` they are what the code reads of the data and of its dependencies.
    """
    values = dict(values)
    taken = {*data, *(item.id for item in subtasks)}
    if not values.get("id"):
        values["id"] = fresh_id(str(values.get("title") or "subtask"), taken)
    new = build(values)
    _refuse_taken(subtasks, data, new.id)
    new = with_inputs(new, new.inputs if "inputs" in values else default_inputs(new, data), subtasks)
    if before is None:
        return (*subtasks, new), new
    index = subtasks.index(find(subtasks, before))
    return (*subtasks[:index], new, *subtasks[index:]), new


def default_inputs(subtask: Subtask, data: Sequence[str]) -> tuple[str, ...]:
    """Inputs of a subtask that names none: what its code reads of the data and of its dependencies.

    A prompt reads what its template names in braces; a mapped subtask also its map's source.
    """
    names = [*data, *subtask.depends_on]
    if subtask.kind == "prompt":
        read = tuple(name for name in names if f"{{{name}" in subtask.code)
    else:
        read = mentioned_inputs(subtask.code, names)
    over = () if subtask.map is None else (subtask.map.over,)
    return tuple(dict.fromkeys((*over, *read)))


def drop(subtasks: Subtasks, subtask_id: str) -> Subtasks:
    """Remove a subtask. Those that depended on it no longer do; code that still reads it becomes a problem."""
    gone = find(subtasks, subtask_id)
    return tuple(
        replace(
            item,
            depends_on=tuple(name for name in item.depends_on if name != subtask_id),
            inputs=tuple(name for name in item.inputs if name != subtask_id),
        )
        for item in subtasks
        if item is not gone
    )


def move(subtasks: Subtasks, subtask_id: str, to: int) -> Subtasks:
    """Put a subtask at position `to` (0-based, clipped) of the list. Order is for reading; dependencies decide."""
    item = find(subtasks, subtask_id)
    rest = [other for other in subtasks if other is not item]
    rest.insert(max(0, min(to, len(rest))), item)
    return tuple(rest)


def split(
    subtasks: Subtasks, data: Sequence[str], subtask_id: str, parts: Sequence[Mapping[str, Any]]
) -> tuple[Subtasks, tuple[str, ...]]:
    """Replace a subtask by two or more parts, side by side unless a part names another in `depends_on`.

    Each part keeps what it does not say itself (inputs, dependencies, limits, permissions, labels). Dependents of the
    whole depend on every part that no other part depends on, and get those results by the parts' ids.
    """
    if len(parts) < 2:  # noqa: PLR2004 - a split has two ends
        message = "a split needs at least two parts, each with its code"
        raise EditError(message)
    whole = find(subtasks, subtask_id)
    taken = {*data, *(item.id for item in subtasks if item is not whole)}
    made: list[Subtask] = []
    for number, part in enumerate(parts, 1):
        values = dict(part)
        values.setdefault("title", f"{whole.name} ({number})")
        values["id"] = values.get("id") or fresh_id(f"{whole.id}_{number}", taken)
        if values["id"] in taken:
            message = f"the id {values['id']!r} is taken"
            raise EditError(message)
        own = tuple(name for name in (values.get("depends_on") or ()) if isinstance(name, str))
        new = build({**values, "depends_on": (*whole.depends_on, *own)}, whole)
        if "inputs" not in values:
            new = replace(new, inputs=tuple(dict.fromkeys((*whole.inputs, *own))))
        taken.add(new.id)
        made.append(new)
    inner = {name for part in made for name in part.depends_on}
    ends = tuple(part.id for part in made if part.id not in inner) or (made[-1].id,)
    index = subtasks.index(whole)
    rest = [_replaced(item, {subtask_id}, ends) for item in subtasks if item is not whole]
    return (*rest[:index], *made, *rest[index:]), tuple(part.id for part in made)


def merge(
    subtasks: Subtasks, data: Sequence[str], ids: Sequence[str], values: Mapping[str, Any]
) -> tuple[Subtasks, Subtask]:
    """Make one subtask of several, in the plan's order. Without `code` theirs is joined, each result kept in `inputs`.

    Raises EditError where a subtask outside would be both before and after the merged one, and for a mix of kinds.
    """
    chosen = [item for item in subtasks if item.id in set(ids)]
    for subtask_id in ids:
        find(subtasks, subtask_id)
    if len(chosen) < 2:  # noqa: PLR2004
        message = "a merge needs at least two subtasks"
        raise EditError(message)
    if len({(item.kind, item.map) for item in chosen}) > 1:
        message = "only subtasks of one kind and with the same map can be merged"
        raise EditError(message)
    names = {item.id for item in chosen}
    chosen = _in_dependency_order(chosen)
    if outside := _between(subtasks, names):
        message = f"{outside!r} depends on one of them and another depends on it: merge it too, or cut a dependency"
        raise EditError(message)
    first = chosen[0]
    code = first.code if first.kind == "prompt" else _joined(chosen)
    merged = {
        "id": first.id,
        "title": " and ".join(item.name for item in chosen),
        "instruction": "\n".join(item.instruction for item in chosen if item.instruction),
        "code": "\n\n".join(item.code for item in chosen) if first.kind == "prompt" else code,
        "inputs": tuple(dict.fromkeys(n for item in chosen for n in item.inputs if n not in names)),
        "depends_on": tuple(dict.fromkeys(n for item in chosen for n in item.depends_on if n not in names)),
        "labels": tuple(dict.fromkeys(n for item in chosen for n in item.labels)),
        **values,
    }
    new = build(merged, first)
    others = {*data, *(item.id for item in subtasks if item.id not in names)}
    if new.id in others:
        message = f"the id {new.id!r} is taken"
        raise EditError(message)
    index = min(subtasks.index(item) for item in chosen)
    before = [_replaced(item, names, (new.id,)) for item in subtasks[:index]]
    after = [_replaced(item, names, (new.id,)) for item in subtasks[index:] if item.id not in names]
    return (*before, new, *after), new


def fresh_id(title: str, taken: set[str]) -> str:
    """An id made from a title that is not taken."""
    words = re.findall(r"[a-z0-9]+", title.lower())
    stem = "_".join(words)[:40].strip("_") or "subtask"
    if stem[0].isdigit():
        stem = f"t_{stem}"
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    return name


def _is_constant_read(code: str, name: str) -> bool:
    return bool(re.search(rf"""inputs\s*(\[|\.get\()\s*(['"]){re.escape(name)}\2""", code))


def _refuse_taken(subtasks: Subtasks, data: Sequence[str], subtask_id: str) -> None:
    if any(item.id == subtask_id for item in subtasks):
        message = f"the id {subtask_id!r} is taken by another subtask"
        raise EditError(message)
    if subtask_id in data:
        message = f"the id {subtask_id!r} is the name of attached data"
        raise EditError(message)


def _renamed(subtasks: Subtasks, old: str, new: str) -> Subtasks:
    def name(value: str) -> str:
        return new if value == old else value

    out = []
    for item in subtasks:
        over = item.map if item.map is None or item.map.over != old else replace(item.map, over=new)
        code = item.code
        if old in item.inputs:
            code = re.sub(rf"""(inputs\s*(?:\[|\.get\()\s*)(['"]){re.escape(old)}\2""", rf"\g<1>\g<2>{new}\g<2>", code)
        inputs = tuple(dict.fromkeys(map(name, item.inputs)))
        depends = tuple(dict.fromkeys(map(name, item.depends_on)))
        out.append(replace(item, inputs=inputs, depends_on=depends, map=over, code=code))
    return tuple(out)


def _replaced(item: Subtask, old: set[str], new: Sequence[str]) -> Subtask:
    def names(values: tuple[str, ...]) -> tuple[str, ...]:
        out: list[str] = []
        for value in values:
            out.extend(new if value in old else (value,))
        return tuple(dict.fromkeys(out))

    over = item.map
    if over is not None and over.over in old:
        over = replace(over, over=new[-1])
    return replace(item, depends_on=names(item.depends_on), inputs=names(item.inputs), map=over)


def _in_dependency_order(chosen: Sequence[Subtask]) -> list[Subtask]:
    left, out = list(chosen), []
    while left:
        names = {item.id for item in left}
        ready = next((item for item in left if not names & set(item.depends_on) - {item.id}), left[0])
        left.remove(ready)
        out.append(ready)
    return out


def _between(subtasks: Subtasks, names: set[str]) -> str | None:
    """A subtask outside `names` that lies on a path from one of them to another."""
    upstream = {item.id: set(item.depends_on) for item in subtasks}

    def reaches(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for name in upstream.get(todo.pop(), ()):
                if name not in seen:
                    seen.add(name)
                    todo.append(name)
        return seen

    above = set().union(*(reaches(name) for name in names)) - names
    return next((item.id for item in subtasks if item.id in above and reaches(item.id) & names), None)


def _joined(chosen: Sequence[Subtask]) -> str:
    parts = []
    for item in chosen:
        head = f"# {item.name}\n".replace("\n", " ").strip() + "\n"
        parts.append(f"{head}{item.code.rstrip()}\ninputs[{item.id!r}] = result\n")
    return "\n".join(parts)
