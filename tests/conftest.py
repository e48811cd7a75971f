"""Keeps a test session away from the person's own data, keys and network, and refuses skips where asked to."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import pytest

STRICT = "NADG_TEST_STRICT"
"""Set to 1, nothing may be skipped for want of a tool: a skip fails."""

_FOREIGN = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "HF_TOKEN", "HF_ENDPOINT", "SUPABASE_URL", "SUPABASE_SERVICE_KEY")
_PRIVATE = {
    "NADG_HOME": "nadg",
    "IPYTHONDIR": "ipython",
    "JUPYTER_CONFIG_DIR": "jupyter-config",
    "JUPYTER_DATA_DIR": "jupyter-data",
    "JUPYTER_RUNTIME_DIR": "jupyter-runtime",
}
_session_folder = pytest.StashKey[Path]()


def pytest_configure(config):
    """Give the session, and all it starts, an environment without the person's settings."""
    hypothesis.settings.register_profile("nadg", deadline=None)  # no test asks for speed
    hypothesis.settings.load_profile("nadg")
    for name in list(os.environ):
        if name in _FOREIGN or (name.startswith("NADG_") and not name.startswith("NADG_TEST_")):
            del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="nadg-tests-"))
    config.stash[_session_folder] = folder
    for name, place in _PRIVATE.items():
        (folder / place).mkdir(mode=0o700)
        os.environ[name] = str(folder / place)


def pytest_unconfigure(config):
    shutil.rmtree(config.stash[_session_folder], ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Run browsers in one place: two on two cores only slow each other down. The serial ones are two groups."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.xdist_group("browser"))
        if item.get_closest_marker("serial"):
            item.add_marker(pytest.mark.xdist_group("sandbox" if "sandbox" in item.path.parts else "processes"))


def pytest_collection_finish(session):
    """Refuse to go on where pytest and xdist disagree about groups: each group would be set up several times."""
    if getattr(session.config.option, "loadgroup", False):
        grouped = [item for item in session.items if item.get_closest_marker("xdist_group")]
        if any("@" not in item.nodeid for item in grouped):
            raise pytest.UsageError("this pytest-xdist does not see the groups of this pytest: see pyproject.toml")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    return _refuse_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    return _refuse_skip(report)


def _refuse_skip(report):
    if os.environ.get(STRICT) == "1" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, which {STRICT}=1 forbids: {reason}"
    return report
