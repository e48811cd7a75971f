"""Holds the layers of the package: imports only point upwards, and importing it stays light."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nadg_kernel"
WORKER = ROOT / "worker-node"

LAYERS = [
    {"wire", "values", "errors"},
    {"model"},
    {"settings", "data", "samples", "estimates"},
    {"planners", "stores", "engines", "scheduler"},
    {"runner"},
    {
        "analytics",
        "budget",
        "charts",
        "costs",
        "display",
        "documents",
        "history",
        "progress",
        "rehearsal",
        "results",
        "runview",
        "usage",
    },
    {
        "advice",
        "attachments",
        "autoscaling",
        "deploy",
        "evidence",
        "fleet",
        "grid",
        "loop",
        "offers",
        "registry",
        "run",
        "standins",
    },
    {"panel", "magics", "cli", "doctor"},
]
SIBLINGS = LAYERS[3]
LAZY_DOWNWARDS = {("grid", "panel")}
"""`grid.panel()` opens the panel over itself: the one import downwards, inside a function."""

HEAVY = {
    "IPython", "aiohttp", "anywidget", "dask", "fastapi", "google", "httpx", "httpx2", "ipywidgets", "matplotlib",
    "numpy", "pandas", "plotly", "pyarrow", "pydantic", "requests", "rich", "supabase", "typer", "vaderSentiment",
}  # fmt: skip


def rank(name):
    return next((i for i, layer in enumerate(LAYERS) if name in layer), None)


def sources(folder):
    """List the modules; recipes in planners/recipes/library/ are texts for workers, never imported."""
    return sorted(p for p in folder.rglob("*.py") if not {"library", "node_modules"} & {*p.parts})


def runtime_imports(tree, parts):
    """Yield (dotted module, name or None, line, lazy) of each import that can execute; `parts` locate the module."""
    todo = [(node, False) for node in tree.body]
    while todo:
        node, lazy = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += [(child, lazy) for child in node.orelse]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None, node.lineno, lazy
        elif isinstance(node, ast.ImportFrom):
            package = [] if not node.level else parts[: len(parts) - node.level + 1]
            module = ".".join([*package, *([node.module] if node.module else [])])
            for alias in node.names:
                yield module, alias.name, node.lineno, lazy
        else:
            inside = lazy or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            todo += [(child, inside) for child in ast.iter_child_nodes(node)]


def package_of(path):
    """Return the parts of the package that holds the module, as relative imports count from it."""
    return [PACKAGE.name, *path.relative_to(PACKAGE).parent.parts]


def unit_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_unit(module, name):
    """Say which unit of the package is imported; names that `__init__` re-exports count as the grid's."""
    parts = module.split(".")
    if parts[0] != PACKAGE.name:
        return None
    if len(parts) > 1:
        return parts[1]
    if name and ((PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()):
        return name
    return "grid"


def breaches(path):
    unit = unit_of(path)
    for module, name, line, lazy in runtime_imports(ast.parse(path.read_text("utf-8")), package_of(path)):
        target = imported_unit(module, name)
        if target is None or target == unit or (lazy and (unit, target) in LAZY_DOWNWARDS):
            continue
        where = f"{path.relative_to(ROOT)}:{line} imports {target}"
        if rank(target) is None:
            yield f"{where}, which has no place in LAYERS"
        elif rank(target) > rank(unit):
            yield f"{where}, which is below it"
        elif {unit, target} <= SIBLINGS:
            yield f"{where}, its sibling"


MODULES = [
    path for path in sources(PACKAGE) if path.parent != PACKAGE or path.name not in {"__init__.py", "__main__.py"}
]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_point_upwards(path):
    assert rank(unit_of(path)) is not None, "give the module a place in LAYERS and in CONTRIBUTING.md"
    assert list(breaches(path)) == []


@pytest.mark.parametrize(
    ("unit", "source", "expected"),
    [
        ("runner", "from nadg_kernel.stores.base import Store", None),
        ("stores/sqlite", "from ..model import Event", None),
        ("stores/sqlite", "from . import base", None),
        ("grid", "def panel(self):\n    from nadg_kernel.panel import Panel", None),
        ("model/plan", "if TYPE_CHECKING:\n    from nadg_kernel.grid import Grid", None),
        ("grid", "from nadg_kernel.panel import Panel", "below"),
        ("model/plan", "def late():\n    from nadg_kernel.settings import Settings", "below"),
        ("model/plan", "from ..runner import Runner", "below"),
        ("runner", "from nadg_kernel import Grid", "below"),
        ("engines/http", "import nadg_kernel.stores.sqlite", "sibling"),
        ("engines/http", "from nadg_kernel.unheard import of", "no place"),
    ],
)
def test_the_check_itself(unit, source, expected, monkeypatch, tmp_path):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path / "nadg_kernel")
    path = tmp_path / "nadg_kernel" / f"{unit}.py"
    path.parent.mkdir(parents=True)
    path.write_text(source)
    found = list(breaches(path))
    assert (len(found) == 1 and expected in found[0]) if expected else found == []


def test_the_core_is_there():
    """Nothing above passes for want of files to look at."""
    assert {unit_of(path) for path in MODULES} == set().union(*LAYERS), "each module has its place, each place a module"
    assert (WORKER / "main.py").exists()


def test_layers_are_documented():
    lines = (ROOT / "CONTRIBUTING.md").read_text("utf-8").splitlines()
    assert [set(re.findall(r"`(\w+)`", line)) for line in lines if line.startswith("| ") and "`" in line] == LAYERS


def test_import_is_light():
    """Compare with the bare interpreter: path files of installed packages may load things on their own."""
    probe = (
        "import json, sys; bare = set(sys.modules); import nadg_kernel; print(json.dumps([*set(sys.modules) - bare]))"
    )
    loaded = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    roots = {name.partition(".")[0] for name in json.loads(loaded.stdout)}
    assert "nadg_kernel" in roots
    assert roots & HEAVY == set()


SHARED = ["wire.py", *sorted(path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "values").glob("*.py"))]


@pytest.mark.parametrize("name", SHARED)
def test_worker_has_the_same_file(name):
    assert (WORKER / name).read_bytes() == (PACKAGE / name).read_bytes(), "run `make sync-wire`"


def test_worker_has_no_file_of_the_values_more():
    assert {path.name for path in (WORKER / "values").glob("*.py")} == {
        path.name for path in (PACKAGE / "values").glob("*.py")
    }, "run `make sync-wire`"


@pytest.mark.parametrize("path", sources(WORKER), ids=lambda path: str(path.relative_to(WORKER)))
def test_worker_never_imports_the_package(path):
    imported = {module.partition(".")[0] for module, *_ in runtime_imports(ast.parse(path.read_text("utf-8")), [""])}
    assert PACKAGE.name not in imported


@pytest.mark.parametrize("name", SHARED)
def test_what_is_shared_with_the_worker_loads_little(name):
    also = {"pydantic"} if name == "wire.py" else {""}  # the values import one another, relatively
    tree = ast.parse((PACKAGE / name).read_text("utf-8"))
    eager = {module.partition(".")[0] for module, _, _, lazy in runtime_imports(tree, [""]) if not lazy}
    assert eager - sys.stdlib_module_names <= also
