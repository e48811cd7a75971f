"""Parses code into a tree, on any thread."""

from __future__ import annotations

import ast
import threading

_TURN = threading.Lock()
_TRIES = 5


def parse(code: str) -> ast.Module:
    """`ast.parse`. Raises SyntaxError, ValueError, RecursionError or MemoryError as it does, seldom SystemError.

    CPython 3.11 counts the depth of a tree for all threads together: two that parse at once can end in a SystemError
    that is nobody's fault. Our own threads take turns; where another's came in between, it is done again.
    """
    for _ in range(_TRIES - 1):
        try:
            with _TURN:
                return ast.parse(code)
        except SystemError:
            continue
    with _TURN:
        return ast.parse(code)
