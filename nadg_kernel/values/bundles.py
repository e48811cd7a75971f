"""Figures and objects with rich representations as MIME bundles, as Jupyter would ask for them."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

from .encoded import TEXT_LIMIT

PLOTLY_MIME = "application/vnd.plotly.v1+json"


def mime_bundle(value: object) -> dict[str, Any]:
    """The rich representations of a value, `text/plain` always among them, as Jupyter would ask for them."""
    special = figure_bundle(value)
    if special is not None:
        return special
    own = own_bundle(value)
    if own is not None:
        return own
    text = value if isinstance(value, str) else repr(value)
    return {"text/plain": text[:TEXT_LIMIT]}


def figure_bundle(value: object) -> dict[str, Any] | None:
    """The bundle of a plotly or matplotlib figure; None for anything else."""
    kind = type(value)
    if kind.__module__.startswith("plotly.") and hasattr(value, "to_json"):
        figure = json.loads(value.to_json())
        return {PLOTLY_MIME: figure, "text/plain": f"plotly figure with {len(figure.get('data', ()))} traces"}
    if kind.__module__.startswith("matplotlib.") and hasattr(value, "savefig"):
        buffer = io.BytesIO()
        value.savefig(buffer, format="png", bbox_inches="tight")
        return {"image/png": base64.b64encode(buffer.getvalue()).decode("ascii"), "text/plain": repr(value)}
    return None


_REPRS = (
    ("_repr_html_", "text/html"),
    ("_repr_markdown_", "text/markdown"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
    ("_repr_latex_", "text/latex"),
)


def own_bundle(value: object) -> dict[str, Any] | None:
    """What the object itself offers by IPython's protocol; None if it offers nothing richer than text."""
    bundle: dict[str, Any] = {}
    if callable(whole := getattr(value, "_repr_mimebundle_", None)):
        answer = whole()
        bundle.update(answer[0] if isinstance(answer, tuple) else answer or {})
    for method, mime in _REPRS:
        if mime not in bundle and callable(single := getattr(value, method, None)):
            content = single()
            content = content[0] if isinstance(content, tuple) else content
            if content is not None:
                bundle[mime] = base64.b64encode(content).decode("ascii") if isinstance(content, bytes) else content
    if not bundle:
        return None
    bundle.setdefault("text/plain", repr(value)[:TEXT_LIMIT])
    return bundle
