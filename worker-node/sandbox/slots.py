"""The folders that tasks work in: one per slot, emptied after each task, gone with the worker."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from janitor import Janitor
from sandbox import cleanup
from sandbox.harvest import Stamp, stamp
from sandbox.plan import TMP, WORK

PREFIX = "nadg-tasks-"


@dataclass(frozen=True)
class Slot:
    """One folder and, when the worker was started as root, one user id."""

    index: int
    folder: Path
    uid: int | None

    @cached_property
    def work(self) -> Path:
        """The task's working directory."""
        return self.folder / WORK

    @cached_property
    def tmp(self) -> Path:
        """The task's HOME and TMPDIR."""
        return self.folder / TMP

    def used(self) -> bool:
        """Whether anything lies in it."""
        return bool(os.listdir(self.work) or os.listdir(self.tmp))  # noqa: PTH208 - on the hot path

    def clear(self) -> None:
        """Empty it."""
        for folder in (self.work, self.tmp):
            cleanup.empty(folder)

    def lay(self, files: dict[str, Path]) -> dict[str, Stamp]:
        """Copy input files into the working directory, read-only; their paths were checked by the service."""
        stamps: dict[str, Stamp] = {}
        for path, blob in files.items():
            target = self.work / path
            if ".." in target.parts or not target.is_relative_to(self.work):
                message = f"the input file {path!r} would lie outside the working directory"
                raise ValueError(message)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(blob, target)
            target.chmod(0o444)
            for made in (target, *target.parents):
                if made == self.work:
                    break
                if self.uid is not None:
                    os.chown(made, self.uid, self.uid, follow_symlinks=False)
            stamps[path] = stamp(target.stat())
        return stamps


class Slots:
    """All slots of one worker."""

    def __init__(self, count: int, uid_base: int | None, parent: Path | None = None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self.root.chmod(0o711)  # other users pass through and see no names
        self._janitor = Janitor(self.root)  # the zygote removes it too, but may have been killed with the worker
        self._slots = [self._make(index, uid_base) for index in range(count)]

    def __getitem__(self, index: int) -> Slot:
        return self._slots[index]

    def __len__(self) -> int:
        return len(self._slots)

    def _make(self, index: int, uid_base: int | None) -> Slot:
        uid = None if uid_base is None else uid_base + index
        slot = Slot(index, self.root / f"s{index}", uid)
        slot.folder.mkdir(mode=0o711)
        for folder in (slot.work, slot.tmp):
            folder.mkdir(mode=0o700)
            if uid is not None:
                os.chown(folder, uid, uid)
        return slot

    def remove(self) -> None:
        """Remove everything; the tasks are dead."""
        if self.root.exists():
            cleanup.remove(self.root)
        self._janitor.dismiss()
