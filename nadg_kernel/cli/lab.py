"""`nadg lab`: JupyterLab on the control panel, from any folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from nadg_kernel.errors import MissingExtra, NadgError

NOTEBOOK = "01_control_panel.ipynb"


def lab(*, browser: bool) -> int:
    """Open it; gives JupyterLab's exit code. Raises MissingExtra when JupyterLab is not installed."""
    if importlib.util.find_spec("jupyterlab") is None:
        package = "jupyterlab"
        raise MissingExtra(package, "lab")
    notebook = find_or_copy(Path.cwd())
    command = [sys.executable, "-m", "jupyterlab", str(notebook)]
    if not browser:
        # Without a browser the URL that is printed is all there is: it has to lead to the notebook.
        command += ["--no-browser", f"--LabApp.default_url=/lab/tree/{notebook.name}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # root, as in a container, has to tell JupyterLab that it means it
    if os.name == "posix":
        sys.stdout.flush()
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted; Ctrl-C goes to JupyterLab itself
    return subprocess.call(command)  # noqa: S603 - our own interpreter


def find_or_copy(folder: Path) -> Path:
    """The control panel's notebook here or in `notebooks/`; a copy of the package's own where there is none."""
    for place in (folder / NOTEBOOK, folder / "notebooks" / NOTEBOOK):
        if place.is_file():
            return place.relative_to(folder)
    try:
        shutil.copyfile(packaged_notebook(), folder / NOTEBOOK)
    except OSError as error:
        message = f"cannot put {NOTEBOOK} into {folder}: {error.strerror or error}"
        raise NadgError(message) from error
    return Path(NOTEBOOK)


def packaged_notebook() -> Path:
    """The notebook inside the wheel, or in the checkout that this package runs from."""
    package = Path(__file__).parents[1]
    inside = package / "_notebooks" / NOTEBOOK
    return inside if inside.is_file() else package.parent / "notebooks" / NOTEBOOK
