"""The use-case notebooks at their large size, as `NADG_NOTEBOOK_FULL=1` gives it to a person."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
LARGE = [path for path in sorted(FOLDER.glob("*.ipynb")) if "NADG_NOTEBOOK_FULL" in path.read_text("utf-8")]


@pytest.mark.soak
@pytest.mark.notebook
@pytest.mark.parametrize("path", LARGE, ids=lambda path: path.stem)
def test_at_its_large_size(path, monkeypatch):
    monkeypatch.setenv("NADG_NOTEBOOK_FULL", "1")
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources=resources).execute()
    printed = [out.text for cell in notebook.cells for out in cell.get("outputs", []) if out.output_type == "stream"]
    print("".join(printed))
