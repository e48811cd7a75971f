"""Code made two at a line: both halves together still do what the whole did."""

from __future__ import annotations

import pytest

from nadg_kernel.errors import EditError
from nadg_kernel.model.splitting import split_code

CODE = """\
import math
FACTOR = 3

def tripled(value):
    return value * FACTOR

numbers = [tripled(n) for n in inputs["data"]]
total = sum(numbers)
unused = 1
result = math.sqrt(tripled(total) + len(numbers))
"""


def run(code, inputs):
    scope = {"inputs": inputs}
    exec(code, scope)  # noqa: S102 - the tests' own code
    return scope["result"]


@pytest.mark.parametrize("line", [4, 7, 8, 9, 10])
def test_both_halves_give_what_the_whole_gave(line):
    first, second = split_code(CODE, line, "start")
    handed = run(first, {"data": [1, 2, 3]})
    assert run(second, {"data": [1, 2, 3], "start": handed}) == run(CODE, {"data": [1, 2, 3]})
    assert "unused" not in (handed or {})


def test_values_are_handed_over_and_definitions_repeated():
    first, second = split_code(CODE, 8, "start")
    assert first.endswith('result = {"numbers": numbers, "FACTOR": FACTOR}\n')
    assert second.startswith("import math\ndef tripled(value):\n    return value * FACTOR\n")
    assert 'numbers = inputs["start"]["numbers"]' in second


@pytest.mark.parametrize(
    ("code", "line", "words"),
    [
        ("a = (\n 1)\nb = 2", 2, "within a statement that begins at line 1"),
        ("a = 1\nb = 2", 1, "code on one side"),
        ("a = 1\nb = 2\n\n", 4, "code on one side"),
        ("a = (", 1, "mend this before"),
        ("@wraps\ndef f(): ...\nb = f()", 2, "within a statement"),
    ],
)
def test_where_code_cannot_be_split_is_explained(code, line, words):
    with pytest.raises(EditError, match=words):
        split_code(code, line, "start")
