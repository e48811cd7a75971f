"""Attached data arrives exactly or says that it would not; files that are wrong say where; shards keep every row."""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadg_kernel import values
from nadg_kernel.data import Attached, attach, read_file, split_value
from nadg_kernel.data import files as data_files
from nadg_kernel.errors import DataError
from nadg_kernel.model import DataSchema, Map
from nadg_kernel.wire import INLINE_BYTES
from tests.support.frames import large_frame


class Kept(dict):
    """Blobs in memory."""

    def put(self, data):
        digest = hashlib.sha256(data).hexdigest()
        self[digest] = data
        return digest


@pytest.fixture
def blobs():
    return Kept()


def arrived(attached: Attached, blobs):
    return values.decode(values.from_ref(attached.ref, blobs.__getitem__))


def test_a_large_frame_arrives_exactly(blobs):
    frame = large_frame()
    attached = attach("rows", frame, blobs)
    assert attached.problems == ()
    assert attached.rows == attached.schema.rows == 200_000
    pd.testing.assert_frame_equal(arrived(attached, blobs), frame, check_exact=True)


def test_its_shards_are_its_rows(blobs):
    frame = large_frame(1000)
    pieces = split_value(values.encode(frame), Map(over="rows", rows=300))
    decoded = [values.decode(piece) for piece in pieces]
    assert [len(piece) for piece in decoded] == [300, 300, 300, 100]
    pd.testing.assert_frame_equal(decoded[1], frame.iloc[300:600], check_exact=True)
    pd.testing.assert_frame_equal(pd.concat(decoded), frame, check_exact=True)


def test_the_schema_is_what_pandas_prints_and_text_is_str(blobs):
    frame = pd.DataFrame(
        {
            "a": pd.Series(["x", None], dtype=object),
            "b": pd.Series(["x", None], dtype="string"),
            "c": ["x", "y"],
            "d": pd.array([1, None], dtype="Int64"),
            "e": pd.Series([b"x", b"y"], dtype=object),
            "f": [1.0, 2.0],
        }
    )
    attached = attach("f", frame, blobs)
    assert attached.schema.kind == "frame"
    assert attached.schema.columns == ("a", "b", "c", "d", "e", "f")
    assert attached.schema.dtypes == ("str", "str", "str", "Int64", "object", "float64")


def exactly_or_a_problem(frame):
    blobs = Kept()
    attached = attach("f", frame, blobs)
    blocking = [problem for problem in attached.problems if problem.blocks]
    if blocking:
        return [problem.message for problem in blocking]
    pd.testing.assert_frame_equal(arrived(attached, blobs), frame, check_exact=True, check_column_type=False)
    return []


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ([[1], [2, 3]], "holds list"),
        ([{"a": 1}, {"b": 2}], "Python objects"),
        ([{1}, {2}], "holds set"),
        (pd.arrays.SparseArray([0, 1]), "Sparse"),
        ([1j, 2j], "complex"),
        (pd.Series(["a", 1], dtype=object), "column x"),
        (pd.Series([1, None], dtype=object), "would arrive as float64"),
        (pd.Series([pd.Timestamp("2026"), None], dtype=object), "would arrive as datetime64"),
        (pd.Series([2**70, 1], dtype=object), "Arrow"),
        (pd.Categorical(pd.period_range("2026", periods=2, freq="M")), "type"),
        (pd.Series(["a\ud800", "b"], dtype=object), "surrogates"),
        (pd.Series([decimal.Decimal("1.50"), None], dtype=object), None),
        (pd.Series([dt.date(2026, 1, 1), None], dtype=object), None),
        (pd.Series([dt.time(1, 2), None], dtype=object), None),
        (pd.Series([True, None], dtype=object), None),
        (np.array([1, 2], dtype="float16"), None),
        (np.array([2**63, 1], dtype="uint64"), None),
        (pd.array([1, None], dtype="int64[pyarrow]"), None),
        (np.array(["2026", "NaT"], dtype="M8[s]"), None),
        (pd.to_datetime(["2026-01-01T00:00+01:00"] * 2), None),
    ],
)
def test_a_column_arrives_exactly_or_blocks(column, says):
    found = exactly_or_a_problem(pd.DataFrame({"x": column}))
    if says is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith("f: ")
        assert says in found[0]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame([[1, 2]], columns=["a", 7]),
        pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_arrays([pd.array([1, None], dtype="Int64"), ["a", "b"]])),
        pd.DataFrame({"a": [1, 2]}, index=pd.Index([(1, 2), "x"], dtype=object)),
        type("Special", (pd.DataFrame,), {})({"a": [1]}),
    ],
    ids=["same label", "mixed labels", "gap in a level", "mixed index", "subclass"],
)
def test_frames_that_would_change_block(frame):
    assert exactly_or_a_problem(frame)


class TestOtherValues:
    @pytest.mark.parametrize(
        ("value", "schema"),
        [
            ("a text, not a path", DataSchema(kind="text", size=20)),
            (b"\x00\x01", DataSchema(kind="bytes", size=2)),
            ({"a": [1, None]}, DataSchema(kind="json", rows=1, size=14)),
            ([1, 2, 3], DataSchema(kind="json", rows=3, size=7)),
            (7, DataSchema(kind="json", size=1)),
        ],
    )
    def test_arrive_with_their_schema(self, value, schema, blobs):
        attached = attach("x", value, blobs)
        assert attached.schema == schema
        assert attached.problems == ()
        assert arrived(attached, blobs) == value

    def test_arrays_and_series(self, blobs):
        array = attach("a", np.arange(6, dtype="int16").reshape(3, 2), blobs)
        assert array.schema == DataSchema(kind="array", dtypes=("int16",), rows=3, size=array.schema.size)
        assert arrived(array, blobs).shape == (3, 2)
        series = attach("s", pd.Series([1, 2], name="n"), blobs)
        assert (series.schema.kind, series.schema.columns, series.schema.dtypes) == ("array", ("n",), ("int64",))
        assert attach("i", pd.Index(["a"]), blobs).schema.dtypes == ("str",)
        assert attach("z", np.array(1.5), blobs).rows is None

    @pytest.mark.parametrize(
        ("value", "says"),
        [
            ({1: "a"}, "lossless"),
            ({1, 2}, "lossless"),
            (np.array([object()]), "Python objects"),
            ([{"deep": [{3, 4}]}], "item 0: item 'deep': item 0: kept as text"),
            (pd.Series([[1]]), "the series"),
        ],
    )
    def test_what_would_change_blocks(self, value, says, blobs):
        attached = attach("x", value, blobs)
        assert any(says in problem.message and problem.blocks for problem in attached.problems)
        values.from_ref(attached.ref, blobs.__getitem__)

    def test_a_figure_is_not_its_data(self, blobs):
        import plotly.graph_objects as go

        (problem,) = attach("chart", go.Figure(), blobs).problems
        assert "picture" in problem.message

    def test_an_empty_frame_is_said_and_does_not_block(self, blobs):
        (problem,) = attach("x", pd.DataFrame({"a": []}), blobs).problems
        assert "no rows" in problem.message
        assert not problem.blocks

    def test_small_ones_are_inline_and_large_ones_in_the_blobs(self, blobs):
        attach("x", "a" * (INLINE_BYTES - 2), blobs)
        assert not blobs
        attached = attach("x", "a" * INLINE_BYTES, blobs)
        assert list(blobs) == [attached.ref["sha256"]]
        assert "aaa" not in repr(attached)


class TestPaths:
    def test_text_is_a_path_only_where_it_looks_like_one(self, blobs, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "reviews.csv").write_text("a,b\n1,2\n")
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "note.txt").write_text("hello")
        assert attach("x", "reviews.csv", blobs).schema.kind == "frame"
        assert attach("x", tmp_path / "reviews.csv", blobs).schema.kind == "frame"
        assert attach("x", "./sub", blobs).schema.kind == "folder"
        assert attach("x", "sub/note.txt", blobs).schema.kind == "text"
        for text in ("sub", "see reviews.csv", "and/or", "https://example.org/x.csv", "a\nb.csv", ""):
            attached = attach("x", text, blobs)
            assert (attached.schema.kind, arrived(attached, blobs)) == ("text", text)
        with pytest.raises(DataError, match="no such file"):
            attach("x", "missing.csv", blobs)


class TestFiles:
    def read(self, tmp_path, name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_file(path)

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.csv", "a,b\n1,x\n2,y\n"),
            ("a.csv", "a,b\r\n1,x\r\n2,y"),
            ("a.csv", "\ufeffa,b\n1,x\n\n2,y\n\n"),
            ("a.csv", "a;b\n1;x\n2;y\n"),
            ("a.tsv", "a\tb\n1\tx\n2\ty\n"),
            ("a.JSON", '[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]'),
            ("a.jsonl", '{"a": 1, "b": "x"}\n\n{"a": 2, "b": "y"}\n'),
        ],
    )
    def test_tables(self, tmp_path, name, content):
        frame = self.read(tmp_path, name, content)
        assert frame.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}

    def test_parquet(self, tmp_path, blobs):
        frame = large_frame(100).drop(columns="month")
        frame.to_parquet(tmp_path / "a.parquet")
        pd.testing.assert_frame_equal(read_file(tmp_path / "a.parquet"), frame, check_freq=False)

    def test_quoted_newlines_and_long_fields(self, tmp_path):
        frame = self.read(tmp_path, "a.csv", 'a,b\n1,"two\nlines, and ""quotes"""\n2,' + "x" * 200_000 + "\n")
        assert frame.b[0] == 'two\nlines, and "quotes"'
        assert len(frame.b[1]) == 200_000

    def test_whole_numbers_with_gaps_stay_whole(self, tmp_path):
        frame = self.read(tmp_path, "a.jsonl", '{"n": 9007199254740993}\n{"n": null}\n{}')
        assert str(frame.n.dtype) == "Int64"
        assert frame.n[0] == 9007199254740993

    def test_json_that_is_no_table_stays_json(self, tmp_path):
        assert self.read(tmp_path, "a.json", '{"a": [1]}') == {"a": [1]}
        assert self.read(tmp_path, "a.json", '[{"a": [1]}, 2]') == [{"a": [1]}, 2]
        assert self.read(tmp_path, "b.jsonl", "1\n[2]") == [1, [2]]

    def test_text(self, tmp_path):
        assert self.read(tmp_path, "a.md", "# hé\n") == "# hé\n"

    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("a.csv", b"", "is empty"),
            ("a.txt", b" \n\n", "is empty"),
            ("a.csv", "a,b\n", r"header \(a, b\) and no rows"),
            ("a.csv", "a,b\nr\xe9sum\xe9,2\n".encode("latin-1"), r"byte 5 \(line 2\) is 0xe9.*iconv"),
            ("a.txt", "é".encode("utf-8-sig") + b"\xff", "byte 5 "),
            ("a.csv", "a,b\n1,2\n".encode("utf-16"), "utf-16"),
            ("a.csv", "a,b\n1,2\n3,4,5\n", "line 3 has 3 fields, the header has 2"),
            ("a.csv", "a,b\n1,2\n\n3\n", "line 4 has 1 field, the header has 2"),
            ("a.csv", 'a,b\n"x\ny",2\n3\n', "line 4 has 1 field"),
            ("a.csv", 'a,b\n1,2\n3,"open\n', "line 3: unexpected end"),
            ("a.json", '{"a": 1,\n}', "line 2"),
            ("a.json", "[" * 100_000, "cannot be read"),
            ("a.jsonl", '{"a": 1}\n{"a"\n', "line 2"),
            ("a.parquet", b"not parquet", "Parquet"),
            ("a.xlsx", b"PK", r"'\.xlsx'.*\.csv.*attach the value"),
            ("noname", b"x", "without a suffix"),
        ],
    )
    def test_what_is_wrong_is_said_with_its_place(self, tmp_path, name, content, says):
        with pytest.raises(DataError, match=says) as caught:
            self.read(tmp_path, name, content)
        assert str(tmp_path / name) in str(caught.value)

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(DataError, match="no such file"):
            read_file(tmp_path / "nothing.csv")
        with pytest.raises(DataError, match="no such file"):
            read_file(tmp_path / "nothing")


class TestFolders:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr(data_files, "FOLDER_FILE_BYTES", 100)
        monkeypatch.setattr(data_files, "FOLDER_BYTES", 150)
        (tmp_path / "in" / "deep").mkdir(parents=True)
        (tmp_path / "in" / "a.txt").write_text("text")
        (tmp_path / "in" / "deep" / "b.bin").write_bytes(b"\x00\xff")
        (tmp_path / "in" / ".hidden").write_text("secret")
        (tmp_path / "in" / "huge.txt").write_text("x" * 101)
        return tmp_path / "in"

    def test_files_by_path_and_what_was_left_out(self, folder, blobs):
        attached = attach("docs", folder, blobs)
        assert arrived(attached, blobs) == {"a.txt": "text", "deep/b.bin": b"\x00\xff"}
        assert (attached.schema.kind, attached.rows) == ("folder", 2)
        said = " ".join(problem.message for problem in attached.problems)
        assert "left out .hidden: hidden" in said
        assert "left out huge.txt: larger than" in said
        assert not any(problem.blocks for problem in attached.problems)

    def test_links_are_not_followed(self, folder, blobs):
        outside = folder.parent / "outside.txt"
        outside.write_text("elsewhere")
        (folder / "link.txt").symlink_to(outside)
        (folder / "loop").symlink_to(folder)
        attached = attach("docs", folder, blobs)
        assert set(arrived(attached, blobs)) == {"a.txt", "deep/b.bin"}

    def test_the_whole_is_bounded(self, folder, blobs):
        for name in "cd":
            (folder / f"{name}.txt").write_text(name * 90)
        attached = attach("docs", folder, blobs)
        assert "d.txt" not in arrived(attached, blobs)
        assert any("d.txt: the folder is larger" in problem.message for problem in attached.problems)

    def test_nothing_to_send(self, tmp_path):
        with pytest.raises(DataError, match="without files"):
            read_file(tmp_path)

    def test_a_pipe_in_a_folder_does_not_hang(self, folder, blobs):
        if hasattr(os, "mkfifo"):
            os.mkfifo(folder / "pipe")
        assert set(arrived(attach("docs", folder, blobs), blobs)) == {"a.txt", "deep/b.bin"}


def pieces_of(value, **over):
    return [values.decode(piece) for piece in split_value(values.encode(value), Map(over="x", **over))]


class TestShards:
    @given(st.integers(0, 40), st.integers(1, 50))
    def test_a_count_of_shards(self, rows, shards):
        pieces = pieces_of(pd.DataFrame({"a": range(rows)}), shards=shards)
        assert len(pieces) == max(1, min(rows, shards))
        sizes = [len(piece) for piece in pieces]
        assert max(sizes) - min(sizes) <= 1
        pd.testing.assert_frame_equal(pd.concat(pieces), pd.DataFrame({"a": range(rows)}), check_index_type=False)

    @given(st.lists(st.integers()), st.integers(1, 50))
    def test_rows_in_a_shard(self, items, rows):
        pieces = pieces_of(items, rows=rows)
        assert [item for piece in pieces for item in piece] == items
        assert all(len(piece) == rows for piece in pieces[:-1])
        assert len(pieces) == max(1, -(-len(items) // rows))

    @pytest.mark.parametrize(
        "value",
        [
            [b"a", 1, None, {"x": b"y"}],
            {"a": 1, "b": 2, "c": 3},
            {"a": b"1", "b": "2", "c": 3},
            np.arange(12).reshape(4, 3),
            pd.Series(pd.array([1, None, 3], dtype="Int64"), name="s"),
            pd.DataFrame({"a": [1, 2, 3, 4]}, index=pd.RangeIndex(20, 12, -2, name="r")),
            pd.DataFrame({"a": [1, 2, 3]}, index=pd.date_range("2026", periods=3, freq="D")),
            pd.DataFrame({"a": pd.Categorical(["x", "y", "x"], categories=["y", "x", "z"], ordered=True)}),
        ],
        ids=str,
    )
    def test_every_kind_keeps_all_of_it(self, value):
        pieces = pieces_of(value, shards=2)
        assert len(pieces) == 2
        assert all(type(piece) is type(value) for piece in pieces)
        if isinstance(value, list):
            assert pieces[0] + pieces[1] == value
        elif isinstance(value, dict):
            assert pieces[0] | pieces[1] == value
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(np.concatenate(pieces), value)
        else:
            expected = [value.iloc[: -(-len(value) // 2)], value.iloc[-(-len(value) // 2) :]]
            compare = pd.testing.assert_frame_equal if value.ndim == 2 else pd.testing.assert_series_equal
            for piece, part in zip(pieces, expected, strict=True):
                compare(piece, part, **({"check_column_type": False} if value.ndim == 2 else {}))

    @pytest.mark.parametrize(
        "value", ["text", b"bytes", 7, None, np.array(3), [], {}, pd.DataFrame({"a": []}), pd.DataFrame(index=range(5))]
    )
    def test_what_cannot_be_split_is_one_shard(self, value):
        assert len(split_value(values.encode(value), Map(over="x", shards=3))) == 1

    def test_a_shard_holds_its_own_rows_only(self):
        encoded = values.encode(pd.DataFrame({"a": np.arange(100_000)}))
        pieces = split_value(encoded, Map(over="x", shards=100))
        assert sum(piece.size for piece in pieces) < 1.5 * encoded.size
        assert len({piece.digest() for piece in pieces}) == 100

    def test_broken_bytes(self):
        with pytest.raises(values.ValueDecodingError):
            split_value(values.Encoded(format="arrow", data=b"nonsense"), Map(over="x", shards=3))
