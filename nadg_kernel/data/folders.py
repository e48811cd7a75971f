"""An attached folder as a task sees it: which modules are in it, and where its files lie to be imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_FILES = 1000
"""Files that the protocol takes along with an attempt; of a larger folder only its Python files are laid out."""
_SOURCE = "src/"


def module_names(paths: Iterable[str]) -> frozenset[str]:
    """Top-level modules and packages of a folder, and of the folder `src` in it."""
    return frozenset(name for path in paths if (name := _module(path.removeprefix(_SOURCE))))


def laid_out(paths: Iterable[str]) -> dict[str, str]:
    """Path in the working directory -> path in the folder. What is in `src` lies beside the rest."""
    every = list(paths)
    chosen = every if len(every) <= MOST_FILES else [path for path in every if path.endswith(".py")][:MOST_FILES]
    out = {path: path for path in chosen if not path.startswith(_SOURCE)}
    for path in chosen:
        if path.startswith(_SOURCE):
            out.setdefault(path.removeprefix(_SOURCE), path)
    return out


def _module(path: str) -> str:
    head, slash, rest = path.partition("/")
    name = head if slash and rest.endswith(".py") else head.removesuffix(".py") if head.endswith(".py") else ""
    return name if name.isidentifier() else ""
