"""The panel in a real JupyterLab, with real workers, as a person uses it."""

from __future__ import annotations

import re
import time

import pytest

from tests.browser.acts import COMMAND, approve, draft, kept_and_followed, reachable, select, type_code
from tests.browser.axe import barriers

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OPEN = """\
from nadg_kernel import Grid, sample_reviews
reviews = sample_reviews()
grid = Grid()
grid.panel()
"""


def test_from_a_command_to_chart_report_and_table(desk):
    reachable(desk)
    panel = draft(desk)
    assert panel.locator(".nadg-row").count() == 3
    reachable(desk)
    select(panel, 1)
    type_code(desk, panel, 'print("looked at by a person")\n')
    panel.get_by_text("edited by you").wait_for()
    panel.get_by_label("Timeout (s)").fill("90")
    panel.get_by_label("Timeout (s)").press("Enter")
    panel.get_by_role("textbox", name="Title").fill("Report for the board")
    panel.locator(".nadg-row", has_text="Report for the board").wait_for()
    panel.locator(".nadg-will summary").click()
    row = panel.locator(".nadg-will tbody tr", has_text="Report for the board")
    row.get_by_text("90 s").wait_for()
    assert "any of 2 workers" in row.inner_text()
    reachable(desk)

    approve(panel)
    panel.get_by_role("button", name="See results").wait_for(timeout=90_000)
    reachable(desk)
    assert panel.locator(".nadg-row .nadg-chip", has_text="succeeded").count() == 3
    select(panel, 1)
    panel.locator(".nadg-log", has_text="looked at by a person").wait_for()

    panel.get_by_role("button", name="See results").click()
    panel.locator(".js-plotly-plot").nth(1).wait_for()  # two charts or more
    panel.locator("table.dataframe").first.wait_for()
    report = panel.locator(".nadg-result", has_text="Report for the board")
    assert report.locator(".nadg-markdown h1, .nadg-markdown h2").count() >= 1
    assert "420" in report.inner_text()  # the number of reviews
    reachable(desk)
    desk.step("Workers")
    panel.locator(".nadg-fleet tbody tr").nth(1).wait_for()
    reachable(desk)
    desk.step("History")
    panel.locator(".nadg-table td", has_text=COMMAND).first.wait_for()
    panel.locator(".nadg-figures .js-plotly-plot").first.wait_for()
    reachable(desk)
    kept_and_followed(desk, panel)


def test_a_notebook_with_nest_asyncio_and_twenty_quick_clicks(lab, person):
    person.open(lab.notebook("import nest_asyncio\nnest_asyncio.apply()\n" + OPEN)).run_all()
    panel = draft(person, "profile the reviews")
    for _ in range(5):
        panel.get_by_role("button", name="Duplicate").click()
    for _ in range(5):
        person.step("Workers")
        person.step("Review")
    panel.locator(".nadg-row[aria-setsize='6']").first.wait_for()  # no click was lost
    for _ in range(5):
        panel.get_by_role("button", name="Undo").click()
    panel.locator(".nadg-row[aria-setsize='1']").wait_for()
    approve(panel)
    panel.get_by_role("button", name="See results").wait_for(timeout=60_000)


def test_a_run_goes_on_while_another_cell_sleeps(desk):
    panel = draft(desk)
    desk.run_cell(2)
    desk.page.locator(".jp-Cell").nth(2).locator(".jp-InputPrompt", has_text="[*]").wait_for()
    approve(panel)  # the click itself arrives while the cell blocks
    panel.get_by_role("button", name="See results").wait_for(timeout=9_000)
    assert "slept" not in desk.output(2).inner_text()
    select(panel, 2)
    desk.output(2).get_by_text("slept 10").wait_for()
    assert panel.locator(".nadg-health").inner_text() == ""


def test_a_cycle_and_a_syntax_error_made_in_the_editor(desk):
    panel = draft(desk)
    select(panel, 0)
    panel.get_by_label("Add to After").select_option("report")
    panel.locator(".nadg-bottom .nadg-problem", has_text="wait for each other").wait_for()
    assert panel.locator(".nadg-approve").is_disabled()
    panel.locator(".nadg-list").focus()
    desk.page.keyboard.press("Control+z")
    panel.locator(".nadg-approve:enabled").wait_for()

    type_code(desk, panel, "\n\nvalue = (\n", at="Control+End")
    problem = panel.locator(".nadg-editor .nadg-problem", has_text="was never closed")
    problem.wait_for()
    line = int(re.search(r"Line (\d+)", problem.inner_text())[1])
    marked = panel.locator(".nadg-editor .nadg-line.nadg-err .nadg-ln")
    assert marked.inner_text() == f"! {line}"
    assert panel.locator(".nadg-area").input_value().splitlines()[line - 1] == "value = ("
    assert panel.locator(".nadg-approve").is_disabled()

    panel.get_by_label("Timeout (s)").fill("soon")
    panel.get_by_label("Timeout (s)").press("Enter")
    panel.locator(".nadg-fielderror", has_text="a number, not 'soon'").wait_for()
    assert panel.get_by_label("Timeout (s)").input_value() == "soon"  # nothing that was typed is lost


SLOW = """\
import time
while time.time() < {until}:
    progress(0.5)
    time.sleep(0.1)
result = 'done at last'
"""
LONG_S = 12
"""Until when it is killed, at any speed of the machine; afterwards most of it has passed."""


def test_a_killed_kernel_is_told_and_run_and_plan_go_on_from_disk(lab, person):
    person.open(lab.notebook(OPEN)).run_all()
    panel = draft(person)
    panel.get_by_role("button", name="+ Add").click()
    panel.locator(".nadg-row.nadg-on", has_text="New subtask").wait_for()
    panel.locator(".nadg-area").fill(SLOW.format(until=time.time() + LONG_S))
    panel.get_by_role("textbox", name="Title").fill("Slow one that survives")
    panel.locator(".nadg-row", has_text="Slow one").wait_for()
    panel.get_by_text("saved", exact=True).wait_for()
    approve(panel)
    panel.locator(".nadg-row", has_text="Slow one").get_by_text("running").wait_for()
    panel.locator(".nadg-runline", has_text="3 of 4").wait_for()
    person.restart_kernel()
    panel.locator(".nadg-health", has_text="Disconnected").wait_for()
    person.errors.clear()  # the front end itself logs that its widgets lost their kernel
    person.idle().run_all()
    person.page.locator(".nadg-view:not([data-health='disconnected'])").wait_for(state="attached")
    panel = person.panel()
    panel.get_by_text("2 of 2").wait_for()
    plans = panel.locator(".nadg-saved-plans select")
    plans.select_option(index=1)
    panel.locator(".nadg-row", has_text="Slow one that survives").wait_for()
    person.step("Command")
    panel.get_by_role("button", name="Resume").click()
    panel.locator(".nadg-runline", has_text="succeeded").wait_for()
    assert panel.locator(".nadg-row .nadg-chip.nadg-ok").count() == 4
    panel.locator(".nadg-row", has_text="Charts").click()
    panel.locator(".nadg-output", has_text="Charts").wait_for()
    assert "attempts" not in panel.locator(".nadg-kv").inner_text()  # what was finished was not run again
    session = lab.api("GET", "sessions")[-1]
    lab.api("POST", f"kernels/{session['kernel']['id']}/restart")  # by somebody else: this page is not asked
    panel.locator(".nadg-health", has_text="from elsewhere. Reload the page").wait_for()
    person.errors.clear()


BROKEN = """\
import pandas as pd
scored = pd.concat(inputs["sentiment"])
result = scored.groupby("month")["sentiment_score"].mean()
"""


@pytest.fixture
def dark(desk):
    """The desk at night."""
    desk.theme("JupyterLab Dark")
    yield desk
    desk.theme("JupyterLab Light")


def test_a_failure_is_seen_in_the_dark_in_a_trial_and_mended_in_the_run(dark):
    desk = dark
    panel = draft(desk)
    select(panel, 0)
    panel.get_by_role("button", name="+ Add").click()
    panel.locator(".nadg-row.nadg-on", has_text="New subtask").wait_for()
    panel.locator(".nadg-area").fill(BROKEN)
    panel.get_by_role("textbox", name="Title").fill("By month")
    panel.get_by_label("Remove sentiment from After").wait_for()
    panel.locator(".nadg-row", has_text="By month").wait_for()

    panel.get_by_role("button", name="Try this one").click()
    box = panel.locator(".nadg-ask-box")
    assert "Network, processes and GPU are off" in box.inner_text()
    assert 'groupby("month")' in box.inner_text()
    box.get_by_role("button", name="Try it").click()
    panel.locator(".nadg-trialline", has_text="1 of 2 failed").wait_for()
    panel.locator(".nadg-trial .nadg-problem", has_text="KeyError at line 3: 'month'").wait_for()
    reachable(desk)
    panel.get_by_role("button", name="Close").click()

    approve(panel)
    panel.locator(".nadg-row", has_text="By month").get_by_text("failed").wait_for()
    panel.locator(".nadg-row", has_text="By month").click()
    run_id = panel.locator(".nadg-runid:visible").inner_text()
    reachable(desk)
    panel.get_by_role("button", name="Edit", exact=True).click()
    panel.locator(".nadg-area").fill(BROKEN.replace('"month"', '"product"'))
    panel.get_by_role("button", name="Approve and rerun By month").click()
    panel.locator(".nadg-runline", has_text="succeeded").wait_for()
    assert panel.locator(".nadg-runid:visible").inner_text() == run_id
    panel.locator(".nadg-row", has_text="Summary report").click()
    panel.locator(".nadg-output", has_text="Summary report").wait_for()
    assert "attempts" not in panel.locator(".nadg-kv").inner_text()  # only what changed ran again
    for page in ("Command", "Results", "Workers", "History"):
        desk.step(page)
        panel.locator(".nadg-step.nadg-now", has_text=page).wait_for()
        if page == "Results":
            panel.locator(".js-plotly-plot").nth(1).wait_for()
        reachable(desk)
    panel.locator(".nadg-table").evaluate("table => table.append(document.createElement('img'))")
    assert [found["id"] for found in barriers(desk.page)] == ["image-alt"]  # what is looked for is found


def test_a_plan_is_split_merged_and_cancelled(desk):
    panel = draft(desk, "profile the reviews")
    keys = desk.page.keyboard
    panel.locator(".nadg-area").fill("rows = inputs['reviews']\nimport time\ntime.sleep(30)\nresult = len(rows)\n")
    panel.get_by_text("edited by you").wait_for()
    panel.locator(".nadg-area").press("Control+Home")
    keys.press("ArrowDown")
    keys.press("Alt+s")
    panel.get_by_role("button", name="At this line").click()
    panel.locator(".nadg-row[aria-setsize='2']").first.wait_for()
    panel.locator(".nadg-list").focus()
    keys.press("Home")
    keys.press("Alt+m")
    panel.locator(".nadg-row[aria-setsize='1']").first.wait_for()
    keys.press("Control+z")
    panel.locator(".nadg-row[aria-setsize='2']").first.wait_for()
    approve(panel)
    panel.locator(".nadg-row .nadg-chip", has_text="running").wait_for()
    panel.get_by_role("button", name="Cancel all").click()
    panel.locator(".nadg-runline", has_text="cancelled").wait_for()
    desk.step("Workers")
    panel.get_by_label("Worker's URL").fill("http://example.com")
    panel.get_by_role("button", name="Add worker").click()
    panel.locator(".nadg-fleet .nadg-fielderror:not(:empty)").wait_for()
    assert panel.get_by_label("Worker's URL").input_value() == "http://example.com"  # nothing typed is lost


HOSTILE = """\
evil = '<img src=x onerror="top.pwned=1"><script>top.pwned=1</script><a href="javascript:top.pwned=1">x</a>'
print(evil, '\\x1b[31m red')
class Evil:
    def _repr_html_(self):
        return evil
    def _repr_svg_(self):
        return '<svg xmlns="http://www.w3.org/2000/svg" onload="top.pwned=1"><script>top.pwned=1</script></svg>'
display(Evil())
result = "# " + evil
"""


def test_hostile_output_stays_inert(desk):
    panel = draft(desk, "profile the reviews")
    area = panel.locator(".nadg-area")
    area.fill(HOSTILE)
    panel.get_by_role("textbox", name="Title").fill("<img src=x onerror=top.pwned=1>")
    panel.locator(".nadg-row", has_text="<img src=x").wait_for()
    approve(panel)
    panel.get_by_role("button", name="See results").wait_for(timeout=60_000)
    panel.locator(".nadg-log", has_text="<script>").wait_for()
    panel.get_by_role("button", name="See results").click()
    panel.locator(".nadg-result iframe").first.wait_for()
    desk.page.wait_for_timeout(500)  # what is hostile would act now
    assert desk.page.evaluate("window.pwned") is None
    assert panel.locator(".nadg-result script, .nadg-result img[onerror]").count() == 0
    # the browser says that it did what sandbox and policy ask for
    blocked = ("Blocked script execution", "Loading the image")
    desk.errors[:] = [error for error in desk.errors if not error.startswith(blocked)]
    assert all(frame == "" for frame in panel.locator("iframe").evaluate_all("all => all.map(f => f.sandbox.value)"))


def test_two_views_show_the_same_and_take_nothing_from_each_other(desk):
    first = draft(desk, "profile the reviews")
    desk.run_cell(3)
    second = desk.page.locator(".nadg-panel").nth(1)
    second.locator(".nadg-row").first.wait_for()
    title, area = first.get_by_role("textbox", name="Title"), second.locator(".nadg-area")
    title.click()
    desk.page.keyboard.press("Control+a")
    desk.page.keyboard.type("Seen in both")
    second.locator(".nadg-row", has_text="Seen in both").wait_for()
    press = "button => button.click()"  # by somebody else: a click of this person's takes the focus along
    second.get_by_role("button", name="Duplicate").evaluate(press)
    first.locator(".nadg-row[aria-setsize='2']").first.wait_for()
    desk.page.keyboard.type(" places")  # it goes where it went before
    second.locator(".nadg-row", has_text=re.compile("Seen in both places")).wait_for()
    assert title.input_value() == "Seen in both places"
    second.locator(".nadg-row").nth(1).click()
    area.click()
    desk.page.keyboard.press("Control+Home")
    desk.page.keyboard.type("# by the second\n")
    first.locator(".nadg-code", has_text="# by the second").wait_for()
    first.get_by_role("button", name="Undo").evaluate(press)
    second.locator(".nadg-code:not(:has-text('# by the second'))").first.wait_for()
    desk.step("Workers")
    second.locator(".nadg-fleet tbody tr").nth(1).wait_for()


def test_the_keyboard_alone_reorders_and_undoes(desk):
    panel = draft(desk)
    keys = desk.page.keyboard
    panel.locator(".nadg-list:focus").wait_for()  # the focus came along from the command
    titles = panel.locator(".nadg-ti")
    first, second = titles.nth(0).inner_text(), titles.nth(1).inner_text()
    keys.press("Home")
    keys.press("Alt+ArrowDown")
    panel.locator(".nadg-row[aria-posinset='2'].nadg-on", has_text=first).wait_for()
    keys.press("Control+z")
    panel.locator(".nadg-row[aria-posinset='2']", has_text=second).wait_for()
    keys.press("Control+Shift+Z")
    panel.locator(".nadg-row[aria-posinset='2']", has_text=first).wait_for()
    keys.press("Enter")  # into the editor
    assert desk.page.evaluate("document.activeElement.closest('.nadg-editor') !== null")
    panel.locator(".nadg-area").focus()
    before = panel.locator(".nadg-area").input_value()
    keys.press("Control+Home")
    keys.press("Tab")
    began = time.monotonic()
    panel.get_by_text("edited by you").wait_for()
    assert time.monotonic() - began < 30
    assert panel.locator(".nadg-area").input_value() == "    " + before
    keys.press("Escape")
    keys.press("Tab")
    assert desk.page.evaluate("!document.activeElement.matches('.nadg-area')")


def test_a_recipe_by_a_click_then_search_compare_and_a_name(desk):
    panel, keys = desk.panel(), desk.page.keyboard
    panel.get_by_role("button", name="Profile of reviews").click()
    panel.locator(".nadg-row").first.wait_for()
    panel.get_by_role("button", name="+ Add").click()
    panel.locator(".nadg-row.nadg-on", has_text="New subtask").wait_for()
    panel.locator(".nadg-area").fill("result = 'a needle'")
    panel.locator(".nadg-foot b", has_text="2 subtasks").wait_for()
    panel.locator(".nadg-list").focus()
    keys.press("/")
    keys.type("needle")
    panel.locator(".nadg-search", has_text="1 of 2").wait_for()
    panel.locator(".nadg-row[aria-setsize='1']", has_text="1: result = 'a needle'").wait_for()
    keys.press("Escape")
    panel.locator(".nadg-row[aria-setsize='2']").first.wait_for()
    panel.get_by_role("button", name="Compare with draft").click()
    whole = panel.get_by_role("region", name="Difference to the draft")
    whole.locator(".nadg-add", has_text="result = 'a needle'").wait_for()
    reachable(desk)
    panel.get_by_role("button", name="Save or open").click()
    panel.get_by_label("Save this plan as").fill("weekly")
    keys.press("Enter")
    panel.locator(".nadg-saved[title$='weekly.json']").wait_for()
