"""What is found in a piece of code without running it."""

from __future__ import annotations

from nadg_kernel.model.code_facts import CACHED_CHARS, code_facts


def test_imports_are_found_with_their_line_and_guard():
    code = "import numpy.linalg, os\ntry:\n    import polars\nexcept ImportError:\n    from . import x\n"
    assert code_facts(code).imports == (("numpy", 1, False), ("os", 1, False), ("polars", 3, True), ("", 5, False))


def test_reads_are_found_once_and_not_where_the_code_assigns():
    code = 'a = inputs["x"]\nb = inputs["x"]\ninputs["y"] = 1\nc = inputs["y"]\nd = other["z"]\n'
    assert code_facts(code).reads == (("x", 1),)


def test_what_is_not_python_is_said_with_its_line():
    assert code_facts("a = 1\nb = (").error == ("'(' was never closed", 2)
    assert code_facts("\0").error is not None


def test_long_code_is_read_and_not_kept():
    long = "x = 1\n" * CACHED_CHARS
    assert code_facts(long) is not code_facts(long)
    assert code_facts("x = 1") is code_facts("x = 1")
