"""`nadg app`: the panel as a page of its own in a real Voilà, for whoever has the token, without the network."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from nadg_kernel.cli.web import notebook
from tests.browser.axe import barriers

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
ROOT = Path(__file__).parents[2]
COMMAND = "Describe the reviews"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address that `nadg app` prints, token and all."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "reviews.csv").write_text("review,stars\nGood,5\nBad,1\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    places = {name: str(folder / name) for name in ("NADG_HOME", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    command = [
        sys.executable,
        "-m",
        "nadg_kernel",
        "app",
        "--no-browser",
        f"--port={port}",
        "--data=reviews=reviews.csv",
    ]
    log = folder / "log"
    with log.open("wb") as out:
        env = {**os.environ, **places, "PYTHONPATH": str(ROOT), "NADG_LOCAL_WORKERS": "1"}
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/\?token=\w+", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield found[0]
    finally:
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches all of a terminal's group
        try:
            assert process.wait(20) == 0, log.read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def test_nobody_without_the_token_gets_in(address):
    with urllib.request.urlopen(address.partition("?")[0], timeout=30) as answer:  # noqa: S310 - our own server
        assert "/login" in answer.url  # it is led to where the token is asked for
        assert "nadg-panel" not in answer.read().decode()


def test_from_a_command_to_its_review_without_the_network(address, browser):
    page = browser.new_context(viewport={"width": 1300, "height": 1000}).new_page()
    page.set_default_timeout(60_000)
    asked, trouble = [], []
    page.on("requestfinished", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(address)
    panel = page.locator(".nadg-panel").first
    panel.wait_for()
    assert "reviews" in panel.inner_text()
    panel.locator("textarea").first.fill(COMMAND)
    panel.locator("textarea").first.press("Control+Enter")
    page.get_by_role("button", name="Approve").first.wait_for()
    assert barriers(page) == []
    foreign = [url for url in asked if not url.startswith((address.partition("?")[0], "data:", "blob:"))]
    assert foreign == []
    assert trouble == []
    page.context.close()


def test_the_page_reads_what_was_attached_from_where_the_person_is(tmp_path):
    cells = notebook({"reviews": Path("it's.csv")}, tmp_path)["cells"]
    sources = [cell["source"] for cell in cells]
    assert f"os.chdir({str(tmp_path)!r})" in sources[0]
    assert 'reviews = read_file("it\'s.csv")' in sources[1]
    assert len(notebook({}, tmp_path)["cells"]) == 2
    for source in sources:
        compile(source, "cell", "exec")
