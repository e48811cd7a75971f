"""The workflows: no finding of the two linters, and a heartbeat that only calls the program."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest
import yaml

from nadg_kernel.cli import main
from nadg_kernel.cli.codes import Code

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
SCRIPTS = Path(sysconfig.get_path("scripts"))
USES = re.compile(r"uses: (\S+)@(\S+)(?: # (\S+))?$", re.MULTILINE)


def loaded(name):
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


@pytest.mark.parametrize("command", ["zizmor --offline --no-progress", "actionlint"])
def test_linters_find_nothing(command):
    program, *options = shlex.split(command)
    files = [str(path.relative_to(ROOT)) for path in WORKFLOWS]
    done = subprocess.run(
        [SCRIPTS / program, *options, *files], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_linters_see_what_is_wrong(tmp_path):
    """Nothing above passes because a linter looks at nothing."""
    bad = tmp_path / ".github" / "workflows" / "bad.yml"
    bad.parent.mkdir(parents=True)
    bad.write_text((FOLDER / "heartbeat.yml").read_text("utf-8").replace("permissions:", "permission:"))
    for command in (["zizmor", "--offline", "--no-progress"], ["actionlint"]):
        ran = subprocess.run(
            [SCRIPTS / command[0], *command[1:], str(bad)], cwd=tmp_path, capture_output=True, check=False, timeout=60
        )
        assert ran.returncode != 0, command


def test_actions_are_pinned_the_same_everywhere():
    used = {path.name: USES.findall(path.read_text("utf-8")) for path in WORKFLOWS}
    pins = {}
    for name, found in used.items():
        assert len(found) == (FOLDER / name).read_text("utf-8").count("uses:")
        for action, sha, version in found:
            assert re.fullmatch(r"[0-9a-f]{40}", sha), action
            assert pins.setdefault(action, (sha, version)) == (sha, version)


def test_the_heartbeat_does_what_its_page_says():
    flow = loaded("heartbeat.yml")
    triggers = flow[True]  # what YAML makes of `on`
    (schedule,) = triggers["schedule"]
    assert "workflow_dispatch" in triggers
    minutes = [int(minute) for minute in schedule["cron"].split()[0].split(",")]
    assert [after - before for before, after in itertools.pairwise(minutes)] == [15, 15, 15]
    assert not {0, 15, 30, 45} & {*minutes}
    assert schedule["cron"] in (ROOT / "docs" / "workers.md").read_text("utf-8")
    assert flow["permissions"] == {"contents": "read"}
    assert flow["concurrency"]["group"]
    (job,) = flow["jobs"].values()
    assert job["timeout-minutes"] <= 10
    assert "permissions" not in job


def test_the_heartbeat_only_calls_the_program_and_keeps_secrets_to_that_step(tmp_path, monkeypatch, capsys):
    (job,) = loaded("heartbeat.yml")["jobs"].values()
    runs = [step for step in job["steps"] if "run" in step]
    install, beat = runs
    assert install["run"].startswith("uv sync --locked")
    assert [name for step in job["steps"] for name in step.get("env", {})] == [*beat["env"]]
    wanted = ("SUPABASE_URL", "SUPABASE_SERVICE_KEY", "HF_TOKEN")
    assert beat["env"] == {name: f"${{{{ secrets.{name} }}}}" for name in wanted}
    words = beat["run"].split()
    assert words[:4] == ["uv", "run", "--no-sync", "nadg"]
    # Without secrets GitHub gives empty variables.
    for name in beat["env"]:
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("NADG_HOME", str(tmp_path))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(words[4:]) == Code.OK
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"::notice title=[^:]+::[^\n]*SUPABASE_URL and SUPABASE_SERVICE_KEY are not set[^\n]*\n", err)
