"""What the README tells a newcomer to type, typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nadg_kernel

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NADG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_python_of_the_first_run(home):
    (body,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    *statements, last = body.strip().splitlines()
    namespace = {}
    try:
        exec("\n".join(statements), namespace)  # noqa: S102 - our own README
        assert namespace["run"].ok
        assert "# Summary report" in eval(last, namespace).value  # noqa: S307 - as above
    finally:
        namespace["grid"].close()


def test_the_command_names_a_file_that_is_there():
    (path,) = re.findall(r"--data reviews=(\S+) --approve", README)
    assert (Path(nadg_kernel.__file__).parents[1] / path).is_file()
