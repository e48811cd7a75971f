"""Removes what a task left behind, whatever it did to its folders: links, modes, thousands of levels."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def empty(folder: Path) -> None:
    """Remove all that is in a folder and keep the folder itself, with mode 700.

    Deep trees are flattened: a folder found inside a folder is moved to the top before it is entered, so neither
    recursion nor path length grows with depth. Links are removed, never followed.
    """
    if os.listdir not in os.supports_fd:  # Windows: no task there has the means that the rest is about
        _empty_by_path(folder)
        return
    os.chmod(folder, 0o700)  # noqa: PTH101 - follows no link: the parent is ours
    top = os.open(folder, _DIRECTORY)
    try:
        serial = 0
        while True:
            names = os.listdir(top)  # noqa: PTH208 - by descriptor
            if not names:
                return
            for name in names:
                serial = _remove(top, name, serial)
    finally:
        os.close(top)


def _remove(top: int, name: str, serial: int) -> int:
    """Remove one entry of the top folder; its sub-folders become entries of the top folder."""
    try:
        os.unlink(name, dir_fd=top)
    except (IsADirectoryError, PermissionError):
        pass
    else:
        return serial
    os.chmod(name, 0o700, dir_fd=top)  # a folder: unlink would have removed anything else
    inner = os.open(name, _DIRECTORY, dir_fd=top)
    try:
        for entry in os.listdir(inner):  # noqa: PTH208 - by descriptor
            if stat.S_ISDIR(os.stat(entry, dir_fd=inner, follow_symlinks=False).st_mode):
                serial += 1
                os.chmod(entry, 0o700, dir_fd=inner)  # moving a folder writes its `..`
                os.rename(entry, f".nadg-{serial}-{os.getpid()}", src_dir_fd=inner, dst_dir_fd=top)
            else:
                os.unlink(entry, dir_fd=inner)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)
    return serial


def remove(folder: Path) -> None:
    """Remove a folder and all that is in it."""
    empty(folder)
    folder.rmdir()


def _empty_by_path(folder: Path) -> None:
    for entry in list(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.chmod(0o600)
            entry.unlink()
