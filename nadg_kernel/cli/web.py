"""`nadg app`: the panel as a web page of its own, served on this machine by Voilà behind a token."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nadg_kernel.cli.run import parse_data
from nadg_kernel.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Voilà's page asks a CDN for icons that the panel does not use: with this no request leaves the machine.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws: blob: data:; "
    "frame-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; frame-ancestors 'none'"
)
SETTINGS = {
    "Voila": {
        "ip": "127.0.0.1",
        "auto_token": True,  # made by Voilà itself: on a command line every user of the machine could read it
        "tornado_settings": {"headers": {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}},
    }
}


def web(*, port: int, browser: bool, dark: bool, data: Sequence[str]) -> int:
    """Serve it until Ctrl-C; gives Voilà's exit code. Raises MissingExtra without it, DataError for data to attach."""
    if importlib.util.find_spec("voila") is None:
        package = "voila"
        raise MissingExtra(package, "app")
    files = parse_data(data)
    with tempfile.TemporaryDirectory(prefix="nadg-app-") as folder:
        page = Path(folder) / "nadg.ipynb"
        page.write_text(json.dumps(notebook(files, Path.cwd())), "utf-8")
        (Path(folder) / "voila.json").write_text(json.dumps(SETTINGS), "utf-8")
        process = subprocess.Popen(arguments(page, port=port, browser=browser, dark=dark))  # noqa: S603 - our own
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # Voilà was sent it too, and ends its kernels before itself
                continue


def arguments(page: Path, *, port: int, browser: bool, dark: bool) -> list[str]:
    """How Voilà is started: only with our settings, not with what lies in the folder that the person is in."""
    return [
        sys.executable, "-m", "voila", str(page),
        f"--Voila.config_file_paths=['{page.parent.as_posix()}']",
        f"--Voila.open_browser={browser}", f"--port={port}", f"--theme={'dark' if dark else 'light'}",
    ]  # fmt: skip


def notebook(files: Mapping[str, Path], folder: Path) -> dict[str, object]:
    """The page: a notebook that reads the data and shows a panel; its paths are relative to `folder`."""
    reading = [f"{name} = read_file({str(path)!r})" for name, path in files.items()]
    cells = [
        ["import os", f"os.chdir({os.fspath(folder)!r})", "from nadg_kernel import Grid"],
        ["from nadg_kernel.data import read_file", *reading] if reading else [],
        ["Grid().panel()"],
    ]
    return {
        "cells": [
            {
                "cell_type": "code", "id": f"cell{number}", "metadata": {}, "execution_count": None, "outputs": [],
                "source": "\n".join(lines),
            }
            for number, lines in enumerate(cells) if lines
        ],
        "metadata": {
            "title": "NADG",
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }  # fmt: skip
