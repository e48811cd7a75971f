"""Changes that a planner proposes to a plan: read as edits, shown as a diff, applied only when the person says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nadg_kernel.errors import EditError, PlannerError
from nadg_kernel.model import Plan
from nadg_kernel.model.render import subtasks_diff
from nadg_kernel.planners.answering import unfenced

if TYPE_CHECKING:
    from nadg_kernel.model import Edit
    from nadg_kernel.planners.base import Briefing

_TEXT_FIELDS = ("title", "instruction", "kind", "code")
_LIST_FIELDS = ("depends_on", "inputs", "labels")
_ORDER = {"add": 0, "edit": 1, "drop": 2}


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A plan as it would be. `plan` is `base` with more edits in its log; nothing happens until a person takes it."""

    base: Plan
    plan: Plan
    why: str = ""
    notes: tuple[str, ...] = ()
    """What was proposed and left out, with the reason."""

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits that it adds."""
        return self.plan.edits[len(self.base.edits) :]

    @property
    def changed(self) -> frozenset[str]:
        """Ids of subtasks that are new or changed, and of all that depends on them: what would run again."""
        before = {item.id: item for item in self.base.subtasks}
        touched = {item.id for item in self.plan.subtasks if before.get(item.id) != item}
        return frozenset(touched.union(*(self.plan.descendants(name) for name in touched)))

    def diff(self) -> str:
        """A unified diff of the two plans' subtasks, the code line by line. Empty when nothing changes."""
        return subtasks_diff(self.base.subtasks, self.plan.subtasks, ("plan", "proposed"))


class Reviser(Protocol):
    """What a planner with a model can do besides drafting. All raise PlannerError and change nothing."""

    async def revise(
        self,
        plan: Plan,
        feedback: str,
        briefing: Briefing | None = None,
        *,
        subtask: str | None = None,
        frozen: Collection[str] = (),
    ) -> Proposal:
        """Changes asked for in words; a follow-up command after a run is one of these. `frozen` are done."""

    async def repair(
        self,
        plan: Plan,
        subtask: str,
        error: str,
        briefing: Briefing | None = None,
        *,
        shapes: str = "",
        frozen: Collection[str] = (),
    ) -> Proposal:
        """Changes after a failure: `error` is the traceback, `shapes` what the inputs looked like."""

    async def synthesize(self, plan: Plan, results: Mapping[str, str]) -> str:
        """A Markdown report over results as text, by subtask."""


def propose(plan: Plan, raw: Mapping[str, Any], *, frozen: Collection[str] = (), by: str = "planner") -> Proposal:
    """Read an answer's changes into a proposal. Raises PlannerError where it holds none that can be applied."""
    listed = raw.get("changes")
    changes = [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []
    changes.sort(key=lambda item: _ORDER.get(str(item.get("action")), len(_ORDER)))
    new, notes = plan, []
    for change in changes:
        action, name = str(change.get("action")), str(change.get("id", ""))
        if name in frozen:
            notes.append(f"{name} stays as it is")
            continue
        try:
            new = _apply(new, action, name, change, by, notes)
        except EditError as error:
            notes.append(f"{action} {name}: {error}")
    if new is plan:
        reason = "; ".join(notes) or "the answer holds no change"
        message = f"nothing to change was proposed: {reason}"
        raise PlannerError(message)
    why = raw.get("why")
    return Proposal(base=plan, plan=new, why=why if isinstance(why, str) else "", notes=tuple(notes))


def new_problems(proposal: Proposal) -> list[str]:
    """What a proposal makes impossible that was not before, in words that go back to the model."""
    before = {str(problem) for problem in proposal.base.problems}
    return [str(problem) for problem in proposal.plan.problems if problem.blocks and str(problem) not in before]


def _apply(plan: Plan, action: str, name: str, change: Mapping[str, Any], by: str, notes: list[str]) -> Plan:
    values = _values(change, name, notes)
    if action == "drop":
        return plan.drop(name, by=by)
    if action == "add":
        return plan.add(id=name or None, by=by, **values)
    if action == "edit":
        return plan.edit(name, by=by, **values) if values else plan
    message = f"there is no action {action!r}"
    raise EditError(message)


_FOREVER_S = 1e9


def _values(change: Mapping[str, Any], name: str, notes: list[str]) -> dict[str, Any]:
    out: dict[str, Any] = {key: change[key] for key in _TEXT_FIELDS if isinstance(change.get(key), str) and change[key]}
    if "code" in out:
        out["code"] = unfenced(out["code"]) if out.get("kind") != "prompt" else out["code"]
    for key in _LIST_FIELDS:
        if isinstance(change.get(key), list):
            out[key] = [str(item) for item in change[key] if isinstance(item, (str, int))]
    over, shards = change.get("map_over"), change.get("map_shards")
    if isinstance(over, str) and over and isinstance(shards, int) and shards >= 1:
        out["map"] = {"over": over, "shards": shards}
    timeout = change.get("timeout_s")
    # An integer may be larger than any float: what no run can last is left out like any other nonsense.
    if isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and 0 < timeout < _FOREVER_S:
        out["timeout_s"] = float(timeout)
    if change.get("permissions"):
        notes.append(f"{name} asks for permissions ({change['permissions']}): set them yourself if you agree")
    return out
