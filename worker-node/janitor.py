"""Removes the worker's folder when the worker can no longer do it itself: after kill -9 nothing is left on disk."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHELL = Path("/bin/sh")
_SCRIPT = 'read -r _; exec rm -rf -- "$1"'


@contextmanager
def private_folder(prefix: str) -> Iterator[Path]:
    """A folder of this process alone, gone when the block or the process ends, however it ends.

    A shell waits on a pipe whose other end only this process holds; the system closes it when the process dies.
    Where there is no such shell (Windows) the folder goes when the block ends, and stays after a kill.
    """
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        if not _SHELL.exists():
            yield Path(name)
            return
        command = [str(_SHELL), "-c", _SCRIPT, "nadg-janitor", name]
        # Its own session: Ctrl-C on a terminal must not reach it before the worker is gone.
        with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, env={}) as shell:  # noqa: S603
            try:
                yield Path(name)
            finally:
                if shell.stdin is not None:
                    shell.stdin.close()
