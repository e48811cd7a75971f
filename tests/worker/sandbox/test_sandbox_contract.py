"""What every back end does for a task and with its output."""

from __future__ import annotations

import asyncio
import json
import math

import numpy as np
import pandas as pd
import pytest

from wire import INLINE_BYTES

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_result_and_output_come_back(box):
    tried = await box.run("print('hello')\nimport sys\nprint('oops', file=sys.stderr)\nresult = {'n': [1, 2.5, None]}")
    assert tried.outcome == "succeeded"
    assert tried.result == {"n": [1, 2.5, None]}
    assert (tried.stdout, tried.stderr) == ("hello\n", "oops\n")
    assert tried.ended.usage.seconds > 0
    assert tried.ended.detail is None


async def test_no_result_is_no_failure(box):
    tried = await box.run("x = 1")
    assert tried.outcome == "succeeded"
    assert tried.ended.result is None


async def test_inputs_shard_and_shards_are_there(box):
    frame = pd.DataFrame({"a": np.arange(50_000), "when": pd.Timestamp("2026-01-01", tz="UTC")})
    tried = await box.run(
        "result = [inputs['frame']['a'].sum().item(), str(inputs['frame'].dtypes['when']), inputs['n'], shard, shards]",
        inputs={"frame": frame, "n": {"deep": [1]}},
        shard=(2, 5),
    )
    assert tried.result == [int(frame["a"].sum()), str(frame.dtypes["when"]), {"deep": [1]}, 2, 5]


async def test_many_large_inputs_arrive(box):
    arrays = {f"a{n}": np.full(20_000, n) for n in range(70)}
    tried = await box.run("result = [int(inputs[f'a{n}'][-1]) for n in range(70)]", inputs=arrays)
    assert tried.result == list(range(70))


async def test_a_large_result_is_kept_as_a_blob(box):
    tried = await box.run("import numpy\nresult = {'a': numpy.arange(100_000), 'b': 'x' * 100_000}")
    assert tried.outcome == "succeeded", tried
    assert tried.result["a"].sum() == sum(range(100_000))
    assert all(len(data) > INLINE_BYTES for data in tried.kept.values())


async def test_a_frame_comes_back_equal(box):
    frame = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "c": pd.Categorical(["x", "y"])}, index=["p", "q"])
    tried = await box.run("result = inputs['f']", inputs={"f": frame})
    pd.testing.assert_frame_equal(tried.result, frame)


async def test_displays_and_progress_are_events(box):
    tried = await box.run("progress(0.25, 'a quarter')\ndisplay('seen')\nprogress(1)\n")
    assert tried.of("progress")[0] == {"fraction": 0.25, "text": "a quarter"}
    assert tried.of("progress")[-1]["fraction"] == 1
    assert tried.of("display")[0]["format"] == "mime"


async def test_progress_is_no_flood(box):
    tried = await box.run("for i in range(20000):\n  progress(i / 20000)\nresult = 1")
    assert tried.result == 1
    assert len(tried.of("progress")) < 2000


async def test_progress_outside_its_range_is_cut(box):
    tried = await box.run("progress(float('nan'))\nimport time\ntime.sleep(.1)\nprogress(7)")
    assert [event["fraction"] for event in tried.of("progress")] == [0, 1]


async def test_output_arrives_while_the_task_runs(box):

    sink = box.sink()
    job = box.job("print('early', flush=True)\nimport time\nwhile True: time.sleep(1)")
    running = asyncio.ensure_future(box.run_job(job, sink))
    await sink.wait_for("stdout")
    assert not running.done()
    assert box.sandbox.cancel(job.attempt_id)
    tried = await running
    assert tried.outcome == "cancelled"
    assert tried.stdout == "early\n"
    assert not box.sandbox.cancel(job.attempt_id)


async def test_the_clock_ends_it(box):
    tried = await box.run("print('before', flush=True)\nwhile True: pass", timeout_s=0.6)
    assert tried.outcome == "timed_out"
    assert "0.6 s" in tried.detail.message
    assert tried.stdout == "before\n"


@pytest.mark.parametrize("name", ["stdout", "stderr"])
async def test_output_is_cut_at_its_limit_and_the_task_goes_on(box, name):
    code = f"import sys\nfor i in range(3000): print('x' * 999, file=sys.{name})\nresult = 'went on'"
    tried = await box.run(code, output_kb=10)
    assert tried.outcome == "succeeded"
    assert tried.result == "went on"
    assert tried.ended.truncated == (name,)
    assert len(tried.text(name)) == 10 * 1024


async def test_output_at_its_limit_exactly_is_whole(box):
    tried = await box.run("print('x' * 1023)", output_kb=1)
    assert len(tried.stdout) == 1024
    assert tried.ended.truncated == ()


async def test_bytes_that_are_no_text_become_text(box):
    code = "import sys\nsys.stdout.buffer.write(b'\\xff\\x00ok')\nprint('\\ud800')\nresult = '\\udcff'"
    tried = await box.run(code)
    assert tried.outcome == "succeeded"
    assert "ok" in tried.stdout
    assert tried.stdout.encode()
    assert json.dumps(tried.ended.result, ensure_ascii=False).encode()


@pytest.mark.parametrize("code", ["raise SystemExit", "raise SystemExit(0)", "import sys\nsys.exit()"])
async def test_exit_with_zero_is_success(box, code):
    tried = await box.run("result = 7\n" + code)
    assert tried.outcome == "succeeded"
    assert tried.result == 7


async def test_exit_with_another_code_fails(box):
    tried = await box.run("import sys\nsys.exit(3)")
    assert tried.outcome == "failed"
    assert (tried.detail.type, tried.detail.message, tried.detail.line) == (
        "SystemExit",
        "the code asked to end with status 3",
        2,
    )


async def test_ending_the_process_is_a_failure_in_words(box):
    tried = await box.run("import os\nprint('so far', flush=True)\nos._exit(0)")
    assert tried.outcome == "failed"
    assert "exit code 0" in tried.detail.message
    assert tried.stdout == "so far\n"


async def test_a_crash_names_its_signal(box):
    tried = await box.run("import os\nos.abort()")
    assert tried.outcome == "failed"
    assert "SIGABRT" in tried.detail.message


async def test_a_value_without_a_form_fails_and_names_it(box):
    tried = await box.run("import numpy\nresult = numpy.array([object()])")
    assert tried.outcome == "failed"
    assert "no lossless form" in tried.detail.message


async def test_numbers_that_json_lacks_come_back(box):
    tried = await box.run("result = [float('nan'), float('inf'), 10 ** 4000]")
    nan, inf, huge = tried.result
    assert math.isnan(nan)
    assert (inf, huge) == (math.inf, 10**4000)


async def test_artifacts_are_kept(box):
    code = """
import os
os.makedirs('deep/er')
open('deep/er/a.txt', 'w').write('A')
open('b.bin', 'wb').write(bytes(3))
os.symlink('/etc/passwd', 'link')
os.link('b.bin', 'hard')
open('bad\\n', 'w').write('x')
"""
    tried = await box.run(code)
    assert tried.artifacts == {"deep/er/a.txt": b"A"}
    assert sum("no artifact" in note for note in tried.ended.notes) == 4


async def test_input_files_lie_there_and_are_no_artifacts(box):
    tried = await box.run(
        "result = [open('in/data.txt').read(), open('other.txt').read()]\nopen('out.txt', 'w').write('new')",
        files={"in/data.txt": b"given", "other.txt": b"kept"},
    )
    assert tried.result == ["given", "kept"]
    assert tried.artifacts == {"out.txt": b"new"}


async def test_each_task_finds_an_empty_folder(box):
    await box.run("open('left', 'w').write('x')\nimport tempfile\ntempfile.mkdtemp()")
    for _ in range(6):
        tried = await box.run("import os, tempfile\nresult = os.listdir('.') + os.listdir(tempfile.gettempdir())")
        assert tried.result == []


async def test_each_task_has_its_own_randomness(box):
    code = "import random, numpy\nresult = [random.random(), float(numpy.random.rand())]"
    drawn = [tuple((await box.run(code)).result) for _ in range(3)]
    assert len(set(drawn)) == 3


async def test_the_environment_has_no_secret(box):
    tried = await box.run("import os\nresult = dict(os.environ)")
    assert not {name for name in tried.result if "TOKEN" in name or "SECRET" in name or "KEY" in name}
    assert {"HOME", "PATH", "TMPDIR"} <= set(tried.result)


async def test_eight_at_once(box):
    results = await asyncio.gather(*(box.run(f"import time\ntime.sleep(.05)\nresult = {n}") for n in range(8)))
    assert [tried.result for tried in results] == list(range(8))
