"""One JupyterLab for all tests; a grid for those of a module that may share it, a fresh kernel for the others."""

from __future__ import annotations

import re
from contextlib import contextmanager

import pytest

from tests.browser.lab import Lab, Person, chromium, open_browser

TROUBLE = ("Traceback", "cannot enter context", "Task exception was never retrieved", "[E ", "ERROR")


GONE = re.compile(
    r"^Task exception was never retrieved\n(?:(?!^\[).*\n)*?tornado\.websocket\.WebSocketClosedError$", re.MULTILINE
)
"""The server's own words when a page closes while it sends: nobody's mistake."""
VIEW = {"width": 1300, "height": 1400}
GRID = """\
from nadg_kernel import Grid, sample_reviews
reviews = sample_reviews()
grid = Grid()
assert grid.wait_ready(2)
print("2 workers")
"""
PANEL = "panel = grid.panel()\npanel"
AGAIN = "panel"
SLEEP = "import time\nbegan = time.time()\ntime.sleep(10)\nprint('slept', round(time.time() - began))"
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        yield lab.start()
    finally:
        lab.stop()


@pytest.fixture(scope="module")
def browser():
    """Closed with its module: while Playwright is open, its event loop is this thread's, and no other can run."""
    if chromium() is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with open_browser() as browser:
        yield browser


@pytest.fixture
def person(lab, browser, request):
    """Somebody in front of a fresh page, whose kernels end with the test."""
    others = lab.sessions()
    context = browser.new_context(viewport=VIEW)
    person = Person(lab, _page(context))
    with watched(person, request):
        yield person
        lab.shut_kernels(but=others)
    context.close()


@pytest.fixture(scope="module")
def room(lab, browser):
    """A notebook with a grid, for all tests of a module that do not mind what the others did there."""
    context = browser.new_context(viewport=VIEW)
    room = Person(lab, _page(context))
    room.open(lab.notebook(GRID, PANEL, SLEEP, AGAIN)).run_cell(0)
    room.output(0).get_by_text("2 workers").wait_for()
    yield room
    context.close()
    lab.shut_kernels()


@pytest.fixture
def desk(room, request):
    """A new panel in the room. What the browser or the kernel complains of fails the test."""
    with watched(room, request):
        room.idle().run_cell(1)
        panel = room.panel()
        panel.get_by_text("2 of 2").wait_for()
        panel.locator(".nadg-step.nadg-now", has_text="Command").wait_for()
        yield room
        room.page.locator(".nadg-panel").evaluate_all("panels => panels.forEach(panel => panel.remove())")


@contextmanager
def watched(person, request):
    """Complaints of the browser, requests to other machines and errors in the kernels' log fail a test."""
    before = len(person.lab.log())
    person.errors.clear()
    yield
    if request.node.stash.get(FAILED, False):
        person.page.screenshot(path=person.lab.folder / f"{request.node.name}.png", full_page=True)
        print(f"screenshot: {person.lab.folder / request.node.name}.png", person.errors, sep="\n")
    assert person.errors == []
    assert person.foreign == [], "something asked another machine"
    news = GONE.sub("", person.lab.log()[before:])
    assert not [word for word in TROUBLE if word in news], news[-4000:]


def _page(context):
    page = context.new_page()
    page.set_default_timeout(45_000)
    return page
