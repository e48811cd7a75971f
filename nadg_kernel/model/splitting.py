"""One code made two at a line, so that what the first half makes reaches the second as its input."""

from __future__ import annotations

import ast

from nadg_kernel.errors import EditError
from nadg_kernel.model.parsing import parse

_DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def split_code(code: str, line: int, first: str) -> tuple[str, str]:
    """The code before `line` (from 1) and from it on; `first` is the id of the subtask that gets the first half.

    Imports, functions and classes that the second half uses are repeated in it; other names are handed over as the
    first half's result. Raises EditError where the code is no Python, or the line is not the start of a statement.
    """
    try:
        tree = parse(code)
    except SyntaxError as error:
        message = f"line {error.lineno}: {error.msg}; mend this before you split it"
        raise EditError(message) from error
    before = [node for node in tree.body if _start(node) < line]
    after = [node for node in tree.body if _start(node) >= line]
    if not before or not after:
        message = "put the cursor on the line where the second half begins: there is code on one side of it only"
        raise EditError(message)
    if (before[-1].end_lineno or 0) >= line:
        message = f"line {line} is within a statement that begins at line {_start(before[-1])}: choose its start or end"
        raise EditError(message)
    lines = code.splitlines()
    head, rest = "\n".join(lines[: line - 1]).rstrip(), "\n".join(lines[line - 1 :]).rstrip()
    repeated, handed = _needed(before, after)
    texts = ["\n".join(lines[_start(node) - 1 : node.end_lineno]) for node in repeated]
    if handed:
        head += "\n\nresult = {" + ", ".join(f'"{name}": {name}' for name in handed) + "}"
        texts += [f'{name} = inputs["{first}"]["{name}"]' for name in handed]
    return f"{head}\n", "\n".join([*texts, rest]) + "\n"


def _needed(before: list[ast.stmt], after: list[ast.stmt]) -> tuple[list[ast.stmt], list[str]]:
    """What the second half takes over of the first: statements to repeat, and names whose values are handed over."""
    made: dict[str, ast.stmt] = {}
    for node in before:
        for name in _bound(node):
            made[name] = node
    repeated: list[ast.stmt] = []
    handed: list[str] = []
    todo, seen = _used(after), set[str]()
    while todo:
        name = todo.pop(0)
        if name in seen or name not in made:
            continue
        seen.add(name)
        node = made[name]
        if isinstance(node, _DEFINITIONS):
            if node not in repeated:
                repeated.append(node)
                todo += _used([node])
        else:
            handed.append(name)
    return sorted(repeated, key=_start), handed


def _start(node: ast.stmt) -> int:
    """The first line, decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(item.lineno for item in decorators)])


def _bound(node: ast.stmt) -> list[str]:
    """Names of the module that a top-level statement makes."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    names = [item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)]
    for item in ast.walk(node):
        if isinstance(item, (ast.Import, ast.ImportFrom)):
            names += [alias.asname or alias.name.partition(".")[0] for alias in item.names]
    return names


def _used(nodes: list[ast.stmt]) -> list[str]:
    return [
        item.id
        for node in nodes
        for item in ast.walk(node)
        if isinstance(item, ast.Name) and not isinstance(item.ctx, ast.Store)
    ]
