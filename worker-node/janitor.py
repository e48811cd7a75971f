"""Removes the worker's folders when the worker can no longer do it itself: after kill -9 nothing is left on disk."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHELL = Path("/bin/sh")
_SCRIPT = """
read -r _
for again in 1 2 3 4 5; do
  chmod -R u+rwX -- "$1" 2>/dev/null
  rm -rf -- "$1" 2>/dev/null
  test -e "$1" || exit 0
  sleep 0.5
done
"""
"""A task may have closed a folder to its owner, and one that is just being killed may still write."""


class Janitor:
    """Removes one folder when this process has ended, however it ended, or when told to.

    A shell waits on a pipe whose other end only this process holds; the system closes it when the process dies.
    Where there is no such shell (Windows) nothing happens, and a folder stays after a kill.
    """

    def __init__(self, folder: Path) -> None:
        self._shell: subprocess.Popen[bytes] | None = None
        if _SHELL.exists():
            command = [str(_SHELL), "-c", _SCRIPT, "nadg-janitor", str(folder)]
            # Its own session: Ctrl-C on a terminal must not reach it before the worker is gone.
            self._shell = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, start_new_session=True, env={"PATH": "/usr/bin:/bin"}
            )

    def dismiss(self) -> None:
        """Let it remove what is left, and wait until it has."""
        if self._shell is not None and self._shell.stdin is not None:
            self._shell.stdin.close()
            self._shell.wait()
            self._shell = None


@contextmanager
def private_folder(prefix: str) -> Iterator[Path]:
    """A folder of this process alone, gone when the block or the process ends, however it ends."""
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        janitor = Janitor(Path(name))
        try:
            yield Path(name)
        finally:
            janitor.dismiss()
