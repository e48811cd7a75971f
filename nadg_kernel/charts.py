"""Figures of the history: frames in, plotly figures out. Readable in light and dark, told apart without colour too.

Every function takes frames as `Grid` gives them and always gives a figure: with nothing to draw, one that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import plotly.graph_objects as go

from nadg_kernel import analytics

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from nadg_kernel.model import Plan

# Okabe and Ito's palette, which people with any colour vision tell apart; a pattern or symbol repeats the difference.
BLUE, GREEN, ORANGE, RED, PINK, SKY, GREY = (
    "#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#56B4E9", "#8C8C8C",
)  # fmt: skip
TEXT = "#767676"
"""Grey that keeps its contrast on white and on JupyterLab's dark background."""
LINE = "rgba(128, 128, 128, 0.25)"
NOW_SHARE = 0.05
"""How long the last known state is drawn where nobody says until when, as a share of the time before."""
MOST_BARS = 2_000
"""A timeline of more attempts shows the newest ones and says so."""

_OUTCOME = {
    "succeeded": (GREEN, ""),
    "failed": (RED, "x"),
    "timed_out": (ORANGE, "/"),
    "cancelled": (GREY, "."),
    "rejected": (SKY, "\\"),
    "lost": (PINK, "-"),
    "running": (BLUE, "|"),
}
_STATE = {
    "ready": (GREEN, ""),
    "active": (GREEN, ""),
    "busy": (BLUE, "|"),
    "waking": (SKY, "/"),
    "asleep": (GREY, "."),
    "refusing": (ORANGE, "\\"),
    "offline": (RED, "x"),
}
_SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star", "hexagon")
_LINES = (BLUE, ORANGE, GREEN, PINK, SKY, RED, GREY)


def worker_states(health: pd.DataFrame, until: datetime | None = None) -> go.Figure:
    """Which state each worker was in, over time."""
    if until is None and len(health):  # else the state that each is in now would have no length
        first, last = health["at"].min(), health["at"].max()
        until = last + max((last - first) * NOW_SHARE, pd.Timedelta(seconds=1))
    spans = analytics.worker_states(health, until)
    if spans.empty:
        return empty("Status of workers", "No worker has been seen yet: run something, or ping the workers.")
    figure = _figure("Status of workers", height=_rows(spans["worker"].nunique()))
    for state, found in spans.groupby("state", sort=False):
        color, pattern = _STATE.get(str(state), (GREY, "+"))
        figure.add_trace(_spans(found, found["worker"], str(state), color, pattern, _text(found["reason"])))
    return figure.update_layout(barmode="overlay", xaxis_type="date")


def latency(health: pd.DataFrame, every: str = "15min") -> go.Figure:
    """Latency of workers over time: the median as a line, the 95th percentile dotted."""
    found = analytics.latency(health, every)
    if found.empty:
        return empty("Latency", "No latency has been measured yet.")
    figure = _figure("Latency", y="ms")
    for number, (worker, rows) in enumerate(found.groupby("worker")):
        color, symbol = _LINES[number % len(_LINES)], _SYMBOLS[number % len(_SYMBOLS)]
        for column, dash, part in (("p50_ms", "solid", "p50"), ("p95_ms", "dot", "p95")):
            figure.add_trace(
                go.Scatter(
                    x=rows["at"],
                    y=rows[column],
                    name=_safe([f"{worker} {part}"])[0],
                    mode="lines+markers",
                    line={"color": color, "dash": dash},
                    marker={"symbol": symbol, "size": 7},
                )
            )
    return figure.update_yaxes(rangemode="tozero")


def worker_success(attempts: pd.DataFrame) -> go.Figure:
    """How attempts ended, per worker."""
    known = attempts.dropna(subset=["worker", "outcome"])
    if known.empty:
        return empty("How attempts ended, by worker", "No attempt has ended yet.")
    counts = known.groupby(["worker", "outcome"]).size()
    figure = _figure("How attempts ended, by worker", height=_rows(known["worker"].nunique()), x="attempts")
    for outcome in _in_order(known["outcome"].unique()):
        found = counts.xs(outcome, level="outcome")
        color, pattern = _OUTCOME.get(outcome, (GREY, "+"))
        figure.add_trace(_bar(x=found, y=found.index, name=outcome, color=color, pattern=pattern))
    return figure.update_layout(barmode="stack")


def worker_load(attempts: pd.DataFrame, workers: pd.DataFrame | None = None) -> go.Figure:
    """The share of each worker's capacity that was busy between its first and last attempt."""
    found = analytics.worker_health(attempts, workers=workers).dropna(subset=["load"])
    if found.empty:
        return empty("Load", "No attempt has ended yet.")
    figure = _figure("Load of workers", height=_rows(len(found)), x="share of capacity busy")
    figure.add_trace(_bar(x=found["load"], y=found["worker"], text=[f"{value:.0%}" for value in found["load"]]))
    return figure.update_xaxes(range=[0, 1], tickformat=".0%")


def cold_starts(attempts: pd.DataFrame, health: pd.DataFrame | None = None) -> go.Figure:
    """How often each worker started anew."""
    found = analytics.worker_health(attempts, health)
    if found.empty:
        return empty("Cold starts", "No worker has been seen yet.")
    figure = _figure("Cold starts", height=_rows(len(found)), x="starts after the first")
    figure.add_trace(_bar(x=found["cold_starts"], y=found["worker"], text=found["cold_starts"]))
    return figure.update_xaxes(showticklabels=False, rangemode="tozero")


def layers(workers: pd.DataFrame) -> go.Figure:
    """Which sandbox layers each worker proved."""
    found = analytics.layers(workers)
    if found.empty:
        return empty("Sandbox layers", "No worker has reported its layers yet.")
    grid = found.pivot_table(index="worker", columns="layer", values="active", aggfunc="first").astype("float64")
    notes = (
        found.pivot_table(aggfunc="first", index="worker", columns="layer", values="note")
        .reindex_like(grid)
        .fillna("not reported")
    )
    figure = _figure("Sandbox layers", height=_rows(len(grid)))
    figure.add_trace(
        go.Heatmap(
            z=grid.fillna(0.5),
            x=_safe(grid.columns),
            y=_safe(grid.index),
            zmin=0,
            zmax=1,
            colorscale=[[0, RED], [0.5, GREY], [1, GREEN]],
            showscale=False,
            text=[["yes" if cell == "active" else "no" for cell in row] for row in notes.to_numpy()],
            texttemplate="%{text}",
            textfont={"color": "white"},
            customdata=[_safe(row) for row in notes.to_numpy()],
            hovertemplate="%{y}, %{x}: %{customdata}<extra></extra>",
            xgap=2,
            ygap=2,
        )
    )
    return figure


def timeline(attempts: pd.DataFrame) -> go.Figure:
    """What ran where and when: a bar per attempt, in the lanes of its worker."""
    found = analytics.timeline(attempts)
    if found.empty:
        return empty("Timeline", "Nothing has started yet.")
    title = "Timeline"
    if len(found) > MOST_BARS:
        title += f" (the newest {MOST_BARS:,} of {len(found):,} attempts)"
        found = found.tail(MOST_BARS)
    found = found.assign(outcome=found["outcome"].fillna("running"))
    row = found["worker"].fillna("no worker") + (found["lane"] + 1).astype(str).radd(" #")
    figure = _figure(title, height=_rows(row.nunique()))
    for outcome in _in_order(found["outcome"].unique()):
        rows = found[found["outcome"] == outcome]
        color, pattern = _OUTCOME.get(outcome, (GREY, "+"))
        note = _text(rows["subtask"]) + rows["shard"].astype(str).radd(" [") + "] " + _text(rows["error"])
        figure.add_trace(_spans(rows, row[rows.index], outcome, color, pattern, note))
    figure.update_yaxes(categoryorder="array", categoryarray=_safe(sorted(row.unique(), reverse=True)))
    return figure.update_layout(barmode="overlay", xaxis_type="date")


def critical_path(history: pd.DataFrame, plan: Plan) -> go.Figure:
    """The chain of subtasks that decided when the run ended; all others in grey."""
    done = history.dropna(subset=["started_at", "ended_at"]).drop_duplicates("subtask")
    path = analytics.critical_path(history, plan)
    if path.empty:
        return empty("Critical path", "No subtask has ended yet.")
    done = done.assign(start=done["started_at"], end=done["ended_at"]).sort_values("start")
    critical = done["subtask"].isin(path["subtask"])
    total = path["seconds"].sum() + path["waited_s"].sum()
    figure = _figure(f"Critical path: {total:,.1f} s, {path['waited_s'].sum():,.1f} s of it waiting", _rows(len(done)))
    for name, chosen, color, pattern in (("critical", critical, RED, ""), ("other", ~critical, GREY, "/")):
        rows = done[chosen]
        if len(rows):
            figure.add_trace(_spans(rows, rows["title"], name, color, pattern, _text(rows["subtask"])))
    figure.update_yaxes(categoryorder="array", categoryarray=_safe(done["title"])[::-1])
    return figure.update_layout(barmode="overlay", xaxis_type="date")


def queue_and_run(attempts: pd.DataFrame, most: int = 20) -> go.Figure:
    """Time between intent and start beside time running, for the subtasks that took longest."""
    found = analytics.queue_and_run(attempts).groupby("subtask")[["queue_s", "run_s"]].sum()
    found = found.sort_values("run_s", ascending=False).head(most)
    if found.empty:
        return empty("Queue and run time", "No attempt has started yet.")
    figure = _figure("Queue and run time", height=_rows(len(found)), x="seconds")
    figure.add_trace(_bar(x=found["queue_s"], y=found.index, name="queue", color=ORANGE, pattern="/"))
    figure.add_trace(_bar(x=found["run_s"], y=found.index, name="run", color=BLUE))
    return figure.update_layout(barmode="stack").update_yaxes(autorange="reversed")


def throughput(attempts: pd.DataFrame, every: str = "D") -> go.Figure:
    """Attempts that ended, per interval and outcome."""
    found = analytics.throughput(attempts, every)
    if found.empty:
        return empty("Throughput", "No attempt has ended yet.")
    figure = _figure("Throughput", y="attempts")
    for outcome in _in_order(found["outcome"].unique()):
        rows = found[found["outcome"] == outcome]
        color, pattern = _OUTCOME.get(outcome, (GREY, "+"))
        figure.add_trace(
            _bar(x=rows["at"], y=rows["count"], name=outcome, color=color, pattern=pattern, orientation="v")
        )
    return figure.update_layout(barmode="stack")


def failures(attempts: pd.DataFrame, most: int = 15) -> go.Figure:
    """What went wrong, by cause."""
    found = analytics.failures(attempts).head(most)
    if found.empty:
        return empty("Failures by cause", "Nothing has failed.")
    figure = _figure("Failures by cause", height=_rows(found["cause"].nunique()), x="attempts")
    for outcome in _in_order(found["outcome"].unique()):
        rows = found[found["outcome"] == outcome]
        color, pattern = _OUTCOME.get(outcome, (GREY, "+"))
        figure.add_trace(
            _bar(
                x=rows["count"],
                y=rows["cause"],
                name=outcome,
                color=color,
                pattern=pattern,
                hover=_text(rows["example"]),
            )
        )
    order = found.groupby("cause")["count"].sum().sort_values().index
    return figure.update_layout(barmode="stack").update_yaxes(categoryorder="array", categoryarray=_safe(order))


def slowest(history: pd.DataFrame, most: int = 10) -> go.Figure:
    """The subtasks that took longest, over all runs."""
    found = analytics.slowest(history, most)[::-1]
    if found.empty:
        return empty("Slowest subtasks", "No subtask has ended yet.")
    figure = _figure("Slowest subtasks", height=_rows(len(found)), x="seconds")
    name = found["title"].str[:50] + found["run_id"].str[-6:].radd(" · ")
    return figure.add_trace(_bar(x=found["seconds"], y=name, text=[f"{value:,.2f}" for value in found["seconds"]]))


def cache_hits(history: pd.DataFrame, every: str = "D") -> go.Figure:
    """Subtasks that ran beside those that came from the cache."""
    found = analytics.cache_hits(history, every)
    if found.empty:
        return empty("Cache hits", "No subtask has succeeded yet.")
    figure = _figure("Cache hits", y="subtasks")
    ran = found["done"] - found["cached"]
    figure.add_trace(_bar(x=found["at"], y=ran, name="ran", color=BLUE, orientation="v"))
    figure.add_trace(_bar(x=found["at"], y=found["cached"], name="cached", color=SKY, pattern="/", orientation="v"))
    return figure.update_layout(barmode="stack")


def tokens(attempts: pd.DataFrame, every: str = "D") -> go.Figure:
    """Tokens that attempts sent to and got from models."""
    found = analytics.tokens(attempts, every)
    if found.empty:
        return empty("Tokens", "No attempt has used a model yet.")
    figure = _figure("Tokens", y="tokens")
    for column, name, color, pattern in (
        ("prompt_tokens", "prompt", BLUE, ""),
        ("output_tokens", "output", ORANGE, "/"),
    ):
        figure.add_trace(_bar(x=found["at"], y=found[column], name=name, color=color, pattern=pattern, orientation="v"))
    return figure.update_layout(barmode="stack")


def split_changes(edits: pd.DataFrame, runs: pd.DataFrame | None = None) -> go.Figure:
    """What people change in the planner's splits, by share of runs."""
    found = analytics.split_changes(edits, runs)[::-1]
    if found.empty:
        return empty("What people change in a split", "No plan has been run yet.")
    figure = _figure("What people change in a split", height=_rows(len(found)), x="share of runs")
    text = [f"{row.edits} edits in {row.runs} runs" if row.edits else f"{row.runs} runs" for row in found.itertuples()]
    figure.add_trace(_bar(x=found["share"], y=found["change"], text=text))
    return figure.update_xaxes(range=[0, 1.25], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])


def empty(title: str, sentence: str) -> go.Figure:
    """A figure that says why there is nothing to see."""
    figure = _figure(title, height=140)
    figure.update_xaxes(visible=False).update_yaxes(visible=False)
    return figure.add_annotation(text=sentence, showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)


def _figure(title: str, height: int = 360, *, x: str = "", y: str = "") -> go.Figure:
    layout: dict[str, Any] = {
        "title": {
            "text": title,
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "top",
            "pad": {"t": 12},
            "font": {"size": 16},
        },
        "font": {"color": TEXT, "size": 13},
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "margin": {"l": 8, "r": 16, "t": 76, "b": 8},
        "height": height,
        "legend": {
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1.0,
            "xanchor": "left",
            "x": 0,
            "traceorder": "normal",
        },
        "bargap": 0.3,
        "template": "none",
    }
    figure = go.Figure(layout=layout)
    axis = {"gridcolor": LINE, "zerolinecolor": LINE, "linecolor": LINE, "tickcolor": LINE, "automargin": True}
    figure.update_xaxes(**axis, title={"text": x})
    figure.update_yaxes(**axis, title={"text": y})
    return figure


def _bar(
    *,
    x: Any,
    y: Any,
    name: str = "",
    color: str = BLUE,
    pattern: str = "",
    text: Any = None,
    hover: Any = None,
    orientation: str = "h",
) -> go.Bar:
    lines = {"shape": pattern, "fillmode": "overlay", "fgcolor": "white", "fgopacity": 0.7, "size": 6, "solidity": 0.2}
    marker = {"color": color, "pattern": lines}
    bar = go.Bar(
        x=_safe(x), y=_safe(y), name=_safe([name])[0], marker=marker, orientation=orientation, showlegend=bool(name)
    )
    if text is not None:
        bar.update(text=list(text), textposition="auto")
    if hover is not None:
        bar.update(hovertext=list(hover))
    return bar


def _spans(rows: pd.DataFrame, where: Iterable[Any], name: str, color: str, pattern: str, note: pd.Series) -> go.Bar:
    """Horizontal bars from `start` to `end`. Plotly wants a date bar's length in milliseconds."""
    seconds = (rows["end"] - rows["start"]).dt.total_seconds()
    bar = _bar(x=seconds * 1000, y=where, name=name, color=color, pattern=pattern)
    hover = [f"{text}<br>{value:,.2f} s".strip() for text, value in zip(note, seconds, strict=True)]
    return bar.update(base=list(rows["start"]), hovertext=hover, hoverinfo="text+name")


def _in_order(outcomes: Iterable[str]) -> list[str]:
    order = list(_OUTCOME)
    return sorted(outcomes, key=lambda item: (order.index(item) if item in order else len(order), item))


def _text(values: pd.Series) -> pd.Series:
    """Texts of others, short and safe to show."""
    plain = values.fillna("").astype(str).str.slice(0, 120)
    return pd.Series(_safe(plain), index=values.index, dtype=object)


def _safe(values: Iterable[Any]) -> list[Any]:
    """Values with the angle brackets of texts out of harm's way: plotly reads labels as HTML, links included."""
    return [item.replace("&", "&amp;").replace("<", "&lt;") if isinstance(item, str) else item for item in values]


def _rows(count: int) -> int:
    return max(200, min(1000, 130 + 30 * count))
