"""What Google Colab has, ipywidgets 7.7 on ipykernel 6.17, with a JupyterLab of that age in front of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.lab import Lab, Person, chromium, open_browser

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
PINS = Path(__file__).with_name("colab.txt")
INSTALL_S = 900
SHOWN = ("panel", "test_magics.py", "test_progress.py", "test_display.py", "test_grid.py", "test_charts.py")
"""Tests of what meets widgets, the kernel, pandas or plotly."""
NOTEBOOKS = ("01_control_panel", "02_worker_health", "03_task_history")
COMMAND = "Analyze customer sentiment from reviews, generate a summary report, and create data visualizations"
GRID = """\
import importlib.metadata as installed
from nadg_kernel import Grid, sample_reviews
reviews = sample_reviews()
grid = Grid()
print(*(f"{name} {installed.version(name)}" for name in ("ipywidgets", "ipykernel", "jupyterlab")))
"""
BLOCK = """\
import pathlib, time
while not pathlib.Path("go").exists():
    time.sleep(0.05)
print("gone on")
"""
PAUSE = "import time\ntime.sleep(4)  # so that there is something to see while the kernel is busy\n"


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of that environment, with the built wheel in it and nothing of this checkout."""
    folder = tmp_path_factory.mktemp("colab")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder / "env")], check=True)
    python = folder / "env" / "bin" / "python"
    install = [*uv, "pip", "install", "--quiet", "--python", str(python), "--requirements", str(PINS), str(wheel)]
    subprocess.run(install, check=True, timeout=INSTALL_S)
    return str(python)


def passes(python, *words, cwd):
    """Run pytest there. Deprecations among these old packages are not ours; all else that fails a test does."""
    command = [python, "-m", "pytest", "-q", "-W", "default", "-p", "no:cacheprovider", *words]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-4000:]
    print(ran.stdout.splitlines()[-1])


def test_what_is_shown(python):
    passes(python, *(f"tests/{name}" for name in SHOWN), cwd=ROOT)


def test_notebooks(python, tmp_path):
    for name in NOTEBOOKS:
        shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", tmp_path)
    passes(python, "--nbmake", "--nbmake-kernel=python3", ".", cwd=tmp_path)


@pytest.mark.browser
def test_a_command_is_reviewed_changed_approved_and_its_results_seen(python, tmp_path):
    assert chromium(), "there is no Chromium: apt-get install chromium"
    lab = Lab(tmp_path / "lab", python)
    try:
        lab.start()
        with open_browser() as browser:
            person = Person(lab, browser.new_page(viewport={"width": 1300, "height": 1400}))
            person.page.set_default_timeout(90_000)
            try:
                use(person)
            finally:
                person.page.screenshot(path=tmp_path / "last.png", full_page=True)
                print(f"screenshot: {tmp_path / 'last.png'}", *person.errors, sep="\n")
    finally:
        lab.stop()
    assert person.errors == []
    assert person.foreign == [], "something asked another machine"
    assert "Traceback" not in lab.log(), lab.log()[-8000:]


def use(person):
    """From the command to the results, and a kernel that is restarted."""
    person.open(person.lab.notebook(GRID, "grid.panel()", BLOCK)).run_cell(0)
    person.output(0).get_by_text("ipywidgets 7.7.1 ipykernel 6.17.1 jupyterlab 3.6").wait_for()
    person.run_cell(1)
    panel = person.panel()
    panel.get_by_text("2 of 2").wait_for()
    draft_and_change(person, panel)
    run_while_a_cell_blocks(person, panel)
    see_what_came(person, panel)

    person.restart_kernel()
    panel.locator(".nadg-health", has_text="Disconnected").wait_for(state="attached")
    person.errors.clear()  # the front end itself logs that its widgets lost their kernel
    person.idle().run_cell(0).run_cell(1)
    person.page.locator(".nadg-view:not([data-health='disconnected'])").wait_for(state="attached")
    person.panel().get_by_text("2 of 2").wait_for()


def draft_and_change(person, panel):
    page = person.page
    _shot(person, "command")
    panel.locator(".nadg-command textarea").click()
    page.keyboard.type(COMMAND)
    page.keyboard.press("Control+Enter")
    panel.locator(".nadg-row").nth(2).wait_for()
    _shot(person, "review")
    panel.locator(".nadg-row", has_text="Summary report").click()
    panel.locator(".nadg-row.nadg-on", has_text="Summary report").wait_for()
    panel.locator(".nadg-area").click()
    page.keyboard.press("Control+Home")
    page.keyboard.type(PAUSE + 'print("looked at by a person")\n')
    panel.get_by_text("edited by you").wait_for()
    panel.get_by_label("Timeout (s)").fill("90")
    panel.get_by_label("Timeout (s)").press("Enter")
    panel.locator(".nadg-will summary").click()
    panel.locator(".nadg-will tbody tr", has_text="Summary report").get_by_text("90 s").wait_for()


def run_while_a_cell_blocks(person, panel):
    """What runs is shown past the cell; what is clicked waits for it here, and the panel says so."""
    panel.locator(".nadg-approve:enabled").click()
    panel.locator(".nadg-runline").wait_for()
    person.run_cell(2)
    panel.get_by_role("button", name="See results").wait_for()
    panel.locator(".nadg-health", has_text="busy").wait_for()
    (person.lab.notebooks / "go").touch()
    person.output(2).get_by_text("gone on").wait_for()
    panel.locator(".nadg-health:empty").wait_for(state="attached")
    assert panel.locator(".nadg-row .nadg-chip", has_text="succeeded").count() == 3
    panel.locator(".nadg-row", has_text="Summary report").click()
    panel.locator(".nadg-log", has_text="looked at by a person").wait_for()
    _shot(person, "run")


def see_what_came(person, panel):
    panel.get_by_role("button", name="See results").click()
    panel.locator(".js-plotly-plot").nth(1).wait_for()
    panel.locator("table.dataframe").first.wait_for()
    report = panel.locator(".nadg-result", has_text="Summary report")
    report.locator(".nadg-markdown h1, .nadg-markdown h2").first.wait_for()
    _shot(person, "results")
    person.step("Workers")
    _shot(person, "workers")
    person.step("History")
    panel.locator(".nadg-table td", has_text=COMMAND).wait_for()
    _shot(person, "history")


def _shot(person, name):
    """A picture, where NADG_TEST_PICTURES names a folder for it."""
    if folder := os.environ.get("NADG_TEST_PICTURES"):
        person.page.wait_for_timeout(700)  # let the last repaint settle
        person.panel().screenshot(path=Path(folder) / f"colab_{name}.png")
