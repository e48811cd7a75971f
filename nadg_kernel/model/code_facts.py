"""What a piece of code imports and reads, found once per text: a plan is checked anew at every edit of any subtask."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from nadg_kernel.model.free_names import free_names
from nadg_kernel.model.parsing import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHED_CODES = 8192
CACHED_CHARS = 16 * 1024
"""Longer code is read anew each time, so that the cache stays within bounds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeFacts:
    """`error` is a syntax error's words and line; then nothing else is known."""

    error: tuple[str, int] | None = None
    imports: tuple[tuple[str, int, bool], ...] = ()
    """Top-level name, line, and whether a `try` with a handler guards it; an empty name is a relative import."""
    reads: tuple[tuple[str, int], ...] = ()
    """Each name that is first read as `inputs["name"]`, with its line; names that the code assigns are left out."""
    free: tuple[tuple[str, int], ...] = ()
    """Each name that nothing in the code defines, with its line."""


def code_facts(code: str) -> CodeFacts:
    """The facts of a code, from the cache where it is short enough."""
    return _cached(code) if len(code) <= CACHED_CHARS else _read(code)


def _read(code: str) -> CodeFacts:
    try:
        tree = parse(code)
    except SyntaxError as error:
        return CodeFacts(error=(str(error.msg), error.lineno or 1))
    except (ValueError, RecursionError, MemoryError) as error:
        return CodeFacts(error=(f"not Python: {str(error) or type(error).__name__}", 1))
    return CodeFacts(
        imports=tuple(_imports(tree, guarded=False)), reads=tuple(_reads(tree)), free=free_names(code, tree)
    )


_cached = lru_cache(maxsize=CACHED_CODES)(_read)


def _imports(node: ast.AST, *, guarded: bool) -> Iterator[tuple[str, int, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom):
            yield ("" if child.level else (child.module or "").partition(".")[0]), child.lineno, guarded
        elif isinstance(child, ast.Import):
            yield from ((alias.name.partition(".")[0], child.lineno, guarded) for alias in child.names)
        elif isinstance(child, ast.Try):
            tried = ast.Module(body=child.body, type_ignores=[])
            yield from _imports(tried, guarded=guarded or bool(child.handlers))
            rest = [*(part for handler in child.handlers for part in handler.body), *child.orelse, *child.finalbody]
            yield from _imports(ast.Module(body=rest, type_ignores=[]), guarded=guarded)
        else:
            yield from _imports(child, guarded=guarded)


def _reads(tree: ast.AST) -> Iterator[tuple[str, int]]:
    keyed = [
        node for node in ast.walk(tree) if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
    ]
    stored = {_key(node) for node in keyed if isinstance(node.ctx, ast.Store)}
    seen: set[str] = set()
    for node in keyed:
        key = _key(node)
        if key is None or key in stored or key in seen:
            continue
        if isinstance(node.value, ast.Name) and node.value.id == "inputs":
            seen.add(key)
            yield key, node.lineno


def _key(node: ast.Subscript) -> str | None:
    return node.slice.value if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str) else None
