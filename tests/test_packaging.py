"""Checks what a person installs: the declared packages, the lock, the wheel, the environments and the commands."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PUBLIC = ("https://pypi.org/simple", "https://files.pythonhosted.org/")

SPECIFIED = {
    "ipywidgets": "ipywidgets",
    "jupyterlab": "jupyterlab",
    "nest_asyncio": "nest_asyncio",
    "httpx": "httpx",
    "google-generativeai": "google.generativeai",
    "supabase": "supabase",
    "pandas": "pandas",
    "plotly": "plotly",
    "nbmake": "nbmake",
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "google-genai": "google.genai",
    "httpx2": "httpx2",
}
"""Distributions that the project was specified with, and the maintained successors, with what each is imported as."""

COLAB = {"ipywidgets": "7.7.1", "pandas": "2.2.2", "plotly": "5.24.1", "numpy": "2.0.2", "pyarrow": "18.1.0"}
"""What Google Colab has (November 2026): installing the package there must not replace these."""

ENDED = "ignore:\\s*All support for the `google.generativeai` package has ended:FutureWarning"


def closure(requirements):
    """Give every requirement that these name, with our own extras taken apart."""
    for text in requirements:
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) == PROJECT["name"]:
            for extra in requirement.extras:
                yield from closure(EXTRAS[extra])
        else:
            yield requirement


def conda_pip_part():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    (pip,) = [part["pip"] for part in environment["dependencies"] if isinstance(part, dict)]
    return environment, pip


def test_extra_all_takes_in_every_other():
    (own,) = [r for r in map(Requirement, EXTRAS["all"]) if canonicalize_name(r.name) == PROJECT["name"]]
    assert own.extras == EXTRAS.keys() - {"all"}


def test_conda_environment_follows_pyproject():
    environment, pip = conda_pip_part()
    assert f"python{PROJECT['requires-python']}" in environment["dependencies"]
    assert "pip" in environment["dependencies"]
    assert pip == ["-e .[all]"]


@pytest.mark.parametrize("distribution", SPECIFIED)
def test_conda_environment_gives_what_was_specified(distribution):
    given = {canonicalize_name(r.name) for r in closure([*PROJECT["dependencies"], *EXTRAS["all"]])}
    assert canonicalize_name(distribution) in given
    assert metadata.version(distribution)


@pytest.mark.filterwarnings(ENDED)
@pytest.mark.parametrize("module", SPECIFIED.values())
def test_what_was_specified_is_there_to_import(module):
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize(("name", "version"), COLAB.items())
def test_floors_accept_colab(name, version):
    wanted = [r for r in closure([*PROJECT["dependencies"], *EXTRAS["lab"]]) if canonicalize_name(r.name) == name]
    assert wanted
    assert all(requirement.specifier.contains(version) for requirement in wanted)


def test_installed_versions_meet_the_declared_floors():
    for requirement in closure([*PROJECT["dependencies"], *EXTRAS["all"]]):
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(metadata.version(requirement.name), prereleases=True), requirement


def test_lock_names_public_addresses_only():
    text = (ROOT / "uv.lock").read_text("utf-8")
    addresses = set(re.findall(r'"([a-z+]+://[^"]*)"', text))
    assert len(addresses) > 100
    assert [address for address in addresses if not address.startswith(PUBLIC)] == []


def test_lock_has_no_other_source_than_the_index_and_ourselves():
    packages = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    elsewhere = {package["name"]: package["source"] for package in packages if "registry" not in package["source"]}
    assert elsewhere == {PROJECT["name"]: {"editable": "."}}


def test_lock_matches_pyproject():
    """The lock copies what was declared when it was made: a change without `uv lock` shows here, offline."""
    (own,) = [
        package
        for package in tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
        if package["name"] == PROJECT["name"]
    ]
    declared = {(canonicalize_name(r.name), r.specifier) for r in closure(PROJECT["dependencies"])}
    declared |= {(canonicalize_name(r.name), r.specifier) for extra in EXTRAS.values() for r in map(Requirement, extra)}
    locked = {(entry["name"], SpecifierSet(entry.get("specifier", ""))) for entry in own["metadata"]["requires-dist"]}
    assert locked == declared
    assert own["version"] == PROJECT["version"]


def test_worker_requirements_come_from_the_lock():
    """They are what the lock says for the worker's group, all pinned."""
    lines = (ROOT / "worker-node" / "requirements.txt").read_text("utf-8").splitlines()
    pinned = {(canonicalize_name(r.name), str(r.specifier)) for r in map(Requirement, lines)}
    packages = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    (own,) = [package for package in packages if package["name"] == PROJECT["name"]]
    needed, todo = set(), [dependency["name"] for dependency in own["dev-dependencies"]["worker"]]
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo += [d["name"] for p in packages if p["name"] == name for d in p.get("dependencies", [])]
    assert pinned == {(p["name"], f"=={p['version']}") for p in packages if p["name"] in needed}, "run `make sync-wire`"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy of the sources that git would ship, offline."""
    source = tmp_path_factory.mktemp("source")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(source / "dist")]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = (source / "dist").glob("*.whl")
    return source, built


def test_wheel_carries_the_package_and_the_worker(wheel):
    source, built = wheel
    inside = set(zipfile.ZipFile(built).namelist())
    package = {str(p.relative_to(source).as_posix()) for p in (source / "nadg_kernel").rglob("*") if p.is_file()}
    worker = {
        f"nadg_kernel/_worker/{p.relative_to(source / 'worker-node').as_posix()}"
        for p in (source / "worker-node").rglob("*")
        if p.is_file()
    }
    assert {"nadg_kernel/py.typed", "nadg_kernel/_worker/wire.py"} <= package | worker
    assert package | worker | {"nadg_kernel/_notebooks/01_control_panel.ipynb"} <= inside
    assert not [name for name in inside if "__pycache__" in name or name.startswith("tests/")]


def test_wheel_imports_without_the_checkout(wheel, tmp_path):
    zipfile.ZipFile(wheel[1]).extractall(tmp_path)
    probe = "import nadg_kernel.wire; print(nadg_kernel.wire.__file__)"
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert Path(ran.stdout.strip()).is_relative_to(tmp_path)


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """An environment that has the wheel, and what it needs by the lock's versions; a folder outside the checkout."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "env", with_pip=False, symlinks=os.name != "nt")
    scripts = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--no-index"]
    subprocess.run([*command, "--python", str(scripts / "python"), str(wheel[1])], check=True, capture_output=True)
    (site,) = (folder / "env").rglob("site-packages")
    # A path file is not read for path files in turn: the checkout, installed editable beside the packages, stays out.
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NADG_", "VIRTUAL"))}
    home = {"NADG_HOME": str(folder / "home"), "HOME": str(folder), "NADG_LOCAL_WORKERS": "1"}

    def run(*command):
        ran = subprocess.run(
            [str(scripts / command[0]), *command[1:]], cwd=folder, env={**keep, **home}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    return run


@pytest.mark.serial
def test_the_wheel_alone_runs_a_command(elsewhere):
    """Recipes, sample data and the worker come from the wheel, outside the checkout, in an empty home."""
    where = Path(elsewhere("python", "-c", "import nadg_kernel; print(nadg_kernel.__file__)").strip())
    assert where.parents[1].name == "site-packages"
    assert not where.is_relative_to(ROOT)
    told = json.loads(elsewhere("nadg", "run", "Estimate pi from random points", "--approve", "--json", "-"))
    assert told["state"] == "succeeded"
    assert {subtask["worker"] for subtask in told["subtasks"]} == {"local-1"}
    assert "files in one commit" in elsewhere("nadg", "deploy", "ann/worker-1", "--dry-run")


def test_the_wheel_alone_builds_the_panel(elsewhere):
    lines = [
        "from nadg_kernel import Grid, sample_reviews",
        "with Grid(local_workers=0) as grid:",
        "    panel = grid.panel()",
        "    print(panel.state.step, len(panel.children) > 0, len(sample_reviews()) > 0)",
    ]
    assert elsewhere("python", "-W", "error", "-c", "\n".join(lines)).split() == ["command", "True", "True"]


def test_the_wheel_is_fit_for_an_index(wheel):
    """Names, classifiers and the README, which an index has to be able to show."""
    from twine.commands.check import check

    assert not check([str(wheel[1])], strict=True)


def test_dependabot_looks_at_what_there_is():
    settings = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text("utf-8"))
    wanted = {
        "uv": "uv.lock",
        "npm": "package-lock.json",
        "github-actions": ".github/workflows",
        "docker": "Dockerfile",
        "docker-compose": "compose.yaml",
    }
    looked = {
        update["package-ecosystem"]: update.get("directories") or [update["directory"]]
        for update in settings["updates"]
    }
    assert settings["version"] == 2
    assert looked.keys() == wanted.keys()
    for kind, folders in looked.items():
        for folder in folders:
            assert (ROOT / folder.lstrip("/") / wanted[kind]).exists(), (kind, folder)
    locked = {f"/{lock.parent.relative_to(ROOT)}" for lock in ROOT.glob("tests/*/package-lock.json")}
    assert set(looked["npm"]) == locked
    assert all(update["schedule"]["interval"] == "weekly" for update in settings["updates"])


@pytest.mark.skipif(os.name == "nt", reason="Windows has uv instead of make")
def test_setup_says_plainly_that_python_is_missing(tmp_path):
    for name in ("Makefile", "pyproject.toml", "uv.lock"):
        shutil.copy2(ROOT / name, tmp_path / name)
    ran = subprocess.run(
        ["make", "lab", "PYTHON=no-such-python"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode != 0
    assert "needs Python 3.11 or newer; no-such-python is not that" in ran.stderr
    assert "make lab PYTHON=" in ran.stderr
    assert not (tmp_path / ".venv").exists()


def test_strict_sessions_fail_on_a_skip(tmp_path):
    shutil.copy2(ROOT / "tests" / "conftest.py", tmp_path / "conftest.py")
    (tmp_path / "test_it.py").write_text("import pytest\ndef test_it():\n    pytest.skip('no tool')\n")
    (tmp_path / "test_module.py").write_text("import pytest\npytest.importorskip('no_such_module_anywhere')\n")
    for strict, code in (("0", 0), ("1", 1)):
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--continue-on-collection-errors", "."],
            cwd=tmp_path,
            env={**os.environ, "NADG_TEST_STRICT": strict, "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == code, ran.stdout
        assert ("1 failed, 1 error" in ran.stdout and "no tool" in ran.stdout) == (strict == "1"), ran.stdout


def test_session_has_a_home_of_its_own():
    assert Path(os.environ["NADG_HOME"]).is_dir()
    assert Path(os.environ["NADG_HOME"]).parent.name.startswith("nadg-tests-")
    assert "SUPABASE_SERVICE_KEY" not in os.environ


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_workflows_are_pinned_and_bounded(path):
    text = path.read_text("utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
    uses = re.findall(r"uses: *(\S+)", text)
    assert uses
    assert [use for use in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", use)] == []


def test_gate_runs_what_people_run():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert (ROOT / ".ci" / "run").read_text("utf-8").rstrip().endswith("NADG_TEST_STRICT=1 make test")


def test_documents_name_commands_that_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        named = re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / name).read_text("utf-8"), re.MULTILINE)
        assert set(named) <= targets, name
    assert {"setup", "lab", "test", "soak", "bench", "sync-wire", "format", "clean"} <= targets


def test_changelog_has_a_place_for_the_next_change():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## \[Unreleased\]$", text, re.MULTILINE)
