"""A run as a person reads it in a cell: static HTML and its plain-text twin, from the progress alone."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from nadg_kernel.display import clean_text
from nadg_kernel.model import RunState, SubtaskState
from nadg_kernel.model.render import STYLE, graph_svg

if TYPE_CHECKING:
    from nadg_kernel.progress import RunProgress, SubtaskProgress

ICONS = {
    SubtaskState.WAITING: "\N{WHITE CIRCLE}",
    SubtaskState.HELD: "\N{DOUBLE VERTICAL BAR}",
    SubtaskState.READY: "\N{CIRCLE WITH LEFT HALF BLACK}",
    SubtaskState.RUNNING: "\N{BLACK RIGHT-POINTING TRIANGLE}",
    SubtaskState.SUCCEEDED: "\N{CHECK MARK}",
    SubtaskState.CACHED: "\N{CHECK MARK}",
    SubtaskState.FAILED: "\N{BALLOT X}",
    SubtaskState.SKIPPED: "\N{EN DASH}",
    SubtaskState.CANCELLED: "\N{WHITE SQUARE}",
}
COLOURS = {
    SubtaskState.RUNNING: "var(--jp-brand-color1,#6f42c1)",
    SubtaskState.SUCCEEDED: "var(--jp-success-color1,#1b7f4b)",
    SubtaskState.CACHED: "var(--jp-success-color1,#1b7f4b)",
    SubtaskState.FAILED: "var(--jp-error-color1,#b3261e)",
}


def seconds_text(seconds: float | None) -> str:
    """A duration for people; empty where unknown."""
    if seconds is None:
        return ""
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)}:{int(seconds % 60):02d} min"


def left_s(progress: RunProgress) -> float | None:
    """Seconds that a run may still take; None where a part of it gives no hint.

    What tells how far it is goes on at its pace; what has not begun is taken to last as long as those that are done did
    on average. What is held is left out, for nobody knows when it is released.
    """
    if progress.state is not RunState.RUNNING or progress.last_at is None:
        return None
    times = [item.seconds for item in progress.subtasks.values() if item.seconds and item.state.good]
    usual = sum(times) / len(times) if times else None
    ends: dict[str, float] = {}
    for name in progress.plan.order():
        item = progress.subtasks[name]
        if item.state.final or item.state is SubtaskState.HELD:
            continue
        spent = (progress.last_at - item.started_at).total_seconds() if item.started_at else 0.0
        part = item.fraction if item.state is SubtaskState.RUNNING else None
        own = spent * (1 - part) / part if part else None if usual is None else max(0.0, usual - spent)
        if own is None:
            return None
        ends[name] = own + max((ends.get(need, 0.0) for need in progress.plan[name].depends_on), default=0.0)
    return max(ends.values(), default=None)


def summary_text(progress: RunProgress) -> str:
    """One line: x of n, failed, elapsed."""
    counts = progress.counts()
    total = len(progress.subtasks)
    parts = [f"{progress.done} of {total} done"]
    named = (SubtaskState.FAILED, SubtaskState.RUNNING, SubtaskState.HELD, SubtaskState.SKIPPED)
    parts += [f"{counts[state]} {state}" for state in named if counts.get(state)]
    if elapsed := seconds_text(progress.seconds):
        parts.append(elapsed)
    if (left := left_s(progress)) is not None:
        parts.append(f"about {seconds_text(left)} left")
    word = "rehearsal " if progress.rehearsal else ""
    reason = f" ({progress.reason})" if progress.reason else ""
    return f"{word}{progress.state}{reason}: " + ", ".join(parts)


def detail_text(item: SubtaskProgress) -> str:
    """What to say beside a subtask: the error, the reason it waits, or how far it is."""
    if item.state is SubtaskState.FAILED and item.error:
        line = item.error.get("line")
        where = f" at line {line}" if line else ""
        return clean_text(f"{item.error.get('type', '')}: {item.error.get('message', '')}{where}", 300)
    if item.state is SubtaskState.RUNNING:
        parts = []
        if item.shard_count and item.shard_count > 1:
            parts.append(f"{sum(s.state.final for s in item.shards.values())} of {item.shard_count} shards")
        if item.fraction is not None:
            parts.append(f"{item.fraction:.0%}")
        if item.text:
            parts.append(clean_text(item.text, 120))
        return ", ".join(parts)
    return clean_text(item.reason, 300)


def run_text(progress: RunProgress) -> str:
    """The run as plain text."""
    lines = [summary_text(progress)]
    for item in progress.subtasks.values():
        time = seconds_text(item.seconds)
        tail = "  ".join(part for part in (item.worker, time, detail_text(item)) if part)
        lines.append(f"  {ICONS[item.state]} {item.state:<9} {item.title}{'  ' + tail if tail else ''}")
    return "\n".join(lines)


def run_html(progress: RunProgress) -> str:
    """The run as static HTML; everything is escaped."""
    rows = "".join(_row(item) for item in progress.subtasks.values())
    captions = {
        item.id: f"{ICONS[item.state]} {item.state} {seconds_text(item.seconds)}".rstrip()
        for item in progress.subtasks.values()
    }
    share = progress.done / len(progress.subtasks) if progress.subtasks else 0
    colour = "#b3261e" if progress.state in {RunState.FAILED, RunState.INTERRUPTED} else "#1b7f4b"
    bar = (
        f"<div role='progressbar' aria-valuenow='{share:.0%}' style='height:6px;background:#8883;border-radius:3px;"
        f"max-width:640px'><div style='height:6px;width:{share:.0%};background:{colour};border-radius:3px'></div></div>"
    )
    notice = f"<p class='bad'>{escape(progress.store_notice)}</p>" if progress.store_notice else ""
    return (
        f"{STYLE}<div class='nadg'><b>{escape(progress.plan.command)}</b><br>{escape(summary_text(progress))}{bar}"
        f"{notice}{graph_svg(progress.plan, captions)}<table><tbody>{rows}</tbody></table></div>"
    )


def _row(item: SubtaskProgress) -> str:
    colour = COLOURS.get(item.state)
    style = f" style='color:{colour}'" if colour else ""
    trace = ""
    if item.state is SubtaskState.FAILED and item.error and item.error.get("traceback"):
        text = clean_text(str(item.error["traceback"]), 8_000)
        trace = f"<details><summary>traceback</summary><pre>{escape(text)}</pre></details>"
    return (
        f"<tr><td{style}>{ICONS[item.state]} {escape(item.state)}</td><td>{escape(item.title)}</td>"
        f"<td>{escape(item.worker)}</td><td>{seconds_text(item.seconds)}</td>"
        f"<td>{escape(detail_text(item))}{trace}</td></tr>"
    )
