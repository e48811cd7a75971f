"""Code that lies, floods or breaks its channel gets a clear end, and the next task does not notice."""

from __future__ import annotations

import textwrap

import pytest

from sandbox.recorder import Bounds

pytestmark = pytest.mark.asyncio(loop_scope="module")

# A task's own copy of the framing, to send what the worker's code would not: FRAME(kind, payload), on the channel FD.
FORGE = """
import json, os, struct
FD = 3
def FRAME(kind, payload, length=None):
    os.write(FD, struct.pack('>IB', len(payload) if length is None else length, kind) + payload)
"""

FORGED = {
    "an unknown kind": ("FRAME(99, b'x')", "unknown kind"),
    "a kind that only a worker sends": ("FRAME(1, b'{}')", "unknown kind"),
    "a length of four gigabytes": ("FRAME(14, b'', 0xffffffff)", "are allowed"),
    "an end that is no JSON": ("FRAME(14, b'\\xff\\xfe')", "no JSON"),
    "an end that is a list": ("FRAME(14, b'[]')", "no object"),
    "a number that is none": ('FRAME(10, b\'{"fraction": NaN, "text": ""}\')', "no JSON"),
    "a fraction of seven": ('FRAME(10, b\'{"fraction": 7, "text": ""}\')', "fraction"),
    "JSON nested too deeply": ("FRAME(14, b'[' * 100_000)", "no JSON"),
    "a result of an unknown format": ('FRAME(14, b\'{"ok": true, "result": {"format": "pickle"}}\')', "a value"),
    # A value that its decoder would have to recurse into.
    "a result nested too deeply": (
        """
v = {'format': 'json', 'value': 1}
for _ in range(400): v = {'format': 'list', 'items': [v]}
FRAME(14, json.dumps({'ok': True, 'result': v}).encode())
""",
        "a value",
    ),
    "a result whose bytes never came": (
        """
ref = {'format': 'npy', 'sha256': 'a' * 64, 'size': 1 << 20}
FRAME(14, json.dumps({'ok': True, 'result': ref}).encode())
""",
        "without its bytes",
    ),
    "a large value without its hash": (
        "FRAME(14, json.dumps({'ok': True, 'result': {'format': 'json', 'value': 'x' * 100_000}}).encode())",
        "without its hash",
    ),
    "bytes under a wrong hash": ("FRAME(12, b'a' * 64 + b'x')", "hash"),
    "bytes under no hash": ("FRAME(12, b'\\xff')", "hash"),
    "a display that is no bundle": ('FRAME(11, b\'{"format": "json", "value": 1}\')', "MIME"),
    "more after the end": (
        "FRAME(14, b'{\"ok\": true}'); FRAME(10, b'{}'); import time; time.sleep(5)",
        "after its end",
    ),
    "an error that is none": ('FRAME(14, b\'{"ok": false, "error": 5}\')', "an end"),
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_frame_ends_the_task(forked, name):
    code, message = FORGED[name]
    tried = await forked.run(FORGE + code + "\nimport time\ntime.sleep(10)")
    assert tried.outcome == "failed"
    assert tried.detail.type == "ChannelError"
    assert message in tried.detail.message
    assert tried.ended.result is None
    assert (await forked.run("result = 1")).result == 1


async def test_a_forged_end_is_believed_only_about_the_task_itself(forked):
    tried = await forked.run(FORGE + "FRAME(14, b'{\"ok\": true}')\nimport time\ntime.sleep(20)")
    assert tried.outcome == "succeeded"
    assert tried.ended.usage.seconds < 10
    assert tried.ended.result is None


STRANGE = {
    "the channel closed": ("import os, time\nos.close(3)\ntime.sleep(20)", "failed", "closed the channel"),
    "every descriptor closed": ("import os, time\nos.closerange(0, 100)\ntime.sleep(20)", "failed", ""),
    "the channel replaced": ("import os\nos.dup2(os.open('/dev/null', os.O_RDWR), 3)\nresult = 1", "failed", ""),
    "json patched": ("import json\njson.dumps = lambda *a, **k: 'no'\nresult = [1]", "failed", ""),
    "builtins emptied": ("import builtins\nbuiltins.__dict__.clear()", "failed", ""),
    "modules emptied": ("import sys\nsys.modules.clear()\nresult = 1", None, ""),
    "stdout closed": ("import sys\nsys.stdout.close()\nresult = 1", "succeeded", ""),
    "stdout replaced": ("import sys\nsys.stdout = None\nresult = 1", "succeeded", ""),
    "a repr that raises": ("class A:\n  def __repr__(self): raise KeyError('no')\nresult = A()", "failed", ""),
    "a repr that ends the program": ("class A:\n  def __repr__(self): raise SystemExit(0)\nresult = A()", None, ""),
    "a repr that is endless": ("class A:\n  def __repr__(self):\n    while True: pass\nresult = A()", "timed_out", ""),
    "a repr that is huge": ("class A:\n  def __repr__(self): return 'x' * (1 << 24)\nresult = A()", "succeeded", ""),
    "a result that contains itself": ("result = []\nresult.append(result)", "failed", "contains itself"),
    "a result nested deeply": ("result = []\nfor _ in range(100000): result = [result]", "failed", "nested"),
    "NUL bytes": ("x = 1\0", "failed", "null byte"),
    "half a character": ("result = '\ud800'", None, ""),
    "code that is very deep": ("(" * 5000 + ")" * 5000, "failed", ""),
    "a NULL pointer": ("import ctypes\nctypes.string_at(0)", "failed", "SIGSEGV"),
    "killing itself": ("import os\nos.kill(os.getpid(), 9)", "failed", "SIGKILL"),
    "abort": ("import os\nos.abort()", "failed", "SIGABRT"),
    "ending the process": ("import os\nos._exit(217)", "failed", "before it handed back"),
    "recursion in C": ("import sys\nsys.setrecursionlimit(1 << 30)\ndef f(): f()\nf()", None, ""),
    "signals ignored": (
        """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    pass
""",
        "timed_out",
        "",
    ),
    "stopping itself": ("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", "timed_out", ""),
    "an exception that cannot be made": ("class E(Exception):\n  def __init__(s): 1/0\nraise E", "failed", "division"),
    "an exit that prints": ("import atexit\natexit.register(print, 'bye')\nresult = 1", "succeeded", ""),
    "a thread that lives on": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(50,)).start()",
        None,
        "",
    ),
}


@pytest.mark.parametrize("name", STRANGE)
async def test_strange_code_has_a_clear_end(forked, name):
    code, outcome, message = STRANGE[name]
    tried = await forked.run(code, timeout_s=2)
    assert tried.outcome in ({outcome} if outcome else {"succeeded", "failed", "timed_out"})
    if outcome == "failed":
        assert message in tried.detail.message + tried.detail.traceback
        assert tried.detail.type
    after = await forked.run("import json, os\nresult = [json.dumps([1]), os.getcwd()]")
    assert after.outcome == "succeeded"


FLOODS = {
    "stdout": ("print('x' * (8 << 20))", "stdout"),
    "stdout without an end": ("import sys\nwhile True: sys.stdout.write('x' * 65536)", "stdout"),
    "stderr behind Python's back": ("import os\nwhile True: os.write(2, b'x' * 65536)", "stderr"),
    "displays": (
        "class A:\n  def _repr_html_(self): return 'x' * 60_000\nfor _ in range(400): display(A())",
        "displays",
    ),
    "progress": ("for i in range(300_000): progress(0.5, str(i))", None),
    "events by force": (FORGE + 'for i in range(30_000): FRAME(11, b\'{"format": "mime", "value": {}}\')', "events"),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_is_cut(forked, name):
    code, cut = FLOODS[name]
    tried = await forked.run(code, timeout_s=4, output_kb=64)
    assert sum(len(str(data)) for _, data in tried.events) < 40 << 20
    assert len(tried.events) < 11_000
    if cut:
        assert cut in tried.ended.truncated
    assert (await forked.run("result = 1")).result == 1


BOUNDS = Bounds(
    result_bytes=1 << 20, message_bytes=1 << 20, display_bytes=1 << 20, artifacts=20, artifact_bytes=1 << 20
)
TOO_MUCH = {
    "a result": ("result = 'x' * (2 << 20)", "failed", "limit"),
    "results in pieces": ("import array\nresult = [bytes([n]) * 200_000 for n in range(8)]", "failed", "more than"),
    "a result of many small things": ("result = ['x' * 1000 for _ in range(2000)]", "failed", ""),
    "bytes by force": (FORGE + "for _ in range(3): FRAME(12, b'a' * 64 + bytes(600_000))", "failed", "more than"),
}


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_too_much_is_refused(box_of, name):
    from sandbox.forkserver import ForkServer

    sandbox = ForkServer(preload=(), capacity=1, bounds=BOUNDS)
    await sandbox.start()
    try:
        code, outcome, message = TOO_MUCH[name]
        tried = await box_of(sandbox).run(code)
        assert tried.outcome == outcome, tried
        assert message in tried.detail.message
        assert sum(map(len, tried.kept.values())) <= BOUNDS.result_bytes
    finally:
        await sandbox.close()


async def test_artifacts_are_bounded_and_sanitised(box_of):
    from sandbox.forkserver import ForkServer

    code = textwrap.dedent("""
        import os
        os.mkfifo('pipe')
        os.symlink('/etc/passwd', 'link')
        os.symlink('..', 'up')
        open('a', 'w').write('1'); os.link('a', 'b')
        for name in ('new\\nline', '..hidden..', 'back\\\\slash', 'c:', ' space', '\\u202eflipped', 'x' * 200 + '/' ):
            try:
                open(name.rstrip('/'), 'w').write('1')
            except OSError:
                pass
        open(b'\\xff', 'w').write('1')
        os.makedirs('/'.join('d' * 20)); open('/'.join('d' * 20) + '/deep', 'w').write('1')
        open('large', 'wb').write(bytes(2 << 20))
        for n in range(22): open(f'fine{n}', 'w').write('1')
    """)
    sandbox = ForkServer(preload=(), capacity=1, bounds=BOUNDS)
    await sandbox.start()
    try:
        tried = await box_of(sandbox).run(code)
        assert tried.outcome == "succeeded", tried.detail
        assert len(tried.artifacts) <= BOUNDS.artifacts
        assert all(name.startswith(("fine", "xxxx")) for name in tried.artifacts), tried.artifacts
        notes = " ".join(tried.ended.notes)
        for reason in ("a link", "not a regular file", "several names", "deeper", "more than", "cannot be shown"):
            assert reason in notes, (reason, notes)
        assert "\n" not in notes
        tried = await box_of(sandbox).run("open('large', 'wb').write(bytes(2 << 20))")
        assert "bytes in all" in tried.ended.notes[0]
    finally:
        await sandbox.close()
