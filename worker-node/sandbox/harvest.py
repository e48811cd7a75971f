"""Keeps the files that a task left in its working directory: regular ones only, with names that any system can hold."""

from __future__ import annotations

import os
import stat
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.base import Artifact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandbox.base import Sink
    from sandbox.recorder import Bounds

_DEPTH = 16
_NAME_CHARS = 500
_ENTRIES = 20_000
_FORBIDDEN = frozenset('<>:"|?*\\')
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

Stamp = tuple[int, int, int]
"""Inode, size and time of change: says whether an input file is still the one that was laid there."""


@dataclass
class Harvest:
    """What was found."""

    artifacts: list[Artifact] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Path (escaped) and reason, the first few."""
    entries: int = 0
    size: int = 0

    def refuse(self, path: str, why: str) -> None:
        """Note a file that is not kept."""
        if len(self.refused) < 20:  # noqa: PLR2004 - a list that a person reads
            shown = path.encode("unicode_escape", "backslashreplace").decode("ascii")[:200]
            self.refused.append(f"{shown} is no artifact: {why}")


def stamp(status: os.stat_result) -> Stamp:
    """See Stamp."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def collect(work: Path, laid: Mapping[str, Stamp], sink: Sink, bounds: Bounds) -> Harvest:
    """Give every artifact to the sink. The task is dead, so nothing moves between a look and a use."""
    harvest = Harvest()
    pending = [("", 0)]
    while pending:
        prefix, depth = pending.pop()
        try:
            entries = list(os.scandir(work / prefix))
        except OSError as error:
            harvest.refuse(prefix, error.strerror or "it cannot be opened")
            continue
        for entry in entries:
            harvest.entries += 1
            if harvest.entries > _ENTRIES:
                harvest.refuse(prefix or ".", f"more than {_ENTRIES} files")
                return harvest
            path = prefix + entry.name
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                if depth < _DEPTH:
                    pending.append((f"{path}/", depth + 1))
                else:
                    harvest.refuse(path, f"folders deeper than {_DEPTH}")
            elif laid.get(path) != stamp(status):
                why = _unfit(path, status, bounds, harvest)
                if why:
                    harvest.refuse(path, why)
                else:
                    _keep(work / path, path, sink, harvest)
    harvest.artifacts.sort(key=lambda artifact: artifact.path)
    return harvest


def _unfit(path: str, status: os.stat_result, bounds: Bounds, harvest: Harvest) -> str:
    if stat.S_ISLNK(status.st_mode):
        return "a link"
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if status.st_nlink != 1:
        return "it has several names"
    if len(harvest.artifacts) >= bounds.artifacts:
        return f"more than {bounds.artifacts} files"
    if harvest.size + status.st_size > bounds.artifact_bytes:
        return f"more than {bounds.artifact_bytes} bytes in all"
    return _bad_name(path)


def _bad_name(path: str) -> str:
    if len(path) > _NAME_CHARS:
        return "its path is too long"
    for part in path.split("/"):
        if any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for char in part):
            return "its name has characters that cannot be shown"
        if _FORBIDDEN & set(part) or part != part.strip() or part.endswith("."):
            return "its name does not exist on every system"
    return ""


def _keep(file: Path, path: str, sink: Sink, harvest: Harvest) -> None:
    try:
        fd = os.open(file, _FILE)
    except OSError as error:
        harvest.refuse(path, error.strerror or "it cannot be opened")
        return
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            harvest.refuse(path, "not a regular file")
            return
        sha256 = sink.keep_file(fd, status.st_size)
    finally:
        os.close(fd)
    harvest.size += status.st_size
    harvest.artifacts.append(Artifact(path=path, sha256=sha256, size=status.st_size))
