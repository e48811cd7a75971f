"""Holds the notebooks' form: short, stripped, the same install cell. `make test` executes them with nbmake."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ADDRESS = "git+https://github.com/raw-fun/Nexus-AI-Build.git"
MAX_LINES = 30


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    text = request.param.read_text("utf-8")
    found = nbformat.reads(text, as_version=4)
    nbformat.validate(found)
    return found


def python_of(cell):
    """A cell's source with its magics as comments, so that it parses."""
    return re.sub(r"^(\s*)%+(.*)$", r"\1pass  # \2", cell.source, flags=re.MULTILINE)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_three_first_ones_are_there():
    names = {path.stem for path in NOTEBOOKS}
    assert {"01_control_panel", "02_worker_health", "03_task_history"} <= names


def test_nothing_of_a_run_is_kept(notebook):
    assert set(notebook.metadata) == {"kernelspec", "language_info"}, "widget state or a front end's own notes"
    assert notebook.metadata.language_info == {"name": "python"}
    for cell in code_cells(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert cell.metadata == {}


def test_any_python_kernel_opens_it(notebook):
    assert notebook.metadata.kernelspec.name == "python3"
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def test_the_last_words_lead_on(notebook):
    """A notebook that a person has read to its end says where to go from there."""
    told = "\n".join(cell.source for cell in notebook.cells[-2:])
    assert re.search(r"notebook \d\d|`nadg |\]\(\.\./docs/", told)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_of_a_notebook_lead_somewhere(path):
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", target)]
    assert [target for target in targets if not (path.parent / target).exists()] == []
    named = re.findall(r"[Nn]otebooks? (\d\d)", text)
    assert [number for number in named if not any(other.stem.startswith(number) for other in NOTEBOOKS)] == []


def test_a_notebook_with_a_large_size_says_how_to_get_it(notebook):
    code = "\n".join(cell.source for cell in code_cells(notebook))
    if "NADG_NOTEBOOK_FULL" in code:
        assert 'FULL = os.environ.get("NADG_NOTEBOOK_FULL") == "1"' in code
        assert "NADG_NOTEBOOK_FULL" in "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def test_title_and_one_paragraph_of_purpose_come_first(notebook):
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    title, *paragraphs = first.source.split("\n\n")
    assert re.fullmatch(r"# \S.*", title)
    assert len(paragraphs) == 1


def test_first_code_cell_installs_in_colab_from_one_address(notebook):
    cell = code_cells(notebook)[0]
    assert notebook.cells.index(cell) == 1
    assert re.findall(r"git\+\S+?(?=\")", cell.source) == [ADDRESS]
    tree = ast.parse(python_of(cell))
    (guard,) = [node for node in tree.body if isinstance(node, ast.If)]
    assert ast.unparse(guard.test) == "'google.colab' in sys.modules"
    assert [type(node) for node in tree.body if node is not guard] == [ast.Import], "elsewhere it does nothing"


def test_cells_are_short_python(notebook):
    for cell in code_cells(notebook):
        ast.parse(python_of(cell))
        assert len(cell.source.splitlines()) <= MAX_LINES, cell.source[:80]


def test_address_is_the_one_of_the_readme():
    assert ADDRESS in (ROOT / "README.md").read_text("utf-8")


def test_readme_has_a_badge_for_each_notebook():
    text = (ROOT / "README.md").read_text("utf-8")
    for path in NOTEBOOKS:
        assert f"(notebooks/{path.name})" in text
        assert f"colab.research.google.com/github/raw-fun/Nexus-AI-Build/blob/main/notebooks/{path.name}" in text
