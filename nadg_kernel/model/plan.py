"""Plan: an immutable graph of subtasks with its draft and edit log; a file that a person can diff and approve."""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nadg_kernel.errors import PlanError, PlanHasProblems
from nadg_kernel.model import edits
from nadg_kernel.model.edits import Edit
from nadg_kernel.model.plan_file import FORMAT, read_plan, reading
from nadg_kernel.model.problems import Problem, find_problems
from nadg_kernel.model.records import Approval, DataSchema, Subtask
from nadg_kernel.model.render import plan_html, plan_text, subtasks_diff
from nadg_kernel.model.written import from_function, unflatten


@dataclass(frozen=True, kw_only=True)
class Context:
    """What is known around a plan while it is reviewed: workers and data. None is unknown and is not checked."""

    modules: frozenset[str] | None = None
    """Top-level names importable on at least one worker, standard library left out."""
    labels: frozenset[str] | None = None
    """Labels that at least one worker offers."""
    data_problems: tuple[Problem, ...] = ()
    attached: Mapping[str, Any] = field(default_factory=dict)
    """Name -> the attached data itself (data.py), so that a plan made with data can run without naming it again."""
    preview: Callable[[Plan, str], object] | None = field(default=None, compare=False, repr=False)
    """How the grid that drafted a plan says what a call over it would send."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Subtasks and their order, the draft that they came from, and every edit since.

    Every method returns a new plan; an edit of an approved plan gives a draft again. `planner` says who drafted it.
    """

    command: str
    subtasks: tuple[Subtask, ...] = ()
    data: Mapping[str, DataSchema] = field(default_factory=dict)
    goal: str = ""
    assumptions: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    draft: tuple[Subtask, ...] = ()
    edits: tuple[Edit, ...] = ()
    approval: Approval | None = None
    planner: Mapping[str, Any] = field(default_factory=dict)
    context: Context = field(default_factory=Context, compare=False, repr=False)

    def __getitem__(self, subtask_id: str) -> Subtask:
        """The subtask with this id. Raises EditError that lists what there is."""
        return edits.find(self.subtasks, subtask_id)

    def __len__(self) -> int:
        """How many subtasks."""
        return len(self.subtasks)

    def __str__(self) -> str:
        """The plan as plain text."""
        return plan_text(self)

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:
        return {"text/plain": plan_text(self), "text/html": plan_html(self)}

    @property
    def ids(self) -> tuple[str, ...]:
        """The subtasks' ids in the plan's order."""
        return tuple(item.id for item in self.subtasks)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the plan, as far as is known here. Those with `blocks` refuse approval."""
        return find_problems(self.subtasks, self.data, self.context)

    @property
    def digest(self) -> str:
        """SHA-256 over what an approval covers: command, goal, assumptions, questions, schemas, and what runs.

        Titles, instructions, priorities and holds may change freely. It detects change; it is not a signature.
        """
        body = {
            "format": FORMAT,
            "command": self.command,
            "goal": self.goal,
            "assumptions": list(self.assumptions),
            "questions": list(self.questions),
            "data": {n: [s.kind, list(s.columns), list(s.dtypes)] for n, s in sorted(self.data.items())},
            "subtasks": [
                {k: v for k, v in item.to_json().items() if k not in {"title", "instruction", "priority", "hold"}}
                for item in sorted(self.subtasks, key=lambda item: item.id)
            ],
        }
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def approved(self) -> bool:
        """Whether the plan carries an approval of exactly what it is now."""
        return self.approval is not None and self.approval.digest == self.digest

    def edit(self, subtask_id: str, /, *, by: str | None = None, **values: Any) -> Plan:
        """Change fields of one subtask; `timeout_s=60`, `memory_mb=...`, `network=True` may be given directly."""
        flat = unflatten(values)
        subtasks = edits.edit(self.subtasks, tuple(self.data), subtask_id, flat)
        new_id = str(flat.get("id", subtask_id))
        changes = edits.changed_fields(self[subtask_id], edits.find(subtasks, new_id))
        return self._changed(subtasks, "edit", subtask_id, changes, by) if changes else self

    def add(
        self,
        *,
        func: Callable[..., Any] | None = None,
        before: str | None = None,
        by: str | None = None,
        **values: Any,
    ) -> Plan:
        """Add a subtask (`title=`, `code=`, `depends_on=`, ...), or a function of yours by its source with `func=`.

        A function's parameters are filled from the inputs of the same name, those without a default in order otherwise.
        """
        flat = unflatten(values)
        if func is not None:
            flat = {**from_function(func, flat.get("depends_on") or (), tuple(self.data)), **flat}
        subtasks, new = edits.add(self.subtasks, tuple(self.data), flat, before)
        return self._changed(subtasks, "add", new.id, {"subtask": (None, new.to_json())}, by)

    def drop(self, subtask_id: str, /, *, by: str | None = None) -> Plan:
        """Remove a subtask; its dependents no longer depend on it."""
        gone = self[subtask_id]
        changes = {"subtask": (gone.to_json(), None)}
        return self._changed(edits.drop(self.subtasks, subtask_id), "drop", subtask_id, changes, by)

    def move(self, subtask_id: str, /, to: int, *, by: str | None = None) -> Plan:
        """Put a subtask at position `to` (0-based) of the list."""
        before = self.ids.index(self[subtask_id].id)
        subtasks = edits.move(self.subtasks, subtask_id, to)
        after = next(number for number, item in enumerate(subtasks) if item.id == subtask_id)
        if before == after:
            return self
        return self._changed(subtasks, "move", subtask_id, {"position": (before, after)}, by)

    def hold(self, subtask_id: str, /, on: bool = True, *, by: str | None = None) -> Plan:  # noqa: FBT001, FBT002
        """Hold a subtask back from starting, or release it with `on=False`."""
        if self[subtask_id].hold == on:
            return self
        subtasks = edits.edit(self.subtasks, tuple(self.data), subtask_id, {"hold": on})
        return self._changed(subtasks, "hold", subtask_id, {"hold": (not on, on)}, by)

    def split(self, subtask_id: str, /, *parts: Mapping[str, Any], by: str | None = None) -> Plan:
        """Replace a subtask by parts, each a mapping of its own fields (at least `code`)."""
        whole = self[subtask_id]
        flat = [unflatten(dict(part)) for part in parts]
        subtasks, made = edits.split(self.subtasks, tuple(self.data), subtask_id, flat)
        new = [item.to_json() for item in subtasks if item.id in made]
        return self._changed(subtasks, "split", subtask_id, {"subtasks": ([whole.to_json()], new)}, by)

    def merge(self, *ids: str, by: str | None = None, **values: Any) -> Plan:
        """Make one subtask of several; their code is joined unless `code=` is given."""
        old = [self[subtask_id].to_json() for subtask_id in ids]
        subtasks, new = edits.merge(self.subtasks, tuple(self.data), ids, unflatten(values))
        return self._changed(subtasks, "merge", new.id, {"subtasks": (old, [new.to_json()])}, by)

    def approve(self, *, by: str | None = None) -> Plan:
        """Approve exactly this. Raises PlanHasProblems if running would be impossible."""
        blocking = [problem for problem in self.problems if problem.blocks]
        if blocking:
            raise PlanHasProblems(blocking)
        return replace(self, approval=Approval(by=by or _person(), at=datetime.now(UTC), digest=self.digest))

    def prompt_preview(self, words: str = "") -> object:
        """What the grid's planner would send if it were asked to change this plan in these words; nothing is sent.

        A Preview, as `grid.prompt_preview` gives. Raises PlanError for a plan that no grid drafted or checked.
        """
        if self.context.preview is None:
            message = "this plan knows no grid: grid.prompt_preview(words, plan=plan), or grid.check(plan) first"
            raise PlanError(message)
        return self.context.preview(self, words)

    def diff(self, other: Plan | None = None) -> str:
        """What changed since the draft, or since `other`: a unified diff by field, the code line by line."""
        old, name = (self.draft, "draft") if other is None else (other.subtasks, "other")
        return subtasks_diff(old, self.subtasks, (name, "plan"))

    def order(self) -> tuple[str, ...]:
        """The ids so that each comes after what it depends on; subtasks on a cycle keep the plan's order at the end."""
        known = set(self.ids)
        left = {item.id: {n for n in item.depends_on if n in known} for item in self.subtasks}
        dependents: dict[str, list[str]] = {name: [] for name in left}
        for name, needs in left.items():
            for need in needs:
                dependents[need].append(name)
        out: list[str] = []
        ready = [name for name, needs in left.items() if not needs]
        while ready:
            name = ready.pop(0)
            out.append(name)
            for follower in dependents[name]:
                left[follower].discard(name)
                if not left[follower]:
                    ready.append(follower)
        done = set(out)
        return (*out, *(name for name in left if name not in done))

    def descendants(self, subtask_id: str) -> frozenset[str]:
        """Ids of everything that depends on a subtask, directly or not."""
        found: set[str] = set()
        todo = [subtask_id]
        while todo:
            name = todo.pop()
            for item in self.subtasks:
                if name in item.depends_on and item.id not in found:
                    found.add(item.id)
                    todo.append(item.id)
        return frozenset(found - {subtask_id})

    def to_json(self) -> dict[str, Any]:
        """The plan file's form (`nadg-plan/1`)."""
        return {
            "format": FORMAT,
            "command": self.command,
            "goal": self.goal,
            "assumptions": list(self.assumptions),
            "questions": list(self.questions),
            "planner": dict(self.planner),
            "data": {name: schema.to_json() for name, schema in self.data.items()},
            "subtasks": [item.to_json() for item in self.subtasks],
            "draft": [item.to_json() for item in self.draft],
            "edits": [item.to_json() for item in self.edits],
            "approval": None if self.approval is None else self.approval.to_json(),
        }

    @classmethod
    def from_json(cls, raw: object) -> Plan:
        """Read a plan file's content; `{"command", "subtasks"}` is enough. Raises PlanFileError that says where."""
        return cls(**read_plan(raw))

    def save(self, path: str | Path) -> Path:
        """Write the plan file (UTF-8, indented so that a diff reads well)."""
        target = Path(path)
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False)
        target.write_text(text.encode("utf-8", "backslashreplace").decode() + "\n", encoding="utf-8")
        return target

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read a plan file. Raises PlanFileError with the file's name, also when it is not there or not JSON."""
        with reading(path) as raw:
            return cls.from_json(raw)

    def with_context(self, context: Context) -> Plan:
        """The same plan, checked against other workers or data."""
        return replace(self, context=context)

    def logged(self, kind: str, subtask: str | None, changes: Mapping[str, tuple[Any, Any]], by: str | None) -> Plan:
        """The same subtasks with one more edit in the log (undo, redo, an answered question); a draft again."""
        return self._changed(self.subtasks, kind, subtask, changes, by)

    def _changed(
        self,
        subtasks: Sequence[Subtask],
        kind: str,
        subtask: str | None,
        changes: Mapping[str, tuple[Any, Any]],
        by: str | None,
    ) -> Plan:
        entry = Edit(at=datetime.now(UTC), by=by or _person(), kind=kind, subtask=subtask, changes=dict(changes))
        return replace(self, subtasks=tuple(subtasks), edits=(*self.edits, entry), approval=None)


def _person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"  # no account name in this environment: unknown is said, not guessed
