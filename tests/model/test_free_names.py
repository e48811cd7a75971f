"""Names that only the notebook has are found before anything runs, and what can be imported is."""

import ast
import json
import math
from math import sqrt as root

import pandas as pd
import pytest

from nadg_kernel.model import Context, DataSchema, Plan
from nadg_kernel.model.free_names import free_names

FACTOR = 3


def names(code):
    return dict(free_names(code, ast.parse(code)))


@pytest.mark.parametrize(
    ("code", "free"),
    [
        ("result = inputs['a'] + shard / shards\nprogress(0.5)\ndisplay(result)\nprint(len(result))", {}),
        ("result = helper(1)\nhelper(2)", {"helper": 1}),
        ("def f(x):\n    return x * FACTOR\nresult = f(1)", {"FACTOR": 2}),
        ("def f(x):\n    global seen\n    seen = x\nf(1)\nresult = seen", {}),
        ("def outer():\n    a = 1\n    def inner():\n        return a\n    return inner\nresult = outer()()", {}),
        ("import numpy as np\nfrom os import path\nresult = np, path", {}),
        ("from math import *\nresult = sqrt(2)", {}),
        ("result = [x for x in range(3)] + list(map(lambda y: y, ()))", {}),
        ("result = [x * n for x in range(3)]", {"n": 1}),
        ("class A:\n    size = 1\n    def get(self):\n        return self.size\nresult = A().get()", {}),
        ("try:\n    pass\nexcept ValueError as error:\n    print(error)\nresult = __name__", {}),
        ("for i, row in enumerate(inputs['t']):\n    pass\nresult = i, row\nwith open('x') as f:\n    f.read()", {}),
        ("exec('a = 1')\nresult = a", {}),
        ("if (n := 3) > 2:\n    result = n\nmatch n:\n    case [first, *rest]:\n        print(first, rest)", {}),
        ("result = (b, a)\nz = a", {"a": 1, "b": 1}),
    ],
)
def test_free_names(code, free):
    assert names(code) == free


def scaled(reviews):
    """Scale."""
    table = pd.DataFrame(reviews).assign(x=lambda frame: frame["x"] * FACTOR)
    return json.loads(json.dumps([root(value) + math.pi + later(value) for value in table["x"]]))


def later(value):
    return value


def test_a_functions_imports_come_along_and_other_names_are_problems():
    plan = Plan(command="x", data={"reviews": DataSchema(columns=("x",), rows=2)})
    plan = plan.with_context(Context(modules=frozenset({"pandas"}))).add(func=scaled)
    lines = plan["scaled"].code.splitlines()
    assert {*lines[:4]} == {"import pandas as pd", "import json", "import math", "from math import sqrt as root"}
    found = [(item.code, item.line, item.blocks) for item in plan.problems]
    assert found == [("free_name", 9, False), ("free_name", 10, False)]
    assert "uses 'FACTOR', which nothing here defines" in str(plan.problems[0])
    assert "uses 'later'" in str(plan.problems[1])
    assert plan.edit("scaled", code=f"FACTOR = 3\nlater = float\n{plan['scaled'].code}").problems == ()
