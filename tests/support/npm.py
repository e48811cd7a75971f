"""Node packages for tests, as a folder's lock file names them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path


def installed(folder):
    """The folder's node_modules, installed once for all that ask at a time."""
    import fcntl  # not on Windows, where these tests say so first

    modules, lock = folder / "node_modules", folder / "package-lock.json"
    with (Path(tempfile.gettempdir()) / f"nadg-npm-{os.getuid()}.lock").open("w") as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)
        mark = modules / ".package-lock.json"
        if not mark.exists() or mark.stat().st_mtime < lock.stat().st_mtime:
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
            mark.touch()
    return modules
