"""Documents that outlive a run: one offline HTML file to send on, and a plain notebook that needs nothing of ours."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from nadg_kernel.display import clean_text
from nadg_kernel.model.render import STYLE, graph_svg
from nadg_kernel.runview import ICONS, seconds_text, summary_text
from nadg_kernel.values import PLOTLY_MIME, from_ref

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from nadg_kernel.display import Bundle
    from nadg_kernel.model import Edit, Plan, Subtask
    from nadg_kernel.progress import RunProgress, SubtaskProgress

_PAGE = (
    "<style>:root{color-scheme:light dark}body{font:15px/1.55 system-ui,sans-serif;max-width:960px;margin:2rem auto;"
    "padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #8884}"
    "pre{overflow:auto;background:#8881;padding:.6rem;border-radius:6px;font-size:13px}img{max-width:100%}"
    "table{border-collapse:collapse}td,th{padding:3px 10px;border-bottom:1px solid #8884;text-align:left;"
    "vertical-align:top}small{opacity:.75}</style>"
)


def report_page(run_id: str, plan: Plan, progress: RunProgress, shown: Mapping[str, Sequence[Bundle]]) -> str:
    """One offline HTML page: results and figures first, then the plan, its edits and approval, and what ran where.

    `shown` maps a subtask to its safe bundles (`ResultView.bundles()`). Nothing in the page loads from elsewhere.
    """
    figures = any(PLOTLY_MIME in bundle for bundles in shown.values() for bundle in bundles)
    title = escape(clean_text(plan.command, 200))
    parts = [f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title>{_PAGE}{STYLE}"]
    if figures:
        from plotly.offline import get_plotlyjs

        parts.append(f"<script>{get_plotlyjs()}</script>")
    parts.append(f"<body><h1>{title}</h1><p>{escape(summary_text(progress))}</p>")
    for item in plan.subtasks:
        body = "".join(_shown(bundle, f"{item.id}-{number}") for number, bundle in enumerate(shown.get(item.id, ())))
        parts.append(f"<h2>{escape(item.name)}</h2>{body or '<p><small>nothing to show</small></p>'}")
    parts.append(f"<h2>Plan</h2>{_approval(plan)}{graph_svg(plan)}")
    parts += [_source(item) for item in plan.subtasks]
    parts.append(f"<h2>Edits</h2>{_edits(plan.edits)}<h2>What ran where</h2>{_ran(plan, progress)}")
    parts.append(f"<p><small>run {escape(run_id)}, plan digest {plan.digest}</small></p></body></html>")
    return "".join(parts)


def plain_notebook(
    plan: Plan, data: Mapping[str, Mapping[str, Any]], fetch: Callable[[str], bytes], folder: Path
) -> dict[str, Any]:
    """A notebook (nbformat 4.5, as a dict) that reruns the plan with pandas only; its data is written into `folder`.

    A subtask with a map runs over the whole as one shard, and its dependents get a list of one, as they would there.
    """
    cells = [
        _markdown(f"# {clean_text(plan.command, 300)}\n\nThe approved plan as plain code. Run the cells in order.")
    ]
    cells.append(_code_cell(_preamble(plan, data, fetch, folder)))
    for name in plan.order():
        item = plan[name]
        cells.append(_markdown(f"## {item.name}\n\n{item.instruction}".rstrip()))
        if item.kind == "prompt":
            cells.append(_markdown(f"This was a prompt for a model; run it where you like:\n\n```\n{item.code}\n```"))
            continue
        sent = ", ".join(f"{need!r}: values[{need!r}]" for need in item.inputs)
        keep = "[result]" if item.map is not None else "result"
        head = f"inputs = {{{sent}}}\nresult = None\n"
        cells.append(_code_cell(f"{head}\n{item.code.rstrip()}\n\nvalues[{item.id!r}] = {keep}\n{keep}"))
    language = {"name": "python"}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": [{**cell, "id": f"cell-{number}"} for number, cell in enumerate(cells)],
        "metadata": {"kernelspec": kernel, "language_info": language},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _preamble(plan: Plan, data: Mapping[str, Mapping[str, Any]], fetch: Callable[[str], bytes], folder: Path) -> str:
    lines = [
        "from pathlib import Path",
        "",
        "import pandas as pd",
        "import pyarrow as pa",
        "from IPython.display import display",
        "",
    ]
    lines += ["values = {}", "shard, shards = 0, 1", "", "", "def progress(fraction, text=''):", "    pass", "", ""]
    for name in plan.data:
        encoded = from_ref(data[name], fetch)
        if encoded.format in {"list", "dict"}:
            lines.append(f"values[{name!r}] = ...  # put your own {name} here: it was several values")
            continue
        folder.mkdir(parents=True, exist_ok=True)
        suffix, read = {
            "arrow": ("arrow", "pa.ipc.open_stream(Path({path!r}).read_bytes()).read_all().to_pandas()"),
            "series": ("arrow", "pa.ipc.open_stream(Path({path!r}).read_bytes()).read_all().to_pandas()['values']"),
            "json": ("json", "__import__('json').loads(Path({path!r}).read_text())"),
            "text": ("txt", "Path({path!r}).read_text(encoding='utf-8')"),
            "npy": ("npy", "__import__('numpy').load({path!r})"),
        }.get(encoded.format, ("bin", "Path({path!r}).read_bytes()"))
        path = folder / f"{name}.{suffix}"
        path.write_bytes(encoded.data)
        lines.append(f"values[{name!r}] = " + read.format(path=f"{folder.name}/{path.name}"))
    return "\n".join(lines)


def compare_rows(left: RunProgress, right: RunProgress, same: Callable[[str], bool | None]) -> list[dict[str, Any]]:
    """One row per subtask of either run: states, seconds and whether code and result are the same (None: unknown)."""
    rows = []
    names = dict.fromkeys([*left.subtasks, *right.subtasks])
    for name in names:
        a, b = left.subtasks.get(name), right.subtasks.get(name)
        both = a is not None and b is not None
        rows.append(
            {
                "id": name,
                "state": None if a is None else str(a.state),
                "other_state": None if b is None else str(b.state),
                "seconds": None if a is None else a.seconds,
                "other_seconds": None if b is None else b.seconds,
                "same_code": left.plan[name].code == right.plan[name].code if both else None,
                "same_result": same(name) if both else None,
            }
        )
    return rows


def _shown(bundle: Bundle, spot: str) -> str:
    if PLOTLY_MIME in bundle:
        figure = json.dumps(bundle[PLOTLY_MIME]).replace("<", "\\u003c")
        return (
            f"<div id='fig-{escape(spot)}' role='img' aria-label='chart'></div><script>(()=>{{const f={figure};"
            f"Plotly.newPlot('fig-{escape(spot)}',f.data,f.layout,{{responsive:true}})}})()</script>"
        )
    from nadg_kernel.display import bundles_html

    return bundles_html([bundle])


def _approval(plan: Plan) -> str:
    if plan.approval is None:
        return "<p>not approved</p>"
    return f"<p>Approved by <b>{escape(plan.approval.by)}</b> at {plan.approval.at:%Y-%m-%d %H:%M} UTC.</p>"


def _source(item: Subtask) -> str:
    return (
        f"<details><summary>{escape(item.name)} <small>{escape(item.id)}</small></summary>"
        f"<pre>{escape(clean_text(item.code, 100_000))}</pre></details>"
    )


def _edits(edits: Sequence[Edit]) -> str:
    if not edits:
        return "<p><small>none: it ran as drafted</small></p>"
    rows = "".join(
        f"<tr><td>{edit.at:%Y-%m-%d %H:%M}</td><td>{escape(edit.by)}</td><td>{escape(edit.kind)}</td>"
        f"<td>{escape(edit.subtask or '')}</td><td>{escape(', '.join(edit.changes))}</td></tr>"
        for edit in edits
    )
    return f"<table><tr><th>when</th><th>who</th><th>what</th><th>subtask</th><th>fields</th></tr>{rows}</table>"


def _ran(plan: Plan, progress: RunProgress) -> str:
    rows = "".join(_ran_row(plan[name], item) for name, item in progress.subtasks.items() if name in plan.ids)
    heads = "<tr><th></th><th>subtask</th><th>workers</th><th>time</th><th>permissions</th><th>layers</th></tr>"
    return f"<table>{heads}{rows}</table>"


def _ran_row(item: Subtask, progress: SubtaskProgress) -> str:
    layers = sorted({layer for shard in progress.shards.values() for layer in shard.layers})
    granted = ", ".join(item.permissions.granted) or "none"
    return (
        f"<tr><td>{ICONS[progress.state]} {escape(progress.state)}</td><td>{escape(item.name)}</td>"
        f"<td>{escape(progress.worker)}</td><td>{seconds_text(progress.seconds)}</td><td>{escape(granted)}</td>"
        f"<td>{escape(', '.join(layers))}</td></tr>"
    )


def _markdown(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def _code_cell(source: str) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
