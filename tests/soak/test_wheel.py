"""The built wheel in an empty environment, with nothing but what an index gives: a run, a deployment, the panel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.browser.lab import Person, chromium, open_browser

ROOT = Path(__file__).parents[2]
INSTALL_S, START_S = 900, 120


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder outside the checkout with an environment in it: (folder, its scripts, environment variables)."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder / "env")], check=True)
    scripts = folder / "env" / "bin"
    subprocess.run(
        [*uv, "pip", "install", "--quiet", "--python", str(scripts / "python"), f"{wheel}[lab,deploy]"],
        check=True,
        timeout=INSTALL_S,
    )
    keep = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    home = {"HOME": str(folder / "home"), "NADG_HOME": str(folder / "nadg"), "PYTHONDONTWRITEBYTECODE": "1"}
    return folder, scripts, {**keep, **home}


@pytest.mark.soak
def test_a_command_runs(installed):
    folder, scripts, env = installed
    began = time.monotonic()
    words = ["run", "Estimate pi from random points", "--approve", "--json", "-"]
    ran = subprocess.run([scripts / "nadg", *words], cwd=folder, env=env, capture_output=True, text=True, check=True)
    print(f"nadg run from the wheel: {time.monotonic() - began:.1f} s")
    assert json.loads(ran.stdout)["state"] == "succeeded"
    dry = [scripts / "nadg", "deploy", "ann/worker-1", "--dry-run"]
    assert (
        "nothing was sent"
        in subprocess.run(dry, cwd=folder, env=env, capture_output=True, text=True, check=True).stdout
    )


@pytest.mark.soak
@pytest.mark.browser
def test_nadg_lab_shows_the_panel(installed):
    assert chromium(), "there is no Chromium: apt-get install chromium"
    folder, scripts, env = installed
    desk = folder / "desk"
    desk.mkdir()
    with (folder / "lab.log").open("wb") as log:
        lab = subprocess.Popen([scripts / "nadg", "lab", "--no-browser"], cwd=desk, env=env, stdout=log, stderr=log)
    try:
        url = _url(lab, folder / "lab.log")
        with open_browser() as browser:
            page = browser.new_context(viewport={"width": 1300, "height": 1400}).new_page()
            page.set_default_timeout(START_S * 1000)
            person = Person(SimpleNamespace(url=url), page)
            page.goto(url.replace("/lab?", "/lab/tree/01_control_panel.ipynb?"))  # where a browser would have opened
            page.wait_for_selector(".jp-Notebook .jp-Cell")
            person.idle().run_all()
            person.panel().get_by_text("2 of 2").wait_for()
    finally:
        lab.terminate()
        lab.wait(30)
    assert (desk / "01_control_panel.ipynb").is_file()


def _url(lab, log):
    """Where it serves, with its token, once it says so."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and lab.poll() is None:
        if found := re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/lab\S*token=\w+", log.read_text()):
            return found[0]
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-4000:]}")
