"""Any other Docker host: the compose file and the lines of docs/deploy.md fit the image and the worker's settings."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "worker-node"
FILE = ROOT / "deploy" / "compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text("utf-8"))
DOCS = (ROOT / "docs" / "deploy.md").read_text("utf-8")
DOCKERFILE = (WORKER / "Dockerfile").read_text("utf-8")
(PORT,) = re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)
VARIABLE = re.compile(r"\$\{(\w+)(:[?-][^}]*)?\}")


def settings():
    sys.path.insert(0, str(WORKER))
    try:
        from config import SECRETS, VARIABLES
    finally:
        sys.path.remove(str(WORKER))
    return set(VARIABLES.values()), set(SECRETS)


def test_the_worker_is_built_from_its_folder_and_reached_through_tls_only():
    worker, tls = COMPOSE["services"]["worker"], COMPOSE["services"]["tls"]
    assert (FILE.parent / worker["build"]).resolve() == WORKER
    assert "ports" not in worker, "plain http would be reachable from outside"
    assert worker["expose"] == [PORT]
    assert sorted(tls["ports"]) == ["443:443", "80:80"]
    words = shlex.split(VARIABLE.sub(lambda found: f"<{found[1]}>", tls["command"]))
    assert words == ["caddy", "reverse-proxy", "--from", "<NADG_WORKER_HOST>", "--to", f"worker:{PORT}"]
    assert "worker" in tls["depends_on"]
    assert re.fullmatch(r"caddy:\d+\.\d+-alpine", tls["image"])
    (volume,) = tls["volumes"]
    assert volume.partition(":")[0] in COMPOSE["volumes"], "certificates outlive the container"


def test_its_settings_are_the_workers():
    known, secrets = settings()
    environment = COMPOSE["services"]["worker"]["environment"]
    assert environment.keys() <= known
    assert "NADG_AUTH_TOKEN" in environment, "without one it would refuse to run code"
    for name in environment.keys() & secrets:
        assert VARIABLE.fullmatch(environment[name]), f"{name} stands in the file"


def test_what_has_to_be_given_is_asked_for_and_documented():
    given = {name: rule or "" for name, rule in VARIABLE.findall(FILE.read_text("utf-8"))}
    needed = {name for name, rule in given.items() if rule.startswith(":?")}
    assert needed == {"NADG_AUTH_TOKEN", "NADG_WORKER_HOST"}
    assert all(rule for rule in given.values()), "neither asked for nor defaulted"
    assert [name for name in needed if f"export {name}=" not in DOCS] == []


def test_no_secret_stands_in_it():
    text = FILE.read_text("utf-8")
    assert not re.search(r"\b[0-9a-f]{32,}\b|hf_\w{8,}|AIza\w+|eyJ\w+", text)
    assert not re.search(r"(?i)(token|key|secret)\w*\s*[:=]\s*['\"]?(?![$\s'\"{])\w", re.sub(r"#.*", "", text))


def docker_lines():
    blocks = re.findall(r"^```bash\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line.startswith("docker ")]


def test_the_docker_lines_fit_the_image():
    compose, build, run = docker_lines()
    assert compose[:4] == ["docker", "compose", "-f", "deploy/compose.yaml"]
    assert build[-1] == "worker-node"
    tag = build[build.index("--tag") + 1]
    assert run[-1] == tag
    assert run[run.index("--publish") + 1] == f"127.0.0.1:{PORT}:{PORT}", "TLS stands in front"
    assert run[run.index("--env") + 1] == "NADG_AUTH_TOKEN", "by name: its value is in no list of processes"
    assert len([word for word in run if word == "run"]) == 1
