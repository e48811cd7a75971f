"""`nadg resume`: what was left goes on, what is finished is kept."""

from __future__ import annotations

import threading

from nadg_kernel import Grid, Plan


def test_a_run_that_was_left_goes_on(quick):
    plan = Plan(command="later").add(id="one", code="result = 1")
    plan = plan.add(id="two", code='result = inputs["one"] + 1', depends_on=["one"])
    with Grid(local_workers=0, home=quick.home) as grid:
        run = grid.run(plan.approve(), show=False)
        left, begun = run.id, threading.Event()
        stop = run.subscribe(lambda _event: begun.set())
        assert begun.wait(30)
        stop()
    listed = quick("resume")
    assert (listed.code, listed.out) == (0, f"{left}  0 of 2 done  later\n")
    run = quick("resume", left, "--json", "out.json", workers=1, report="out.json")
    assert run.code == 0, run.err
    assert run.report["run_id"] == left
    assert run["two"]["result"] == 2
    assert "there is no run to go on with" in quick("resume").err


def test_a_run_that_is_not_there(quick):
    quick("resume", "20200101-000000-abcdef", workers=1).refused("no run '20200101-000000-abcdef'")


def test_without_a_worker_nothing_is_taken_over(quick):
    quick("resume", "20200101-000000-abcdef").refused("no worker")
