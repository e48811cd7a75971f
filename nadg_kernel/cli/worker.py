"""`nadg worker`: the same service that is deployed elsewhere, started here."""

from __future__ import annotations

import os
import subprocess
import sys


def worker(*, host: str, port: int | None, worker_id: str) -> int:
    """Serve until stopped; gives the service's exit code. On POSIX this process becomes the service."""
    from nadg_kernel.engines.local import worker_folder

    given = {"HOST": host, "PORT": "" if port is None else str(port), "WORKER_ID": worker_id}
    os.environ.update({name: value for name, value in given.items() if value})
    command = [sys.executable, str(worker_folder() / "main.py")]
    if os.name == "posix":
        sys.stdout.flush()
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted; signals and exit code are the service's own
    return subprocess.call(command)  # noqa: S603 - our own interpreter and file
