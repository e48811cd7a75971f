"""What goes into a cache key, and what does not."""

from __future__ import annotations

import pytest

from nadg_kernel import values
from nadg_kernel.engines.base import AttemptSpec
from nadg_kernel.runner.caching import cache_key, environment, imported_modules
from tests.support.fake_engine import worker


@pytest.mark.parametrize(
    ("code", "modules"),
    [
        ("import numpy as np, json\nfrom sklearn.svm import SVC", {"numpy", "sklearn"}),
        ("def f():\n    import a.b\nif x:\n    from c import d", {"a", "c"}),
        ("try:\n    import fast\nexcept ImportError:\n    fast = None", set()),
        ("try:\n    import sure\nfinally:\n    pass", {"sure"}),
        ("from . import near", set()),
        ("this is no code", set()),
        ("x = " + "-" * 100_000 + "1", set()),
        ("x = " + "(" * 150 + "1" + ")" * 150 + "\nimport deep", {"deep"}),
        ("x = " + " + ".join(["y"] * 3000) + "\nimport wide", set()),
    ],
)
def test_imports_that_the_code_cannot_do_without(code, modules):
    assert imported_modules(code) == modules


def test_surroundings_are_the_versions_of_what_is_imported():
    one = worker("w1", packages={"numpy": "1", "scikit-learn": "2", "other": "3"})
    two = worker("w2", packages={"numpy": "1", "scikit-learn": "2", "other": "4"})
    code = "import numpy, sklearn"
    assert environment(code, one) == environment(code, two)
    assert environment("import unknown", one) != environment("import unknown", two), "then all of them count"
    assert environment(code, worker("w3", packages={})) is None


def spec(**given):
    base = {
        "attempt_id": "a",
        "run_id": "r",
        "subtask": "s",
        "shard": 0,
        "shards": 1,
        "worker_id": "w",
        "kind": "python",
    }
    return AttemptSpec(code="result = 1", **{**base, **given})


def test_a_key_follows_content_and_not_where_it_is_or_who_asks():
    inline = values.to_ref(values.encode("x" * 100), 1000, lambda *_: None)
    blob = values.to_ref(values.encode("x" * 100), 10, lambda *_: None)
    other = values.to_ref(values.encode("y" * 100), 10, lambda *_: None)
    base = cache_key(spec(inputs={"d": inline}), "e")
    assert cache_key(spec(inputs={"d": blob}, run_id="r2", attempt_id="b", worker_id="v", subtask="t"), "e") == base
    different = [
        cache_key(spec(inputs={"d": other}), "e"),
        cache_key(spec(inputs={"c": inline}), "e"),
        cache_key(spec(inputs={"d": inline}, shard=1, shards=2), "e"),
        cache_key(spec(inputs={"d": inline}, files={"f": ("0" * 64, 1)}), "e"),
        cache_key(spec(inputs={"d": {"format": "list", "items": [inline]}}), "e"),
        cache_key(spec(inputs={"d": inline}), "f"),
    ]
    assert len({base, *different}) == 7
