"""Code in an attached folder can be imported by the subtasks that have it as an input."""

from __future__ import annotations

import pytest

from nadg_kernel import Grid, Plan
from nadg_kernel.data.folders import laid_out, module_names

FILES = {
    "helpers.py": "from mypkg.deep import SIZE\n\ndef double(x):\n    return 2 * x + SIZE\n",
    "mypkg/__init__.py": "",
    "mypkg/deep.py": "SIZE = 1\n",
    "src/inner/__init__.py": "from pathlib import Path\nNAME = Path('settings.txt').read_text()\n",
    "settings.txt": "written here",
    "data.bin": None,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0\1" if text is None else text.encode())
    return folder


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    with Grid(home=tmp_path_factory.mktemp("grid"), local_workers=1, planner="recipes") as grid:
        assert grid.wait_ready(1, 60)
        yield grid


def planned(grid, folder, **subtasks):
    checked = grid.check(Plan(command="use it"), {"project": folder})
    plan = Plan(command="use it", data={"project": checked.context.attached["project"].schema}, context=checked.context)
    for name, code in subtasks.items():
        plan = plan.add(id=name, code=code, inputs=["project"])
    return plan


def test_modules_of_a_folder_are_imported_on_a_worker(grid, project):
    plan = planned(
        grid,
        project,
        a="import helpers\nresult = helpers.double(3)",
        b="from inner import NAME\nresult = [NAME, *sorted(inputs['project'])][:2]",
        c="import os\nresult = os.listdir()",
    )
    assert plan.problems == ()
    run = grid.run(plan.approve(by="test"), show=False).wait(60)
    assert run.ok, run
    assert run["a"].value == 7
    assert run["b"].value == ["written here", "data.bin"]
    assert run["c"].value == [], "nothing is laid out where nothing is imported"
    assert run["a"].artifacts == ()
    again = grid.resume(run.id, show=False) if run.id in grid.unfinished() else run
    again.rerun("a")
    assert again.wait(60)["a"].value == 7


def test_a_folder_of_text_alone_too(grid, tmp_path):
    (tmp_path / "tools.py").write_text("def one():\n    return 1\n")
    run = grid.run(planned(grid, tmp_path, a="from tools import one\nresult = one()").approve(by="test"), show=False)
    assert run.wait(60)["a"].value == 1


def test_what_is_missing_is_said_before(grid, project):
    plan = planned(grid, project, a="import helpers\nresult = 1").edit("a", inputs=[])
    (problem,) = plan.problems
    assert str(problem) == "a, line 1: no worker has helpers; the folder 'project' has it: add it to the inputs"
    assert problem.blocks


def test_layout():
    assert module_names(FILES) == {"helpers", "mypkg", "inner"}
    assert module_names(["a-b.py", "docs/x.md", "x.py.txt", "1.py"]) == frozenset()
    assert laid_out(["a.py", "src/b.py", "src/a.py"]) == {"a.py": "a.py", "b.py": "src/b.py"}
    many = [f"f{number}.txt" for number in range(1200)] + ["m.py"]
    assert laid_out(many) == {"m.py": "m.py"}
