"""Values survive the way to a worker and back, and bytes from elsewhere never do more than fail."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadg_kernel import wire
from nadg_kernel.values import Encoded, ValueDecodingError, ValueEncodingError, decode, encode, from_ref, to_ref

ROOT = Path(__file__).parents[1]
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def there_and_back(value, inline=64):
    """Encode, cross the wire as JSON, decode."""
    blobs = {}
    ref = to_ref(encode(value), inline, blobs.__setitem__)
    crossed = wire.ValueRef.model_validate_json(wire.ValueRef.model_validate(ref).model_dump_json()).model_dump()
    return decode(from_ref(crossed, blobs.__getitem__))


@given(PLAIN)
def test_plain_values_are_equal(value):
    assert there_and_back(value) == value


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        [],
        {},
        "null",
        2**200,
        float("inf"),
        -0.0,
        "\ud800 lone surrogate",
        b"",
        b"\x00\xff" * 100,
        {"a": b"bytes", "b": [1, {"c": b"more"}]},
        [b"x", "y", None],
        {"": 1, "key with \x00": 2},
    ],
)
def test_values_at_the_edges(value):
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


def test_small_values_that_are_blobs_are_not_taken_for_none():
    """What no longer fits into the message is a blob, however small; a null of JSON has as many bytes."""
    value = [b"bytes", *["\n", 1234, True, None, "ab"] * 200]
    assert there_and_back(value) == value


def test_nan_and_tuples():
    assert np.isnan(there_and_back(float("nan")))
    assert there_and_back((1, (2, b"x"))) == [1, [2, b"x"]]


@pytest.mark.parametrize("dtype", ["int8", "uint64", "float16", "complex64", "bool", "U5", "S3", "M8[ns]", "m8[s]"])
def test_arrays_keep_dtype_and_shape(dtype):
    array = np.zeros((2, 3), dtype=dtype)
    back = there_and_back(array)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_numpy_scalars():
    assert there_and_back(np.float32(0.5)) == 0.5
    assert there_and_back(np.int64(7)) == 7
    stamp = there_and_back(np.datetime64("2026-11-24T10:00"))
    assert stamp == np.datetime64("2026-11-24T10:00")
    assert there_and_back(np.array(3.5)) == 3.5


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.array([object()]), "numeric or string"),
        (np.ma.masked_array([1, 2], [True, False]), "mask"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "own name"),
        (pd.DataFrame({"a": [1j]}), "simple type"),
        (pd.DataFrame({"a": pd.Series(["x", 1], dtype=object)}), "column a"),
        (pd.Series([object()], name="s"), "series 's'"),
        pytest.param(10**5000, "JSON", id="huge"),
    ],
)
def test_what_has_no_form_says_what_to_change(value, says):
    with pytest.raises(ValueEncodingError, match=says):
        encode(value)


def test_what_contains_itself_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(ValueEncodingError, match="contains itself"):
        encode(loop)


@pytest.mark.parametrize("leaf", [1, b"bytes"], ids=["json", "items"])
@pytest.mark.parametrize("depth", [30, 150, 300, 900, 5000])
def test_nesting_crosses_or_is_refused(leaf, depth):
    value = leaf
    for _ in range(depth):
        value = [value]
    if depth == 30 or (leaf == 1 and depth <= 300):
        assert there_and_back(value, inline=100_000) == value
    else:
        with pytest.raises(ValueEncodingError, match="too deeply"):
            there_and_back(value)


def test_half_a_surrogate_pair_is_no_key():
    with pytest.raises(ValueEncodingError, match="surrogate"):
        encode({"\ud800": b"x"})
    assert there_and_back({"\ud800": 1}) == {"\ud800": 1}


def test_anything_else_is_its_text_and_says_so():
    encoded = encode({1, 2})
    assert decode(encoded) == "{1, 2}"
    assert "set" in encoded.note

    class Long:
        pass

    Long.__qualname__ = "L" * 5000
    wire.ValueRef.model_validate(to_ref(encode(Long()), 64, lambda *_: None))


FRAMES = {
    "frequency": pd.DataFrame({"x": [1, 2, 3]}, index=pd.date_range("2026", periods=3, freq="D", name="day")),
    "one day": pd.DataFrame({"x": [1]}, index=pd.date_range("2026", periods=1, freq="D")),
    "deltas": pd.DataFrame({"x": [1, 2, 3]}, index=pd.timedelta_range("1s", periods=3)),
    "text as objects": pd.DataFrame({"x": pd.Series(["a", None], dtype=object)}),
    "text as objects, nan": pd.DataFrame({"x": pd.Series(["a", np.nan], dtype=object)}),
    "period index": pd.DataFrame({"x": [1, 2]}, index=pd.period_range("2026", periods=2, freq="Q")),
    "intervals": pd.DataFrame({"x": pd.interval_range(0, 3)}),
    "no columns": pd.DataFrame(index=range(5)),
    "levels": pd.DataFrame(
        {"x": range(6)}, index=pd.MultiIndex.from_product([["a", "b"], pd.date_range("2026", periods=3, tz="UTC")])
    ),
    "step": pd.DataFrame({"a": [1, 2, 3]}, index=pd.RangeIndex(10, 4, -2, name="r")),
    "two headers": pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", "y"])),
    "numbers as labels": pd.DataFrame({1: [1], 2: [2]}),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
def test_frames_keep_what_arrow_drops(frame):
    back = there_and_back(frame)
    pd.testing.assert_frame_equal(back, frame, check_exact=True, check_column_type=False, check_freq=True)


def test_series_keep_name_index_and_frequency():
    series = pd.Series([1.5, 2.5], index=pd.date_range("2026", periods=2, freq="h"), name="s")
    pd.testing.assert_series_equal(there_and_back(series), series)
    unnamed = pd.Series(pd.array([1, None], dtype="Int64"))
    pd.testing.assert_series_equal(there_and_back(unnamed), unnamed)
    assert "kept as text" in encode(pd.Series([1], name=("a", 1))).note


def test_a_custom_calendar_loses_only_its_name():
    days = pd.date_range("2026", periods=3, freq=pd.offsets.CustomBusinessDay(holidays=["2026-01-02"]))
    back = there_and_back(pd.DataFrame({"x": [1, 2, 3]}, index=days))
    assert list(back.index) == list(days)


def test_a_process_that_never_saw_pandas_reads_all_of_it(tmp_path):
    """Arrow knows periods only once pandas has told it; an index of them came back as numbers."""
    frame = pd.DataFrame({"p": pd.period_range("2026", periods=2, freq="M")}, index=pd.period_range("2026", periods=2))
    (tmp_path / "frame").write_bytes(encode(frame).data)
    code = "import sys, values; f = values.decode(values.Encoded(format='arrow', data=open(sys.argv[1], 'rb').read()))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(f.index.dtype, f.p.dtype)", str(tmp_path / "frame")],
        cwd=ROOT / "worker-node",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["period[D]", "period[M]"]


def test_tables_of_arrow():
    back = there_and_back(pa.table({"a": [1, 2]}))
    assert back["a"].tolist() == [1, 2]


def test_rich_objects_become_their_bundle():
    class Rich:
        def _repr_html_(self):
            return "<b>hi</b>"

        def _repr_png_(self):
            return b"png"

    bundle = decode(encode(Rich()))
    assert bundle["text/html"] == "<b>hi</b>"
    assert base64.b64decode(bundle["image/png"]) == b"png"
    assert "Rich" in bundle["text/plain"]


class TestRefs:
    def test_a_leaf_is_inline_up_to_the_limit_and_a_blob_above(self):
        blobs = {}
        assert "data" in to_ref(encode(b"x" * 64), 64, blobs.__setitem__)
        assert blobs == {}
        ref = to_ref(encode(b"x" * 65), 64, blobs.__setitem__)
        assert blobs == {ref["sha256"]: b"x" * 65}
        assert not {"data", "value"} & ref.keys()

    def test_many_small_leaves_do_not_outgrow_a_request(self):
        blobs = {}
        ref = to_ref(encode([b"%060d" % i for i in range(1000)]), 64, blobs.__setitem__)
        inline = [item for item in ref["items"] if "data" in item]
        assert sum(item["size"] for item in inline) <= 16 * 64
        assert len(blobs) == 1000 - len(inline)
        assert decode(from_ref(ref, blobs.__getitem__))[999] == b"%060d" % 999

    @pytest.mark.parametrize(
        ("ref", "says"),
        [
            ({"format": "pickle", "data": ""}, "unknown format"),
            ({"format": "bytes", "data": "!"}, "base64"),
            ({"format": "bytes"}, "without its bytes"),
            ({"format": "arrow", "value": [1]}, "without its bytes"),
            ({"format": "dict", "items": [{"format": "json", "value": 1}], "value": []}, "as many keys"),
        ],
    )
    def test_refs_that_make_no_sense(self, ref, says):
        with pytest.raises(ValueDecodingError, match=says):
            from_ref(ref, {}.__getitem__)

    def test_a_ref_that_is_too_deep(self):
        ref = {"format": "json", "value": 1}
        for _ in range(100_000):
            ref = {"format": "list", "items": [ref]}
        try:
            with pytest.raises(ValueDecodingError, match="deep"):
                from_ref(ref, {}.__getitem__)
        finally:
            while ref.get("items"):  # or its own deletion recurses
                ref = ref["items"].pop()

    def test_text_as_a_person_writes_it_by_hand(self):
        assert decode(from_ref({"format": "text", "value": "hello"}, {}.__getitem__)) == "hello"


@given(st.sampled_from(["json", "text", "arrow", "series", "npy", "mime"]), st.binary(max_size=200))
def test_garbage_is_one_kind_of_error(form, data):
    with suppress(ValueDecodingError):
        decode(Encoded(format=form, data=data))


@given(st.integers(min_value=0, max_value=2000), st.integers(min_value=1, max_value=255))
def test_flipped_bytes_of_a_table_never_crash(place, flip):
    frame = pd.DataFrame({"s": ["abc", None, "defg"], "c": pd.Categorical(["x", "y", "x"]), "n": [1, 2, 3]})
    data = bytearray(encode(frame).data)
    data[place % len(data)] ^= flip
    with suppress(ValueDecodingError):
        repr(decode(Encoded(format="arrow", data=bytes(data))))


def test_no_pickle_hides_in_arrays():
    import pickle

    payload = np.lib.format.magic(1, 0) + b"\x76\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    with pytest.raises(ValueDecodingError):
        decode(Encoded(format="npy", data=payload.ljust(128) + pickle.dumps([1])))


def test_json_that_is_not_strict_travels_as_bytes():
    ref = to_ref(encode([float("nan")]), 64, lambda *_: None)
    assert json.loads(base64.b64decode(ref["data"]))[0] != 1
    json.dumps(ref, allow_nan=False)
