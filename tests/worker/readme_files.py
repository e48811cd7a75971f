"""Writes the list of files to upload into the worker's README; `make sync-wire` runs it, a test compares."""

from __future__ import annotations

import re
from pathlib import Path

WORKER = Path(__file__).resolve().parents[2] / "worker-node"
README = WORKER / "README.md"
BLOCK = re.compile(r"(<!-- files -->\n```\n)(.*?)(```)", re.DOTALL)


def _cached(path):
    """Whether a tool left it: caches are folders with a dot, or Python's own."""
    parts = path.relative_to(WORKER).parts[:-1]
    return any(part.startswith(".") or part == "__pycache__" for part in parts)


def present() -> list[str]:
    """Every file of the folder that a worker needs, as paths in it."""
    found = (path for path in WORKER.rglob("*") if path.is_file() and not _cached(path))
    return sorted(path.relative_to(WORKER).as_posix() for path in found)


def listed() -> list[str]:
    """The files that the README lists."""
    block = BLOCK.search(README.read_text("utf-8"))
    return block.group(2).split() if block else []


if __name__ == "__main__":
    files = "".join(f"{name}\n" for name in present())
    README.write_text(BLOCK.sub(rf"\g<1>{files}\g<3>", README.read_text("utf-8")), "utf-8")
