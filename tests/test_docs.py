"""Holds the documents: every command, option, setting and public name is there, every link leads somewhere."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path

import pytest
import typer.main

import nadg_kernel
from nadg_kernel.cli.app import app
from nadg_kernel.cli.codes import Code
from nadg_kernel.results import ResultView
from nadg_kernel.settings import NAMES, Settings
from tests.reference import reference

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = {path.name: path.read_text("utf-8") for path in DOCUMENTS}
README, CLI, API, PLAN_FILE = TEXT["README.md"], TEXT["cli.md"], TEXT["api.md"], TEXT["plan-file.md"]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[(?:!\[[^\]]*\]\([^)]*\)|[^\]]*)\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
PROGRAM = typer.main.get_command(app)


def commands():
    """Words after `nadg` -> the command, groups with their commands too."""
    todo = [((name,), command) for name, command in PROGRAM.commands.items()]
    while todo:
        words, command = todo.pop(0)
        yield words, command
        todo += [((*words, name), inner) for name, inner in getattr(command, "commands", {}).items()]


def options():
    for words, command in [((), PROGRAM), *commands()]:
        for parameter in command.params:
            for option in [*parameter.opts, *parameter.secondary_opts]:
                if option.startswith("-"):
                    yield (words[0] if words else ""), option


def section(text, heading):
    """The lines under a heading, up to the next of its level."""
    level = heading.partition(" ")[0]
    _, found, rest = text.partition(f"{heading}\n")
    assert found, heading
    return re.split(rf"^#{{1,{len(level)}}} ", rest, flags=re.MULTILINE)[0]


def fences(*languages):
    return [
        pytest.param(body, id=f"{path}-{number}")
        for path, text in TEXT.items()
        for number, (kind, body) in enumerate(FENCE.findall(text), 1)
        if kind in languages
    ]


@pytest.mark.parametrize("words", [words for words, _ in commands()], ids=" ".join)
def test_every_command_is_documented(words):
    name = " ".join(words)
    assert f"`nadg {words[0]}" in README
    assert re.search(rf"`nadg {name}[` ]", CLI)
    assert f"## `nadg {words[0]}`" in CLI


@pytest.mark.parametrize(("command", "option"), [*dict.fromkeys(options())])
def test_every_option_is_documented(command, option):
    text = section(CLI, f"## `nadg {command}`") if command else CLI.partition("## `nadg")[0]
    assert re.search(rf"`{re.escape(option)}[` ]", text)


def test_no_option_is_documented_that_is_gone():
    known = {option for _, option in options()} | {"--help", "-h"}
    named = set(re.findall(r"`(--[a-z-]+)", CLI))
    assert named <= known


@pytest.mark.parametrize("code", Code)
def test_every_exit_code_is_documented(code):
    assert re.search(rf"^\| {int(code)} \|", CLI, re.MULTILINE)


def test_every_setting_is_in_the_table_once():
    rows = re.findall(r"^\| `([A-Z_]+)` \|", section(README, "## Settings"), re.MULTILINE)
    assert sorted(rows) == sorted(NAMES)


def test_defaults_in_the_settings_table_are_true():
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", section(README, "## Settings"), re.MULTILINE))
    settings = Settings(home=Path("x"))
    expected = {
        "NADG_LOCAL_WORKERS": str(settings.local_workers),
        "NADG_GEMINI_MODEL": settings.gemini_model,
        "NADG_GEMINI_SDK": settings.gemini_sdk,
    }
    assert {name: table.get(name) for name in expected} == expected


@pytest.mark.parametrize("name", nadg_kernel.__all__)
def test_every_public_name_is_documented(name):
    assert re.search(rf"\b{name}\b", API)
    assert getattr(nadg_kernel, name) is not None


@pytest.mark.parametrize(
    "kind", [nadg_kernel.Grid, nadg_kernel.Plan, nadg_kernel.Run, ResultView], ids=lambda k: k.__name__
)
def test_every_public_method_is_documented(kind):
    heading = "## Run" if kind is ResultView else f"## {kind.__name__}"
    text = section(API, heading)
    fields = {"command", "data", "context", "planner"}  # of a plan: said in plan-file.md
    public = [name for name in dir(kind) if not name.startswith("_") and name not in fields]
    assert [name for name in public if not re.search(rf"`{name}\b", text)] == []


def test_the_reference_is_what_the_docstrings_say():
    assert reference() == TEXT["reference.md"], "docs/reference.md is older than the code: make docs"


def test_every_field_of_the_plan_file_is_documented():
    plan = nadg_kernel.Plan(command="x").add(id="a", code="result = 1")
    raw = plan.to_json()
    for name in [*raw, *raw["subtasks"][0], *raw["subtasks"][0]["limits"], *raw["subtasks"][0]["permissions"]]:
        assert f"`{name}`" in PLAN_FILE, name


def test_limits_in_the_plan_file_page_are_the_defaults():
    limits = nadg_kernel.Plan(command="x").add(id="a", code="result = 1").to_json()["subtasks"][0]["limits"]
    for name, value in limits.items():
        assert f"`{name}` {value}" in PLAN_FILE, name


@pytest.mark.parametrize("body", fences("python"))
def test_python_in_documents_parses(body):
    ast.parse(body)


@pytest.mark.parametrize("body", fences("json"))
def test_json_in_documents_parses(body):
    json.loads(body)


def test_json_example_has_the_fields_that_are_written():
    (body,) = [body for kind, body in FENCE.findall(CLI) if kind == "json"]
    example = json.loads(body)
    assert set(example) == {"run_id", "state", "subtasks"}
    wanted = {"id", "title", "state", "worker", "seconds", "result", "displays", "stdout", "error"}
    assert set(example["subtasks"][0]) == wanted


@pytest.mark.parametrize("body", fences("bash", "powershell"))
def test_nadg_commands_in_documents_are_real(body):
    """Each `nadg ...` line parses with the program's own parser, without running it."""
    import shlex

    for line in body.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        words = words[2:] if words[:2] == ["uv", "run"] else words
        if not words or words[0] != "nadg":
            continue
        name, *rest = words[1:]
        assert name in PROGRAM.commands, line
        PROGRAM.commands[name].make_context(name, rest)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    targets = [link or image for link, image in LINK.findall(TEXT[path.name])]
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    for target in local:
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), f"{path.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{path.name} links to {target}"


def test_readme_comes_in_a_newcomers_order():
    wanted = ["The two commands", "First run", "With keys", "Workers", "How it fits together", "Settings"]
    wanted += ["Security model", "Dependencies, and why", "Coming from the seed document", "When to move to Dask"]
    wanted += ["Glossary"]
    found = [heading for heading in re.findall(r"^## (.+)$", README, re.MULTILINE) if heading in wanted]
    assert found == wanted


@pytest.mark.parametrize("name", ["README.md", "notebooks/01_control_panel.ipynb"])
def test_buttons_are_called_what_they_are(name):
    """What a document says to press is what the panel shows."""
    text = (ROOT / name).read_text("utf-8")
    pressed = re.findall(r"press \*\*([^*]+)\*\*", " ".join(text.split()))
    panel = "".join(path.read_text("utf-8") for path in (ROOT / "nadg_kernel" / "panel").rglob("*.[pj][ys]"))
    assert len(pressed) == 2
    assert [words for words in pressed if words not in panel] == []


def test_what_the_seed_documents_parts_became_is_there():
    rows = re.findall(r"^\| .+? \| (.+) \|$", section(README, "## Coming from the seed document"), re.MULTILINE)
    named = {text for row in rows for text in re.findall(r"`([\w./-]+\.(?:yml|toml|lock|sql|py|md|ipynb))`", row)}
    assert {".github/workflows/heartbeat.yml", "environment.yml"} <= named
    assert [name for name in named if not (ROOT / name).exists()] == []
    called = {name for row in rows for name in re.findall(r"`grid\.(\w+)\(", row)}
    assert [name for name in called if not hasattr(nadg_kernel.Grid, name)] == []


def test_every_dependency_has_its_reason():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    table = section(README, "## Dependencies, and why")
    for requirement in project["dependencies"]:
        name = re.match(r"[\w-]+", requirement)[0]
        assert re.search(rf"\b{name}\b", table), requirement
    for extra in project["optional-dependencies"]:
        assert f"`{extra}`" in table, extra


def test_documents_are_plain():
    """No emoji, no banner; the words of the design."""
    for name, text in TEXT.items():
        odd = {character for character in text if ord(character) > 0x2FFF or 0x2600 <= ord(character) <= 0x27BF}
        assert odd == set(), name


def test_public_names_have_docstrings():
    for name in nadg_kernel.__all__:
        found = getattr(nadg_kernel, name)
        assert isinstance(found, str) or inspect.getdoc(found), name
