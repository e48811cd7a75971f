"""`nadg deploy` and its siblings as a person types them: what is asked, printed, and given back to a script."""

from __future__ import annotations

import pytest

from nadg_kernel.cli import deploy as cli_deploy
from nadg_kernel.cli import main
from nadg_kernel.cli.codes import Code
from nadg_kernel.deploy.waiting import Pace
from tests.support.fake_hub import TOKEN, FakeHub

from .conftest import SECRET

NAME = "ann/worker-1"


@pytest.fixture(autouse=True)
def person(monkeypatch, tmp_path):
    monkeypatch.setenv("NADG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NADG_GRID_SECRET", SECRET)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(cli_deploy, "Pace", lambda **more: Pace(look=0.01, **more))


@pytest.fixture
def hub(monkeypatch):
    with FakeHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def nadg(capfd):
    """Run a command: (exit code, stdout, stderr), none of which ever holds a secret."""

    def run(*words):
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        assert TOKEN not in out + err
        assert SECRET not in out + err
        return code, out, err

    return run


def test_from_deployment_to_removal(nadg, hub, monkeypatch):
    monkeypatch.setenv("NADG_WORKER_MODEL_KEY", "made-up-model-key")
    words = ["--private", "--id", "w1", "--variable", "NADG_WORKER_MODEL=gemini:m", "--secret", "NADG_WORKER_MODEL_KEY"]
    code, out, err = nadg("deploy", NAME, *words, "--yes")
    space = hub.spaces[NAME]
    assert (code, out) == (Code.OK, f"w1 is ready at {space.origin}; grid.workers() shows it from the next Grid() on\n")
    assert "ann/worker-1: building" in err
    assert "made-up-model-key" not in out + err
    assert space.private
    assert space.variables == {"WORKER_ID": "w1", "NADG_WORKER_MODEL": "gemini:m"}
    assert space.secrets["NADG_WORKER_MODEL_KEY"] == "made-up-model-key"
    code, out, _ = nadg("workers", "ping", "w1")
    assert (code, "1 active" in out) == (Code.OK, True)
    assert {visit.bearer for visit in space.visits} == {f"Bearer {TOKEN}"}
    assert nadg("pause", NAME)[:2] == (
        Code.OK, "ann/worker-1 is paused: it costs nothing and takes no work until nadg wake ann/worker-1\n"
    )  # fmt: skip
    assert nadg("wake", NAME, "--no-wait")[:2] == (Code.OK, "ann/worker-1 is on its way\n")
    assert nadg("wake", NAME)[:2] == (Code.OK, "ann/worker-1 runs\n")
    space.logs["run"] = [f"line {n}\x1b[2J" for n in range(9)]
    assert nadg("logs", NAME, "--lines", 2)[:2] == (Code.OK, "line 7\nline 8\n")
    assert nadg("logs", NAME, "--build") == (Code.OK, "", "nadg: the log is empty\n")
    code, out, err = nadg("undeploy", NAME, "--yes")
    assert (code, "w1 is no longer registered" in err, hub.spaces) == (Code.OK, True, {})
    assert "no worker is registered" in nadg("workers", "list")[2]


def test_a_dry_run_needs_nothing_and_sends_nothing(nadg, hub, monkeypatch):
    for name in ("HF_TOKEN", "NADG_GRID_SECRET"):
        monkeypatch.delenv(name)
    code, out, _ = nadg("deploy", NAME, "--private", "--dry-run")
    assert code == Code.OK
    assert out.startswith(f"to {hub.url}, for {NAME}:\n  a Docker Space, private, on cpu-basic if it is new\n")
    assert "NADG_AUTH_TOKEN=***" in out
    assert out.endswith("nothing was sent: this was a dry run\n")
    assert hub.asked == []


def test_it_asks_first(nadg, hub, monkeypatch):
    code, out, err = nadg("deploy", NAME)
    assert (code, out) == (Code.BAD_INPUT, "")
    assert "--yes says so beforehand" in err
    monkeypatch.setattr(cli_deploy, "can_ask", lambda: True)
    asked = []
    monkeypatch.setattr(cli_deploy, "ask", lambda question: asked.append(question) or False)
    assert nadg("deploy", NAME, "--hardware", "t4-small")[0] == Code.BAD_INPUT
    assert nadg("undeploy", NAME)[0] == Code.BAD_INPUT
    assert asked == [
        "Deploy a worker to ann/worker-1, public if it is new, on t4-small; --dry-run shows all that is sent?",
        "Delete the Space ann/worker-1 with all its files, and forget its worker?",
    ]
    assert hub.asked == []


def test_a_weak_sandbox_is_asked_about_here_too(nadg, hub, monkeypatch):
    hub.weak = True
    code, _, err = nadg("deploy", NAME, "--yes")
    assert (code, "--allow-weak" in err) == (Code.BAD_INPUT, True)
    monkeypatch.setattr(cli_deploy, "can_ask", lambda: True)
    asked = []
    monkeypatch.setattr(cli_deploy, "ask", lambda question: not asked.append(question))
    assert nadg("deploy", NAME, "--yes")[0] == Code.OK
    assert "landlock (unavailable: the kernel is too old). Let it run code nevertheless?" in asked[0]


@pytest.mark.parametrize(
    ("words", "unset", "told"),
    [
        (["deploy", NAME, "--yes"], "HF_TOKEN", "HF_TOKEN is not set: make a token that may write at"),
        (["deploy", NAME, "--yes"], "NADG_GRID_SECRET", "NADG_GRID_SECRET is not set"),
        (["undeploy", NAME, "--yes"], "HF_TOKEN", "HF_TOKEN is not set"),
        (["logs", NAME], "HF_TOKEN", "HF_TOKEN is not set"),
        (["deploy", "just-a-name", "--yes"], "", "write user/space"),
        (["deploy", NAME, "--variable", "x"], "", "--variable is NAME=VALUE, not 'x'"),
        (["deploy", NAME, "--secret", "NADG_WORKER_MODEL_KEY"], "", "NADG_WORKER_MODEL_KEY is not set here"),
        (["pause", NAME], "", "the Hub knows no Space ann/worker-1"),
        (["logs", NAME], "", "the Hub knows no Space ann/worker-1"),
    ],
)
def test_one_line_says_what_is_wrong(nadg, hub, monkeypatch, words, unset, told):
    if unset:
        monkeypatch.delenv(unset)
    code, out, err = nadg(*words)
    assert (code, out) == (Code.BAD_INPUT, "")
    assert told in err
    assert err.count("\n") == 1
    assert hub.paths("POST") == []


def test_a_failed_build_ends_with_its_log(nadg, hub):
    hub.build = ["BUILDING", "BUILD_ERROR"]
    hub.add(NAME, variables={"WORKER_ID": "w"}).logs["build"] = ["pip says no"]
    code, _, err = nadg("deploy", NAME, "--yes")
    assert (code, "pip says no" in err) == (Code.BAD_INPUT, True)
