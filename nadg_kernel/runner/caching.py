"""When a shard's result may be taken from an earlier one: the key over all that could make a difference."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nadg_kernel.model.parsing import parse
from nadg_kernel.wire import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nadg_kernel.engines.base import AttemptSpec, WorkerState

_OTHER_NAMES = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Modules whose distribution is called otherwise."""


@lru_cache(maxsize=4096)
def imported_modules(code: str) -> frozenset[str]:
    """Top-level names that the code imports, whatever else happens, without the standard library's.

    Imports that the code itself guards with `try` are left out: it can do without.
    """
    try:
        tree = parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):  # the last for code nested too deeply
        return frozenset()
    return frozenset(name for name in _imports(tree) if name not in sys.stdlib_module_names)


def _imports(tree: ast.AST) -> Iterator[str]:
    todo = [tree]
    while todo:
        for child in ast.iter_child_nodes(todo.pop()):
            if isinstance(child, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                if child.module and not child.level:
                    yield child.module.partition(".")[0]
            elif not (isinstance(child, ast.Try) and child.handlers):
                todo.append(child)


def environment(code: str, worker: WorkerState) -> str | None:
    """What of a worker could change what the code gives: versions of what it imports. None if they are not known.

    Where an import cannot be told to a distribution, all distributions count.
    """
    if not worker.packages:
        return None
    versions = {name.lower().replace("_", "-"): version for name, version in worker.packages.items()}
    used: dict[str, str] = {"python": versions.get("python", "")}
    for module in imported_modules(code):
        name = _OTHER_NAMES.get(module, module).lower().replace("_", "-")
        if name not in versions:
            used = versions
            break
        used[name] = versions[name]
    return _digest(sorted(used.items()))


def cache_key(spec: AttemptSpec, surroundings: str) -> str:
    """SHA-256 over code, kind, shard, inputs, files, permissions, protocol and the environment it runs in."""
    return _digest(
        {
            "code": spec.code,
            "kind": spec.kind,
            "shard": [spec.shard, spec.shards],
            "inputs": {name: _content(ref) for name, ref in spec.inputs.items()},
            "files": {path: sha256 for path, (sha256, _) in spec.files.items()},
            "permissions": list(spec.permissions.granted),
            "protocol": PROTOCOL,
            "environment": surroundings,
        }
    )


def _content(ref: Mapping[str, Any]) -> Any:
    """What a reference says, whether its bytes are inline or not."""
    if ref.get("items") is not None:
        return [ref["format"], ref.get("value"), [_content(item) for item in ref["items"]]]
    return [ref.get("format"), ref.get("sha256") or _digest([ref.get("value"), ref.get("data")])]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
