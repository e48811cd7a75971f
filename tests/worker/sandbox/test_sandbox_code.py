"""What works inside a task, and how its errors read."""

from __future__ import annotations

import sys
import textwrap

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORKS = {
    "inspect.getsource of a function": """
        import inspect
        def f(a):
            return a + 1
        result = inspect.getsource(f)
        assert result == 'def f(a):\\n    return a + 1\\n', result
        """,
    "inspect.getsource of a class": """
        import inspect
        class C:
            x = 1
        assert inspect.getsource(C) == 'class C:\\n    x = 1\\n'
        """,
    "traceback with source lines": """
        import traceback
        def g():
            1 / 0
        try:
            g()
        except ZeroDivisionError:
            text = traceback.format_exc()
        assert '1 / 0' in text and 'line 3, in g' in text, text
        """,
    "dataclasses, pickle and typing of the task's own classes": """
        import dataclasses, pickle, typing
        @dataclasses.dataclass(slots=True)
        class Point:
            x: int
            y: 'int' = 2
        assert pickle.loads(pickle.dumps(Point(1))) == Point(1, 2)
        assert typing.get_type_hints(Point)['y'] is int
        assert __name__ == '__main__'
        """,
    "threads": """
        import threading, queue
        q = queue.Queue()
        threads = [threading.Thread(target=q.put, args=(n,)) for n in range(20)]
        [t.start() for t in threads]; [t.join() for t in threads]
        assert q.qsize() == 20
        """,
    "thread pool": """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(abs, range(-9, 0))) == list(range(9, 0, -1))
        """,
    "asyncio": """
        import asyncio
        async def main():
            await asyncio.sleep(0.001)
            return await asyncio.to_thread(lambda: 5)
        assert asyncio.run(main()) == 5
        """,
    "sqlite3": """
        import sqlite3
        db = sqlite3.connect('x.db')
        db.execute('pragma journal_mode=wal')
        with db: db.execute('create table t(a)'); db.execute('insert into t values (1)')
        assert db.execute('select a from t').fetchall() == [(1,)]
        db.close()
        """,
    "tempfile": """
        import tempfile, os
        with tempfile.NamedTemporaryFile() as f, tempfile.TemporaryDirectory() as d, tempfile.TemporaryFile() as g:
            f.write(b'x'); g.write(b'y'); open(os.path.join(d, 'z'), 'w').close()
        """,
    "matplotlib": """
        import matplotlib.pyplot as plt
        fig, ax = plt.subplots()
        ax.plot([1, 2, 3])
        fig.savefig('plot.png')
        display(fig)
        """,
    "ssl": "import ssl; ssl.create_default_context(); import hashlib, uuid, secrets; secrets.token_hex(); uuid.uuid4()",
    "numpy": "import numpy as np; assert (np.eye(50) @ np.ones(50)).sum() == 50; np.linalg.svd(np.random.rand(60, 60))",
    "pandas": """
        import pandas as pd
        df = pd.DataFrame({'a': [1, 2, 2], 't': pd.to_datetime(['2026-01-01'] * 3).tz_localize('Europe/Berlin')})
        assert df.groupby('a').size().tolist() == [1, 2]
        df.to_csv('x.csv'); df.to_parquet('x.parquet')
        assert pd.read_parquet('x.parquet').equals(df)
        """,
    "plotly": """
        import plotly.express as px
        display(px.bar(x=[1, 2], y=[3, 4]))
        """,
    "vaderSentiment": """
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
        assert SentimentIntensityAnalyzer().polarity_scores('I love it')['compound'] > 0.5
        """,
    "shutil.copy and zip": """
        import shutil, zipfile, os
        open('a', 'w').write('x'); shutil.copy('a', 'b'); shutil.copy2('a', 'c')
        with zipfile.ZipFile('z.zip', 'w') as z: z.write('a')
        shutil.unpack_archive('z.zip', 'out'); shutil.rmtree('out')
        os.rename('b', 'd'); os.replace('d', 'e')
        """,
    "importing an attached module": "import beside; assert beside.VALUE == 3",
    "a module called as one of the worker's own": "import values; assert values.MINE",
    "future annotations of ours do not leak in": "def f(a: int): ...\nassert f.__annotations__['a'] is int",
}
FILES = {"beside.py": b"VALUE = 3\n", "values.py": b"MINE = True\n"}


@pytest.mark.parametrize("name", WORKS)
async def test_it_works_inside(box, name):
    tried = await box.run(textwrap.dedent(WORKS[name]).lstrip("\n"), files=FILES, timeout_s=60)
    assert tried.outcome == "succeeded", tried.ended.detail.traceback + tried.stderr


async def test_an_error_shows_the_persons_frames_only(box):
    code = "import json\n\ndef load(text):\n    return json.loads(text)\n\nload('{')\n"
    detail = (await box.run(code)).detail
    assert detail.type == "json.decoder.JSONDecodeError"
    assert detail.line == 4
    assert 'File "<task>", line 6, in <module>' in detail.traceback
    assert "return json.loads(text)" in detail.traceback
    assert "decoder.py" not in detail.traceback
    assert "task.py" not in detail.traceback


async def test_causes_keep_their_frames(box):
    code = "def f():\n    raise KeyError('k')\ntry:\n    f()\nexcept KeyError as e:\n    raise ValueError('v') from e\n"
    detail = (await box.run(code)).detail
    assert (detail.type, detail.message, detail.line) == ("ValueError", "v", 6)
    assert "direct cause" in detail.traceback
    assert "line 2, in f" in detail.traceback


async def test_a_syntax_error_has_its_line(box):
    detail = (await box.run("x = 1\ny = = 2\n")).detail
    assert (detail.type, detail.line) == ("SyntaxError", 2)
    assert "y = = 2" in detail.traceback
    assert detail.hint == ""


@pytest.mark.parametrize("text", ["Summarize the reviews in three sentences", "Please write a poem, with rhymes."])
async def test_prose_gets_a_hint(box, text):
    tried = await box.run(text)
    assert tried.outcome == "failed"
    assert "kind: prompt" in tried.detail.hint


async def test_a_missing_module_is_named(box):
    detail = (await box.run("import no_such_thing")).detail
    assert detail.type == "ModuleNotFoundError"
    assert "no_such_thing" in detail.hint


async def test_deep_recursion_is_an_error_like_any_other(box):
    detail = (await box.run("def f(): f()\nf()")).detail
    assert detail.type == "RecursionError"
    assert len(detail.traceback) < 10_000


async def test_an_exception_that_cannot_be_shown_is_still_told(box):
    code = "class E(Exception):\n  def __str__(self): raise SystemExit\n  __repr__ = __str__\nraise E\n"
    tried = await box.run(code)
    assert tried.outcome == "failed"
    assert tried.detail.type == "E"


async def test_too_much_memory_is_a_memory_error(box):
    tried = await box.run("x = bytearray(400 << 20)", memory_mb=256)
    assert tried.outcome == "failed"
    assert tried.detail.type == "MemoryError"
    assert "memory_mb" in tried.detail.hint


async def test_groups_of_exceptions(box):
    detail = (await box.run("raise ExceptionGroup('g', [ValueError('a'), TypeError('b')])")).detail
    assert "ValueError: a" in detail.traceback
    assert sys.version_info >= (3, 11)


async def test_what_libraries_do_around_a_fork_is_done_where_a_task_forks(forked):
    """Python's own generator is seeded anew in a child by a handler that `random` registered in the zygote."""
    code = """
import os, random
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, repr(random.random()).encode())
    os._exit(0)
os.wait()
result = [random.random(), float(os.read(reader, 100))]
"""
    tried = await forked.run(code, permissions={"processes": True})
    here, there = tried.result
    assert here != there
