"""`nadg autoscale --dry-run`: says what would be done and starts nothing."""

from __future__ import annotations

import json

from nadg_kernel import Plan


def test_a_plan_that_waits(quick, tmp_path):
    plan = Plan(command="many").add(id="a", code="result = 1").add(id="b", code="result = 1", labels=["gpu"])
    plan.save(tmp_path / "plan.json")
    said = quick("autoscale", "--dry-run", "--plan", tmp_path / "plan.json", "--max-workers", 2, "--json", workers=0)
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert found["waiting"] == 2
    assert [(item["start"], item["kind"]) for item in found["actions"]] == [(True, "local")]
    assert "shard" in found["actions"][0]["reason"]


def test_without_work_nothing_would_be_done(quick):
    said = quick("autoscale", "--dry-run")
    assert "0 shards wait" in said.out
    assert "nothing would be started or stopped now" in said.out


def test_here_it_can_only_be_tried(quick):
    quick("autoscale").refused("--dry-run here")
