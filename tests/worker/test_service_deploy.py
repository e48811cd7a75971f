"""The folder as a person deploys it: the files that the README lists are enough, and all that there is."""

from __future__ import annotations

import re
import shlex
import shutil

import pytest

from config import SECRETS, VARIABLES, Config

from .conftest import WORKER
from .readme_files import listed, present
from .started import started

README = (WORKER / "README.md").read_text("utf-8")


def test_the_readme_lists_each_file():
    assert listed() == present(), "run `make sync-wire`"


@pytest.mark.serial
async def test_the_listed_files_alone_make_a_worker(tmp_path):
    folder, tmp = tmp_path / "uploaded", tmp_path / "tmp"
    tmp.mkdir()
    for name in listed():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(WORKER / name, folder / name)
    async with started(tmp, folder=folder) as worker:
        told = (await worker.client.post("/execute", json={"task": "result = 6 * 7", "task_id": 1})).json()
        assert told["status"] == "completed"
        assert told["result"]["value"] == 42


def curl(command: str) -> tuple[str, str, dict[str, str], str | None]:
    """Method, path, headers and body of a curl call of ours."""
    words = shlex.split(command.replace("\\\n", " "))
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    body = words[words.index("-d") + 1] if "-d" in words else None
    (url,) = [word for word in words if word.startswith("http://localhost:7860/")]
    return method, url.removeprefix("http://localhost:7860"), headers, body


@pytest.mark.serial
async def test_the_readmes_curl_calls_work_as_written(tmp_path):
    block = re.search(r"```bash\n(curl .*?)```", README, re.DOTALL)
    health, execute = (curl(command) for command in block.group(1).strip().split("\n\n"))
    async with started(tmp_path) as worker:
        answers = [
            await worker.client.request(method, path, headers={"Host": "localhost:7860", **headers}, content=body)
            for method, path, headers, body in (health, execute)
        ]
        assert answers[0].json()["status"] == "ok"
        told = answers[1].json()
        assert (told["task_id"], told["status"], told["output"]) == (1, "completed", "Hello from NADG\n")
        assert told["error"] is None
        assert told["executed_at"]


def test_the_readme_is_a_spaces_front_matter():
    front = README.split("---")[1]
    assert "\nsdk: docker\n" in front
    assert "\napp_port: 7860\n" in front


def test_every_setting_is_documented_with_its_default():
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", README, re.MULTILINE))
    assert list(rows) == list(VARIABLES.values())
    for name, variable in VARIABLES.items():
        default = getattr(Config(), name)
        if isinstance(default, (int, float)) and name not in {"capacity", "max_memory_mb"}:
            assert rows[variable].startswith(f"`{int(default)}`"), variable
        if variable in SECRETS:
            assert re.search(rf"`{variable}` \| none \| secret:", README)


def test_the_image_runs_as_a_plain_user_from_wheels_with_an_exec_form_command():
    lines = (WORKER / "Dockerfile").read_text("utf-8").splitlines()
    assert re.fullmatch(r"FROM python:3\.\d+\.\d+-slim-\w+", next(line for line in lines if line.startswith("FROM")))
    assert lines[-1] == 'CMD ["python", "main.py"]'
    assert lines.index("USER worker") < len(lines) - 1
    text = "\n".join(lines)
    assert "--uid 1000 worker" in text
    assert "--only-binary :all:" in text
    assert "HOST=0.0.0.0" in text
    assert not re.search(r"apt-get|gcc|build-essential|TOKEN|KEY", text)
