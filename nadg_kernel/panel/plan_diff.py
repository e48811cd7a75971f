"""The difference of a whole plan to its draft, grouped by subtask, in the form that the plan view draws."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nadg_kernel.model import Plan
from nadg_kernel.panel.approval import count_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nadg_kernel.model import Subtask

SHOWN_LINES = 800


def plan_diff(plan: Plan) -> dict[str, Any]:
    """`summary` in words, `lines` as [mark, text] (`#` heads a subtask, `…` leaves lines out) and how many `more`."""
    return _diff(plan.draft, plan.subtasks)


@lru_cache(maxsize=4)  # it is asked for at every repaint
def _diff(draft: tuple[Subtask, ...], now: tuple[Subtask, ...]) -> dict[str, Any]:
    before, after = ({item.id: item for item in items} for items in (draft, now))
    touched = {name for name in {**before, **after} if before.get(name) != after.get(name)}
    old, new = (
        Plan(command="", subtasks=tuple(item for item in items if item.id in touched)) for items in (draft, now)
    )
    lines = _grouped(new.diff(old), before, after)
    kept = [[name for name in ids if name in before and name in after] for ids in (before, after)]
    parts = [
        (len(touched & before.keys() & after.keys()), "changed"),
        (len(after.keys() - before.keys()), "added"),
        (len(before.keys() - after.keys()), "dropped"),
    ]
    words = [f"{count_text(number, 'subtask')} {word}" for number, word in parts if number]
    words += ["another order"] if kept[0] != kept[1] else []
    summary = ", ".join(words) or "Nothing differs from the draft"
    return {"summary": summary, "lines": lines[:SHOWN_LINES], "more": max(0, len(lines) - SHOWN_LINES)}


def _grouped(text: str, before: Mapping[str, Subtask], after: Mapping[str, Subtask]) -> list[list[str]]:
    """The lines of a unified diff under the subtasks that they belong to; of fields only those that differ."""
    out: list[list[str]] = []
    group, gap, code = "", False, False
    for line in text.split("\n")[2:]:  # splitlines would also divide a title that holds other kinds of breaks
        mark, body = line[:1].strip(), line[1:]
        if line.startswith("@@"):
            gap = True
            continue
        head = body.startswith("[") and body.endswith("]")
        name, _, rest = (body[1:-1], "", "") if head else body.partition(" ")
        if body.startswith("order: ") or not (mark or rest.startswith(("code| ", "prompt| "))):
            continue
        if name != group:
            out.append(["#", (after.get(name) or before[name]).name])
            group, gap, code = name, False, False
        if rest:
            was, code = code, rest.startswith(("code| ", "prompt| "))
            if gap and was and code:
                out.append(["\N{HORIZONTAL ELLIPSIS}", ""])
            gap = False
            if code:
                out.append([mark, rest.partition("| ")[2]])
            else:
                out.append([mark, _terse(rest, mark, before.get(name), after.get(name))])
    return out


def _terse(text: str, mark: str, old: Subtask | None, new: Subtask | None) -> str:
    """A field's line; of limits, permissions and a map that both have, only the parts that differ."""
    name = text.partition(": ")[0]
    if old is None or new is None:
        return text
    was, now = old.to_json().get(name), new.to_json().get(name)
    if not (isinstance(was, dict) and isinstance(now, dict)):
        return text
    told, other = (was, now) if mark == "-" else (now, was)
    return f"{name}: " + ", ".join(f"{key} {json.dumps(told[key])}" for key in told if told[key] != other.get(key))
