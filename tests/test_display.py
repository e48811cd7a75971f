"""What comes from workers and models is inert where it is shown."""

from __future__ import annotations

import base64
import html

import pandas as pd
import plotly.graph_objects as go
import pytest

from nadg_kernel import display
from nadg_kernel.values import PLOTLY_MIME, encode, mime_bundle

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n0000").decode()
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def test_foreign_html_lives_in_an_iframe_without_scripts_or_network():
    shown = display.safe_bundle({"text/html": HOSTILE, "text/plain": "x"})
    assert shown["text/html"].startswith("<iframe sandbox=''")
    assert "allow-scripts" not in shown["text/html"]
    inside = html.unescape(shown["text/html"].split('srcdoc="')[1].rsplit('"', 1)[0])
    assert "default-src 'none'" in inside
    assert HOSTILE in inside
    assert HOSTILE not in shown["text/html"]


def test_svg_with_scripts_is_sandboxed():
    shown = display.safe_bundle({"image/svg+xml": "<svg onload=alert(1)><script>x</script></svg>"})
    assert "<svg" not in shown["text/html"]
    assert "sandbox=''" in shown["text/html"]


@pytest.mark.parametrize("mime", ["application/javascript", "application/vnd.jupyter.widget-view+json", "text/x-evil"])
def test_types_that_are_not_allowed_are_dropped(mime):
    assert display.safe_bundle({mime: "alert(1)", "text/plain": "fine"}) == {"text/plain": "fine"}


def test_markdown_shows_raw_html_as_text_and_drops_script_links():
    source = f"# Title\n\n{HOSTILE}\n\n[go](javascript:alert(1)) ![x](http://example.com/x.png)\n\n| a |\n|---|\n| 1 |"
    out = display.safe_bundle({"text/markdown": source})["text/html"]
    assert "<h1>Title</h1>" in out
    assert "<table>" in out
    for bad in ("<script", "<img", 'href="javascript'):
        assert bad not in out


def test_text_loses_terminal_escapes_and_bidi_tricks():
    text = display.clean_text("\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07 \u202eabc \x07 ok\ttab\nline")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "red" in text
    assert "ok\ttab\nline" in text


def test_text_is_cut_and_says_so():
    assert display.clean_text("x" * 100, 10) == "x" * 10 + "\n... 90 more characters"


def test_images_must_be_what_they_say():
    assert display.safe_bundle({"image/png": PNG})["image/png"] == PNG
    for bad in ("not base64!", base64.b64encode(b"<svg>").decode(), 5):
        assert "image/png" not in display.safe_bundle({"image/png": bad})


def test_figures_keep_their_data_and_load_nothing():
    figure = go.Figure(go.Bar(x=["a"], y=[1]))
    figure.add_layout_image(source="https://example.com/pixel.png")
    shown = display.safe_bundle(mime_bundle(figure))
    assert shown[PLOTLY_MIME]["data"][0]["type"] == "bar"
    assert "example.com" not in str(shown[PLOTLY_MIME])


def test_frames_show_types_and_size_and_escape_every_part():
    frame = pd.DataFrame({HOSTILE: [HOSTILE, "b"], "n": [1.23456789, 2]}, index=[HOSTILE, "i"])
    (shown,) = display.value_bundles(encode(frame))
    assert "<script" not in shown["text/html"]
    assert "<img" not in shown["text/html"]
    assert "float64" in shown["text/html"]
    assert "2 rows x 2 columns" in shown["text/plain"]
    big = display.frame_bundle(pd.DataFrame({f"c{i}": range(100) for i in range(40)}))
    assert "100 rows x 40 columns, first 20 shown, first 30 columns shown" in big["text/html"]


def test_values_of_every_format_show():
    value = {"frame": pd.DataFrame({"a": [1]}), "text": "plain", "list": [1, 2], "bytes": b"abc"}
    text = "\n".join(bundle["text/plain"] for bundle in display.value_bundles(encode(value)))
    for part in ("frame", "1 rows x 1 columns", "plain", "3 bytes"):
        assert part in text


def test_a_broken_value_is_said_not_raised():
    from nadg_kernel.values import Encoded

    (shown,) = display.value_bundles(Encoded(format="arrow", data=b"rubbish"))
    assert "cannot be read" in shown["text/plain"]


def test_markdown_text_results_are_rendered():
    (shown,) = display.value_bundles(encode("# Report\n\n- one\n- two"))
    assert "<h1>Report</h1>" in shown["text/html"]
    (plain,) = display.value_bundles(encode("just a sentence"))
    assert "text/html" not in plain
