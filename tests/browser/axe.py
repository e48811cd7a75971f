"""Barriers for people who cannot see, point or hear, as axe-core finds them in a page."""

from __future__ import annotations

from pathlib import Path

from tests.support.npm import installed

GRAVE = {"serious", "critical"}
RUN = """async selector => {
  const found = await axe.run(selector, {resultTypes: ["violations"]});
  return found.violations.map(each => ({
    id: each.id, impact: each.impact, help: each.help, where: each.nodes.map(node => node.html.slice(0, 200)),
    why: each.nodes.map(node => node.failureSummary),
  }));
}"""


def barriers(page, selector=".nadg-panel"):
    """The grave ones in what `selector` finds, each with where and why; empty if there are none."""
    if not page.evaluate("() => 'axe' in window"):
        page.add_script_tag(path=installed(Path(__file__).parent) / "axe-core" / "axe.min.js")
    return [found for found in page.evaluate(RUN, selector) if found["impact"] in GRAVE]
