"""What workers and models return, made safe to show: a MIME allow-list, escaped text, sandboxed HTML.

Every rich thing from outside passes through `safe_bundle`. HTML and SVG go into an iframe without scripts, without an
origin and without network; JavaScript and unknown types are dropped; Markdown is rendered here with raw HTML off.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from typing import TYPE_CHECKING, Any

from nadg_kernel.values import PLOTLY_MIME, Encoded, ValueDecodingError, decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

TEXT_LIMIT = 20_000
HTML_LIMIT = 500_000
TABLE_ROWS = 20
TABLE_COLUMNS = 30
CELL_CHARS = 200
IMAGES = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8", "image/gif": b"GIF8"}
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_]|.)?", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"

Bundle = dict[str, Any]


def clean_text(text: str, limit: int = TEXT_LIMIT) -> str:
    """Text without terminal escapes, control characters and bidi overrides, cut at `limit` characters."""
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _ESCAPES.sub("", text.replace("\r\n", "\n")))
    if len(text) <= limit:
        return text
    return text[:limit] + f"\n... {len(text) - limit:,} more characters"


def safe_bundle(bundle: Mapping[str, Any]) -> Bundle:
    """A bundle that may be shown in the person's own page, from one that came from anywhere.

    Always has `text/plain`; has `text/html` or an image or a plotly figure where the original offered something of it.
    """
    out: Bundle = {"text/plain": clean_text(_text(bundle.get("text/plain", "")))}
    if isinstance(figure := bundle.get(PLOTLY_MIME), dict) and isinstance(figure.get("data"), list):
        out[PLOTLY_MIME] = _local_figure(figure)
    elif "text/html" in bundle:
        out["text/html"] = sandboxed(_text(bundle["text/html"]))
    elif "text/markdown" in bundle:
        source = _text(bundle["text/markdown"])
        out["text/html"] = markdown_html(source)
        out["text/plain"] = clean_text(source)
    elif "image/svg+xml" in bundle:
        out["text/html"] = sandboxed(_text(bundle["image/svg+xml"]))
    else:
        for mime, magic in IMAGES.items():
            if mime in bundle and _is_image(bundle[mime], magic):
                out[mime] = re.sub(r"\s", "", bundle[mime])
                break
        else:
            if "application/json" in bundle:
                out["text/plain"] = clean_text(json.dumps(bundle["application/json"], indent=2, ensure_ascii=False))
    return out


def value_bundles(value: Encoded) -> list[Bundle]:  # noqa: PLR0911 - one return per format
    """How a result is shown: a table for frames, the figure for figures, text for the rest; a list one by one."""
    if (
        value.format == "list"
        and value.items
        and all(item.format in {"arrow", "mime", "series"} for item in value.items)
    ):
        return [part for item in value.items for part in value_bundles(item)]
    if value.format == "dict" and value.items:
        out = []
        for key, item in zip(value.keys, value.items, strict=True):
            label = clean_text(key, 200)
            head = {"text/plain": label, "text/html": f"<p><strong>{html.escape(label)}</strong></p>"}
            out += [head, *value_bundles(item)]
        return out
    try:
        plain = decode(value)
    except ValueDecodingError as error:
        return [{"text/plain": f"this result cannot be read: {clean_text(str(error), 500)}"}]
    if value.format == "mime":
        return [safe_bundle(plain if isinstance(plain, dict) else {})]
    if value.format == "arrow":
        return [frame_bundle(plain)]
    if value.format == "series":
        return [frame_bundle(plain.to_frame())]
    if isinstance(plain, str):
        return [_string_bundle(plain)]
    if isinstance(plain, (bytes, bytearray)):
        return [{"text/plain": f"{len(plain):,} bytes"}]
    text = json.dumps(plain, indent=2, ensure_ascii=False) if value.format == "json" else repr(plain)
    return [{"text/plain": clean_text(text)}]


def frame_bundle(frame: pd.DataFrame, rows: int = TABLE_ROWS) -> Bundle:
    """A table with its dtypes: the first rows, and in words what is left out. Everything in it is escaped."""
    shown = frame.iloc[:rows, :TABLE_COLUMNS]
    size = f"{len(frame):,} rows x {frame.shape[1]:,} columns"
    if len(frame) > rows:
        size += f", first {rows} shown"
    if frame.shape[1] > TABLE_COLUMNS:
        size += f", first {TABLE_COLUMNS} columns shown"
    index = [clean_text(str(label), CELL_CHARS) for label in shown.index]
    heads = "".join(
        f"<th scope='col'>{_cell(name)}<br><small>{html.escape(str(kind))}</small></th>"
        for name, kind in zip(shown.columns, shown.dtypes, strict=True)
    )
    body = "".join(
        f"<tr><th scope='row'>{html.escape(label)}</th>"
        + "".join(f"<td>{_cell(value)}</td>" for value in row)
        + "</tr>"
        for label, row in zip(index, shown.itertuples(index=False, name=None), strict=True)
    )
    table = f"<table class='dataframe'><thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody></table>"
    text = shown.to_string(max_colwidth=40) if len(shown.columns) else "(no columns)"
    return {
        "text/plain": clean_text(f"{text}\n[{size}]"),
        "text/html": f"<div style='overflow-x:auto'>{table}</div><p><small>{size}</small></p>",
    }


def sandboxed(source: str) -> str:
    """Foreign HTML or SVG in an iframe that runs no script, has no origin, and loads nothing."""
    if len(source) > HTML_LIMIT:
        source = f"<p>{len(source):,} characters of HTML are too many to show.</p>"
    page = (
        f"<!doctype html><meta charset='utf-8'><meta http-equiv='Content-Security-Policy' content=\"{_CSP}\">"
        "<style>body{font:13px system-ui,sans-serif;margin:8px;background:#fff;color:#111}"
        "table{border-collapse:collapse}td,th{padding:2px 8px;border-bottom:1px solid #ddd;text-align:right}</style>"
        f"<body>{source}"
    )
    height = max(80, min(480, 60 + 24 * (source.count("<tr") + source.count("<p") + source.count("<li"))))
    return (
        f"<iframe sandbox='' referrerpolicy='no-referrer' title='output of a subtask' loading='lazy' "
        f"style='width:100%;height:{height}px;border:1px solid #8884;border-radius:4px;background:#fff' "
        f'srcdoc="{html.escape(page, quote=True)}"></iframe>'
    )


def markdown_html(source: str) -> str:
    """Markdown as HTML with raw HTML shown as text and only http, https and mailto links (CommonMark and tables)."""
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
    renderer.disable("image")  # an image would be a request to somewhere
    return f"<div class='nadg-markdown'>{renderer.render(clean_text(source, HTML_LIMIT))}</div>"


def bundles_html(bundles: Sequence[Bundle]) -> str:
    """Safe bundles as one HTML fragment, for documents and widgets. A plotly figure is named, not drawn."""
    parts = []
    for bundle in bundles:
        image = next((mime for mime in IMAGES if mime in bundle), None)
        if "text/html" in bundle:
            parts.append(bundle["text/html"])
        elif image is not None:
            parts.append(f"<img alt='image result' style='max-width:100%' src='data:{image};base64,{bundle[image]}'>")
        else:
            parts.append(f"<pre>{html.escape(bundle.get('text/plain', ''))}</pre>")
    return "\n".join(parts)


def _text(value: object) -> str:
    if isinstance(value, list):  # the notebook format allows a list of lines
        return "".join(str(part) for part in value)
    return value if isinstance(value, str) else str(value)


def _cell(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return html.escape(clean_text(text, CELL_CHARS))


_MARKDOWN = re.compile(r"^(#{1,6} |[-*] |\d+\. |\|.*\|$|```|> )|\*\*[^*]+\*\*", re.MULTILINE)


def _string_bundle(text: str) -> Bundle:
    """Text that is written as Markdown is shown as such; other text as it is."""
    plain = clean_text(text)
    if len(_MARKDOWN.findall(text)) >= 2 or text.startswith("# "):  # noqa: PLR2004 - one mark may be chance
        return {"text/plain": plain, "text/html": markdown_html(text)}
    return {"text/plain": plain}


def _is_image(content: object, magic: bytes) -> bool:
    if not isinstance(content, str):
        return False
    try:
        return base64.b64decode(re.sub(r"\s", "", content), validate=True).startswith(magic)
    except (ValueError, binascii.Error):
        return False


def _local_figure(figure: Mapping[str, Any]) -> dict[str, Any]:
    """A plotly figure without what would load from elsewhere: layout images that are not inline, map tiles."""
    layout = dict(figure.get("layout") or {})
    images = [
        image
        for image in layout.get("images") or ()
        if isinstance(image, dict) and str(image.get("source", "")).startswith("data:image/")
    ]
    layout = {name: value for name, value in layout.items() if not name.startswith(("mapbox", "map"))}
    layout["images"] = images
    return {"data": list(figure.get("data") or ()), "layout": layout}
