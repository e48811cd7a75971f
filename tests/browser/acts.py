"""What a person does in the panel in one go, for several tests."""

from __future__ import annotations

from pathlib import Path

from tests.browser.axe import barriers

COMMAND = "Analyze customer sentiment from reviews, generate a summary report, and create data visualizations"


def draft(person, command=COMMAND):
    """From the empty panel to the Review page."""
    panel = person.panel()
    panel.get_by_text("2 of 2").wait_for()
    box = panel.locator(".nadg-command textarea")
    box.click()
    person.page.keyboard.type(command)
    person.page.keyboard.press("Control+Enter")
    panel.locator(".nadg-row").first.wait_for()
    return panel


def select(panel, number):
    panel.locator(".nadg-row").nth(number).click()
    panel.locator(f".nadg-row.nadg-on[aria-posinset='{number + 1}']").wait_for()


def type_code(person, panel, text, at="Control+Home"):
    panel.locator(".nadg-area").click()
    person.page.keyboard.press(at)
    person.page.keyboard.type(text)


def approve(panel):
    panel.locator(".nadg-approve:enabled").click()
    panel.locator(".nadg-runline").wait_for()


NEXT = """\
{"changes": [{"action": "add", "id": "worst", "title": "Worst ten", "depends_on": ["sentiment"],
"inputs": ["sentiment"], "code": "from pathlib import Path\\nPath('worst.txt').write_text('ten')\\nresult = 10"}]}
"""


def reachable(person):
    """What is shown now has no grave barrier for anybody."""
    found = barriers(person.page)
    assert not found, found


def kept_and_followed(desk, panel):
    """Save the report; ask a chat for more, review it, run only that, and save the file that it left."""
    desk.step("Results")
    panel.get_by_role("button", name="Report", exact=True).click()
    panel.locator(".nadg-kept", has_text=".html").wait_for()
    report = Path(panel.locator(".nadg-kept").inner_text().removeprefix("Saved as "))
    assert "Report for the board" in report.read_text()
    assert report.parent == desk.lab.notebooks
    panel.get_by_label("What should come next?").fill("the worst ten")
    panel.locator(".nadg-next summary").click()
    panel.get_by_role("button", name="Make the text to copy").click()
    panel.locator(".nadg-next .nadg-made").wait_for()
    assert "the worst ten" in panel.get_by_label("The text for a chat").input_value()
    panel.locator(".nadg-next").get_by_label("The chat's answer").fill(NEXT)
    panel.get_by_role("button", name="Read the answer").click()
    panel.locator(".nadg-proposal .nadg-add", has_text="write_text").wait_for()
    reachable(desk)
    panel.get_by_role("button", name="Apply and review").click()
    panel.get_by_role("button", name="Approve and run Worst ten").click()
    panel.locator(".nadg-runline", has_text="4 of 4").wait_for()
    desk.step("Results")
    panel.get_by_role("button", name="Save worst.txt").click()
    panel.locator(".nadg-result .nadg-goodtext", has_text="worst.txt").wait_for()
    assert [path.read_text() for path in desk.lab.notebooks.glob("nadg-*-files/*")] == ["ten"]
