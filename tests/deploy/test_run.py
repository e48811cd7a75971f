"""What was uploaded is laid out in an empty folder, started as a worker and used for a run, behind a private gate."""

from __future__ import annotations

import pytest

from nadg_kernel import Grid, Plan
from nadg_kernel.deploy import waiting
from nadg_kernel.grid import spaces as grid_spaces
from tests.support.fake_hub import TOKEN

from .conftest import SECRET

NAME = "ann/worker-1"


@pytest.mark.serial
def test_a_grid_deploys_a_private_worker_and_runs_on_it(hub, settings, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(grid_spaces, "Pace", lambda **more: waiting.Pace(look=0.05, **more))
    hub.real = tmp_path / "space"
    with Grid(settings=settings, local_workers=0, planner="recipes") as grid:
        assert grid.deploy(NAME, dry_run=True) == ""
        assert "*** (follows from NADG_GRID_SECRET" in capsys.readouterr().out
        worker_id = grid.deploy(NAME, private=True, timeout=60)
        said = capsys.readouterr().out
        assert "ann/worker-1: building" in said
        assert grid.wait_ready(1, 30)
        (row,) = grid.workers().to_dict("records")
        assert (row["worker"], row["health"]) == (worker_id, "ready")
        plan = Plan(command="add").add(id="numbers", code="result = [1, 2, 39]")
        plan = plan.add(id="sum", code="result = sum(inputs['numbers'])", depends_on=["numbers"])
        run = grid.run(plan.approve(), show=False)
        run.wait()
        assert run.ok, run.frame().to_dict("records")
        assert run["sum"].value == 42
        assert set(run.frame()["worker"]) == {worker_id}
        space = hub.spaces[NAME]
        assert {visit.bearer for visit in space.visits} == {f"Bearer {TOKEN}"}
        assert {visit.path for visit in space.visits} >= {"/health", "/status", "/execute"}
        for shown in (repr(grid), repr(grid.worker_states()), repr(run), run.frame().to_csv(), said):
            assert TOKEN not in shown
            assert SECRET not in shown
        grid.pause(NAME)
        assert not grid.wait_ready(1, 0.1)
        space.logs["run"] = ["hello", f"{TOKEN}"]
        assert grid.logs(NAME) == "hello\n***"
        grid.undeploy(NAME)
        assert grid.workers().empty
        assert hub.spaces == {}
