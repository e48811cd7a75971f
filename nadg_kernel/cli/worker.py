"""`nadg worker`: the same service that is deployed elsewhere, started here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def worker(*, host: str, port: int | None, worker_id: str) -> int:
    """Serve until stopped; gives the service's exit code. On POSIX this process becomes the service."""
    given = {"HOST": host, "PORT": "" if port is None else str(port), "WORKER_ID": worker_id}
    os.environ.update({name: value for name, value in given.items() if value})
    command = [sys.executable, str(worker_folder() / "main.py")]
    if os.name == "posix":
        sys.stdout.flush()
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted; signals and exit code are the service's own
    return subprocess.call(command)  # noqa: S603 - our own interpreter and file


def worker_folder() -> Path:
    """The worker's own folder inside the wheel, or in the checkout that this package runs from."""
    package = Path(__file__).parents[1]
    inside = package / "_worker"
    return inside if (inside / "main.py").is_file() else package.parent / "worker-node"
