"""Code is parsed whatever other threads parse at the time."""

from __future__ import annotations

import ast

import pytest

from nadg_kernel.model import parsing


def test_a_turn_that_another_thread_disturbed_is_taken_again(monkeypatch):
    turns = iter([SystemError("AST constructor recursion depth mismatch"), None])
    real = ast.parse

    def disturbed(code):
        if error := next(turns):
            raise error
        return real(code)

    monkeypatch.setattr(parsing.ast, "parse", disturbed)
    assert ast.unparse(parsing.parse("a = 1")) == "a = 1"


def test_what_stays_wrong_is_raised(monkeypatch):
    monkeypatch.setattr(parsing.ast, "parse", lambda _code: (_ for _ in ()).throw(SystemError("always")))
    with pytest.raises(SystemError, match="always"):
        parsing.parse("a = 1")
    monkeypatch.undo()
    with pytest.raises(SyntaxError):
        parsing.parse("a =")
