"""Names that code uses and nothing in it defines: on a worker there is no notebook that could."""

from __future__ import annotations

import ast
import builtins
import symtable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

GIVEN = frozenset({"inputs", "shard", "shards", "progress", "display", "result"})
"""What a task finds, or sets itself."""
_KNOWN = GIVEN | frozenset(dir(builtins)) | {"__file__", "__annotations__", "__builtins__"}
_OPAQUE = frozenset({"exec", "eval", "globals", "locals", "vars", "get_ipython"})
"""Code that uses one of these may define names in ways that cannot be seen."""


def free_names(code: str, tree: ast.AST) -> tuple[tuple[str, int], ...]:
    """Each such name with the line of its first use; none for code that cannot be seen through. `tree` is it parsed."""
    try:
        top = symtable.symtable(code, "task", "exec")
    except (SyntaxError, ValueError, RecursionError):
        return ()
    tables = [top, *_below(top)]
    if any(isinstance(node, ast.alias) and node.name == "*" for node in ast.walk(tree)):
        return ()
    defined = {item.get_name() for item in top.get_symbols() if _defines(item)}
    defined |= {
        item.get_name()
        for table in tables
        for item in table.get_symbols()
        if item.is_declared_global() and _defines(item)
    }
    used = {
        item.get_name()
        for table in tables
        for item in table.get_symbols()
        if item.is_referenced() and (table is top or item.is_global())
    }
    if used & _OPAQUE:
        return ()
    wanted = used - defined - _KNOWN
    if not wanted:
        return ()
    lines: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in wanted:
            lines[node.id] = min(node.lineno, lines.get(node.id, node.lineno))
    return tuple(sorted(lines.items(), key=lambda pair: (pair[1], pair[0])))


def _defines(item: symtable.Symbol) -> bool:
    return item.is_assigned() or item.is_imported() or item.is_namespace()


def _below(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _below(child)
