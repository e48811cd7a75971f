"""Which values a subtask's code reads, found in the code itself."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from nadg_kernel.model.parsing import parse

if TYPE_CHECKING:
    from collections.abc import Iterable


def mentioned_inputs(code: str, names: Iterable[str]) -> tuple[str, ...]:
    """Which of `names` the code reads as `inputs["name"]` or `inputs.get("name")`, in the order of `names`.

    Code that uses `inputs` in any other way may read them all, and code that does not parse might: both give all.
    """
    candidates = tuple(names)
    try:
        tree = parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return candidates
    constant: set[str] = set()
    plain_uses = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "inputs":
            plain_uses += 1
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript) and _is_inputs(node.value):
            key = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_inputs(node.func.value):
            key = node.args[0] if node.func.attr == "get" and node.args else None
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            constant.add(key.value)
            plain_uses -= 1
    if plain_uses > 0:
        return candidates
    return tuple(name for name in candidates if name in constant)


def _is_inputs(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "inputs"
