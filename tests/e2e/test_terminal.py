"""`nadg run` with a person at the terminal: the question, the bar, and what Ctrl-C means."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from nadg_kernel import Plan

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminal here")
DEADLINE_S = 100


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, command, cwd, env):
        import pty

        self.master, slave = pty.openpty()
        self.text = ""
        self.process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)

    def _read(self, left):
        if not select.select([self.master], [], [], max(0.0, left))[0]:
            raise AssertionError(f"nothing more was said: {self.text[-3000:]!r}")
        try:
            data = os.read(self.master, 65_536)
        except OSError:  # Linux says so when the program's end is closed
            data = b""
        self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode("utf-8", "replace"))
        return bool(data)

    def until(self, words):
        """Read until the program said something."""
        deadline = time.monotonic() + DEADLINE_S
        while words not in self.text:
            assert self._read(deadline - time.monotonic()), f"it ended without {words!r}: {self.text[-3000:]!r}"

    def type(self, text):
        os.write(self.master, text.encode())

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def end(self):
        """Read to the end; gives the exit code."""
        deadline = time.monotonic() + DEADLINE_S
        while self._read(deadline - time.monotonic()):
            pass
        return self.process.wait(DEADLINE_S)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(nadg):
    opened = []

    def start(*arguments):
        env = {**os.environ, "NADG_HOME": str(nadg.home), "TERM": "xterm", "COLUMNS": "120", "NADG_LOCAL_WORKERS": "1"}
        opened.append(Terminal([sys.executable, "-m", "nadg_kernel", *arguments], nadg.folder, env))
        return opened[-1]

    yield start
    for item in opened:
        item.close()


@pytest.fixture
def slow_plan(write_plan):
    return write_plan(("slow", "import time\nprogress(0.3, 'a third')\ntime.sleep(60)\nresult = 1"))


def test_it_asks_and_shows_a_bar(terminal, write_plan, nadg):
    write_plan(("one", "progress(0.5, 'half')\nresult = 1"), ("two", 'result = inputs["one"] + 1', "one"))
    here = terminal("run", "--plan", "plan.json", "--save-plan", "approved.json")
    here.until("Approve and run this plan? [y/N] ")
    assert 'result = inputs["one"] + 1' in here.text, "what is approved is shown"
    here.type("y\n")
    assert here.end() == 0
    assert "2 of 2" in here.text
    assert "\u2501" in here.text, "the bar"
    assert Plan.load(nadg.folder / "approved.json").approved


def test_no_is_no(terminal, write_plan):
    write_plan(("one", "result = 1"))
    here = terminal("run", "--plan", "plan.json")
    here.until("[y/N] ")
    here.type("\n")
    assert here.end() == 2
    assert "not approved, nothing ran" in here.text


def test_ctrl_c_asks_and_yes_cancels(terminal, slow_plan):
    here = terminal("run", "--plan", "plan.json", "--approve")
    here.until("a third")
    here.interrupt()
    here.until("Cancel the run?")
    here.type("y\n")
    assert here.end() == 1
    assert "slow cancelled" in here.text


def test_ctrl_c_twice_leaves_the_run_to_be_resumed(terminal, slow_plan, nadg):
    here = terminal("run", "--plan", "plan.json", "--approve")
    here.until("a third")
    here.interrupt()
    here.until("Cancel the run?")
    here.interrupt()
    assert here.end() == 130
    assert re.search(r"left run (\S+) as it is; `nadg resume \1` goes on with it", here.text)
    assert "Traceback" not in here.text


def test_without_a_terminal_ctrl_c_cancels(nadg, slow_plan):
    env = {**os.environ, "NADG_HOME": str(nadg.home), "NADG_LOCAL_WORKERS": "1"}
    command = [sys.executable, "-m", "nadg_kernel", "run", "--plan", "plan.json", "--approve"]
    with subprocess.Popen(
        command,
        cwd=nadg.folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if line.startswith("running"):
                process.send_signal(signal.SIGINT)
                break
        _out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert "slow cancelled" in err
    assert "Traceback" not in err
