"""A plan as a person reads it where no panel is: plain text, and a static HTML table with its graph."""

from __future__ import annotations

import difflib
import json
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nadg_kernel.model.plan import Plan
    from nadg_kernel.model.records import Subtask

BOX_W, BOX_H, GAP_X, GAP_Y = 168, 40, 44, 14
GRAPH_LIMIT = 60
"""Subtasks up to which the graph is drawn; beyond it the table says more."""

STYLE = (
    "<style>.nadg{font:13px/1.45 system-ui,sans-serif;color:var(--jp-ui-font-color1,inherit)}"
    ".nadg table{border-collapse:collapse;margin:6px 0}.nadg th,.nadg td{text-align:left;padding:3px 10px;"
    "border-bottom:1px solid #8884;vertical-align:top}.nadg small{opacity:.75}"
    ".nadg .bad{color:var(--jp-error-color1,#b3261e)}.nadg .ok{color:var(--jp-success-color1,#1b7f4b)}"
    ".nadg svg text{font:12px system-ui,sans-serif;fill:currentColor}"
    ".nadg svg rect{fill:none;stroke:currentColor;stroke-opacity:.5}"
    ".nadg svg path{fill:none;stroke:currentColor;stroke-opacity:.45}</style>"
)


def layers(plan: Plan) -> list[list[str]]:
    """Ids in columns: each one column right of the last thing it depends on."""
    column: dict[str, int] = {}
    needs = {item.id: item.depends_on for item in plan.subtasks}
    for name in plan.order():
        column[name] = 1 + max((column.get(need, -1) for need in needs[name]), default=-1)
    out: list[list[str]] = [[] for _ in range(max(column.values(), default=-1) + 1)]
    for item in plan.subtasks:
        out[column[item.id]].append(item.id)
    return out


def describe(item: Subtask) -> str:
    """What is special about a subtask, in a few words."""
    parts = []
    if item.map is not None:
        size = f"{item.map.shards} shards" if item.map.shards is not None else f"{item.map.rows} rows each"
        parts.append(f"map over {item.map.over}, {size}")
    parts += list(item.permissions.granted)
    if item.labels:
        parts.append("needs " + ", ".join(item.labels))
    if item.hold:
        parts.append("held")
    return "; ".join(parts)


def plan_text(plan: Plan) -> str:
    """The plan as plain text."""
    state = "approved" if plan.approved else "draft"
    head = [f"Plan ({state}): {plan.command}".rstrip()]
    head += [f"  assumes: {text}" for text in plan.assumptions]
    head += [f"  asks: {text}" for text in plan.questions]
    for number, item in enumerate(plan.subtasks, 1):
        after = f"  after {', '.join(item.depends_on)}" if item.depends_on else ""
        special = describe(item)
        head.append(f"  {number}. {item.id}: {item.name}{after}{'  [' + special + ']' if special else ''}")
    head += [f"  ! {problem}" for problem in plan.problems]
    return "\n".join(head)


def subtasks_diff(old: Sequence[Subtask], new: Sequence[Subtask], names: tuple[str, str]) -> str:
    """A unified diff of two lists of subtasks: their order, then each by its id, the code line by line."""
    ids = tuple(dict.fromkeys(item.id for item in (*old, *new)))  # a subtask that moved is compared with itself
    before, after = (_lines({item.id: item for item in items}, ids) for items in (old, new))
    return "\n".join(difflib.unified_diff(before, after, *names, lineterm="", n=2))


def _lines(items: Mapping[str, Subtask], ids: Sequence[str]) -> list[str]:
    out = [f"order: {', '.join(items)}"]
    for item in (items[name] for name in ids if name in items):
        out.append(f"[{item.id}]")
        for key, value in item.to_json().items():
            if key in {"code", "prompt"}:
                out += [f"{item.id} {key}| {line}" for line in str(value).splitlines()]
            elif key != "id":
                out.append(f"{item.id} {key}: {json.dumps(value, ensure_ascii=False)}")
    return out


def plan_html(plan: Plan) -> str:
    """The plan as static HTML: what it assumes, its graph, one row per subtask, its problems. Everything is escaped."""
    problems = plan.problems
    if plan.approval is not None and plan.approved:
        state = f"<b class='ok'>approved</b> by {escape(plan.approval.by)}"
    else:
        blocking = sum(problem.blocks for problem in problems)
        state = (
            f"draft, <b class='bad'>{blocking} to fix</b>" if blocking else "draft, ready for <code>approve()</code>"
        )
    rows = "".join(
        f"<tr><td>{number}</td><td><b>{escape(item.name)}</b><br><small>{escape(item.instruction)}</small></td>"
        f"<td><code>{escape(item.id)}</code></td><td>{escape(', '.join(item.depends_on))}</td>"
        f"<td>{escape(describe(item))}</td><td>{item.limits.timeout_s:g} s</td></tr>"
        for number, item in enumerate(plan.subtasks, 1)
    )
    notes = "".join(f"<br><small>Assumes: {escape(text)}</small>" for text in plan.assumptions)
    notes += "".join(f"<br><small>Asks: {escape(text)}</small>" for text in plan.questions)
    bad = "".join(f"<li class='{'bad' if problem.blocks else ''}'>{escape(str(problem))}</li>" for problem in problems)
    return (
        f"{STYLE}<div class='nadg'><b>{escape(plan.command)}</b> ({state}){notes}{graph_svg(plan)}"
        "<table><thead><tr><th></th><th>Subtask</th><th>id</th><th>after</th><th></th><th>timeout</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>{'<ul>' + bad + '</ul>' if bad else ''}</div>"
    )


def graph_svg(plan: Plan, captions: Mapping[str, str] | None = None) -> str:
    """The graph as inline SVG with a caption under each title; empty for one subtask or for more than GRAPH_LIMIT."""
    if not 1 < len(plan.subtasks) <= GRAPH_LIMIT:
        return ""
    columns = layers(plan)
    spots = positions(columns)
    names = {item.id: item for item in plan.subtasks}
    captions = captions or {}
    parts = []
    for item in plan.subtasks:
        x, y = spots[item.id]
        for need in item.depends_on:
            if need in spots:
                x0, y0 = spots[need][0] + BOX_W, spots[need][1] + BOX_H / 2
                middle, y1 = (x0 + x) / 2, y + BOX_H / 2
                parts.append(f"<path d='M{x0} {y0}C{middle} {y0} {middle} {y1} {x} {y1}'/>")
    for name, (x, y) in spots.items():
        parts.append(f"<rect x='{x}' y='{y}' width='{BOX_W}' height='{BOX_H}' rx='6'/>")
        parts.append(f"<text x='{x + 9}' y='{y + 17}'>{escape(_short(names[name].name))}</text>")
        caption = captions.get(name, describe(names[name]))
        parts.append(f"<text x='{x + 9}' y='{y + 32}' opacity='.7'>{escape(_short(caption))}</text>")
    width = len(columns) * (BOX_W + GAP_X)
    height = max(len(column) for column in columns) * (BOX_H + GAP_Y) + GAP_Y
    label = escape(f"graph of {len(names)} subtasks")
    return (
        f"<div style='overflow-x:auto'><svg role='img' aria-label='{label}' width='{width}' height='{height}' "
        f"viewBox='-2 -2 {width} {height}'>{''.join(parts)}</svg></div>"
    )


def positions(columns: Sequence[Sequence[str]]) -> dict[str, tuple[float, float]]:
    """Left upper corners in pixels, each column centred."""
    tallest = max((len(column) for column in columns), default=0)
    spots: dict[str, tuple[float, float]] = {}
    for number, column in enumerate(columns):
        top = (tallest - len(column)) * (BOX_H + GAP_Y) / 2
        for row, name in enumerate(column):
            spots[name] = (number * (BOX_W + GAP_X), top + row * (BOX_H + GAP_Y) + GAP_Y / 2)
    return spots


def _short(text: str, limit: int = 25) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
