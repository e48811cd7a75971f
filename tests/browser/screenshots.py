"""Pictures of every page of the panel: `python -m tests.browser.screenshots FOLDER [light|dark|narrow...]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.browser.lab import Lab, Person, open_browser

COMMAND = "Analyze customer sentiment from reviews, generate a summary report, and create data visualizations"
OPEN = """\
from nadg_kernel import Grid, sample_reviews
reviews = sample_reviews()
grid = Grid()
grid.panel()
"""
SLOW = """\
import time
scored = inputs["sentiment"]
for step in range(40):
    progress((step + 1) / 40, "looking for the worst ten")
    time.sleep(0.25)
"""
BROKEN = """\
import pandas as pd
scored = pd.concat(inputs["sentiment"])
print(len(scored), "rows from", len(inputs["sentiment"]), "shards")
result = scored.groupby("month")["sentiment_score"].mean()
"""
LOOKS = (("light", "JupyterLab Light", 1280), ("dark", "JupyterLab Dark", 1280), ("narrow", "JupyterLab Light", 480))


def main(folder, *wanted):
    folder.mkdir(parents=True, exist_ok=True)
    for look, theme, width in LOOKS:
        if wanted and look not in wanted:
            continue
        with tempfile.TemporaryDirectory() as place:
            lab = Lab(Path(place) / "lab")
            lab.theme(theme)
            try:
                lab.start()
                with open_browser() as browser:
                    page = browser.new_page(viewport={"width": width, "height": 2400})
                    page.set_default_timeout(60_000)
                    take(Person(lab, page), folder, look)
            finally:
                lab.stop()


def take(person, folder, look):
    """The pages in the order of the work."""
    person.open(person.lab.notebook(OPEN)).run_all()
    panel = person.panel()

    def shot(name):
        person.page.mouse.move(0, 0)
        person.page.wait_for_timeout(700)  # let the last repaint settle
        panel.screenshot(path=folder / f"{name}_{look}.png")

    _draft(person, panel, shot)
    _try(person, panel, shot)
    _run(person, panel, shot)


def _draft(person, panel, shot):
    panel.get_by_text("2 of 2").wait_for()
    panel.locator(".nadg-command textarea").fill(COMMAND)
    panel.locator(".nadg-choice", has_text="Profile").wait_for()
    shot("1_command")
    panel.get_by_role("button", name="Draft a plan").click()
    panel.locator(".nadg-row").nth(2).wait_for()
    shot("2_review")
    add(panel, "Worst ten reviews", SLOW)
    add(panel, "Score by month", BROKEN)
    panel.get_by_role("textbox", name="Timeout (s)").fill("30")
    panel.get_by_role("textbox", name="Timeout (s)").press("Enter")
    panel.locator(".nadg-row", has_text="Summary report").click()
    panel.get_by_label("Code of Summary report").focus()
    person.page.keyboard.press("Control+Home")
    person.page.keyboard.type("import polars\n")
    panel.locator(".nadg-editor .nadg-problem").wait_for()
    shot("3_problem")
    panel.get_by_role("tab", name="Difference").click()
    shot("4_difference")
    panel.get_by_role("button", name="Split\N{HORIZONTAL ELLIPSIS}").click()
    shot("4b_split")
    panel.get_by_role("button", name="Ask to change\N{HORIZONTAL ELLIPSIS}").click()
    shot("4c_ask")
    panel.get_by_role("button", name="Close").click()


def _try(person, panel, shot):
    panel.locator(".nadg-list").focus()
    person.page.keyboard.press("Control+z")
    panel.locator(".nadg-approve:enabled").wait_for()
    panel.locator(".nadg-row", has_text="Score by month").click()
    panel.get_by_role("button", name="Try this one").click()
    shot("5a_try")
    panel.get_by_role("button", name="Try it").click()
    panel.locator(".nadg-trialline", has_text="failed").wait_for()
    shot("5b_tried")
    panel.get_by_role("button", name="Close").click()
    panel.get_by_role("button", name="Rehearse on 200 rows").click()
    shot("5c_rehearse")
    panel.get_by_role("button", name="Rehearse", exact=True).click()
    panel.locator(".nadg-trialline", has_text="Rehearsed").wait_for()
    panel.locator(".nadg-row", has_text="Summary report").click()
    shot("5d_rehearsed")
    panel.get_by_role("button", name="Close").click()
    panel.locator(".nadg-will summary").click()
    shot("5_approve")


def _run(person, panel, shot):
    panel.locator(".nadg-approve").click()
    panel.locator(".nadg-row .nadg-chip", has_text="failed").wait_for()
    panel.locator(".nadg-row", has_text="Score by month").click()
    panel.locator(".nadg-row .nadg-chip", has_text="running").first.wait_for()
    shot("6_run")
    panel.get_by_role("button", name="See results").click()
    panel.locator(".js-plotly-plot").nth(1).wait_for()
    shot("7_results")
    person.step("Workers")
    panel.locator(".nadg-fleet details summary").first.click()
    shot("8_workers")
    person.step("History")
    panel.locator("td", has_text=COMMAND).first.wait_for()
    panel.locator(".nadg-figures .js-plotly-plot").nth(3).wait_for()
    shot("9_history")


def add(panel, title, code):
    panel.get_by_role("button", name="+ Add").click()
    panel.locator(".nadg-row.nadg-on", has_text="New subtask").wait_for()
    panel.locator(".nadg-area").fill(code)
    panel.get_by_role("textbox", name="Title").fill(title)
    panel.locator(".nadg-row.nadg-on", has_text=title).wait_for()
    panel.get_by_label("Remove sentiment from After").wait_for()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/screenshots"), *sys.argv[2:])
