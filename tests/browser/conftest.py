"""One JupyterLab and one browser for all tests; a fresh page, notebook and kernel for each."""

from __future__ import annotations

import re

import pytest

from tests.browser.lab import Lab, Person, chromium, open_browser

TROUBLE = ("Traceback", "cannot enter context", "Task exception was never retrieved", "[E ", "ERROR")


GONE = re.compile(
    r"^Task exception was never retrieved\n(?:(?!^\[).*\n)*?tornado\.websocket\.WebSocketClosedError$", re.MULTILINE
)
"""The server's own words when a page closes while it sends: nobody's mistake."""
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
    """Somebody in front of a fresh page. What the browser or the kernels complain of fails the test."""
    before = len(lab.log())
    context = browser.new_context(viewport={"width": 1300, "height": 1400})
    page = context.new_page()
    page.set_default_timeout(45_000)
    person = Person(lab, page)
    yield person
    if request.node.stash.get(FAILED, False):
        page.screenshot(path=lab.folder / f"{request.node.name}.png", full_page=True)
        print(f"screenshot: {lab.folder / request.node.name}.png", person.errors, sep="\n")
    context.close()
    lab.shut_kernels()
    assert person.errors == []
    assert person.foreign == [], "something asked another machine"
    news = GONE.sub("", lab.log()[before:])
    assert not [word for word in TROUBLE if word in news], news[-4000:]
