"""What a plan will take is said before it is approved, and what nobody can know is said to be unknown."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from nadg_kernel import Grid, Plan, PlannerError
from nadg_kernel.costs import cost
from nadg_kernel.estimates import estimate
from nadg_kernel.model import DataSchema, Map, Subtask
from nadg_kernel.planners.modelling import ModelPlanner
from nadg_kernel.planners.scripted import ScriptedModel

DATA = {"t": DataSchema(columns=("x",), dtypes=("str",), rows=100, size=4000)}


def plan(*subtasks):
    return Plan(command="c", data=DATA, subtasks=subtasks)


def prompt(name, **more):
    return Subtask(id=name, kind="prompt", code="Sum up: {t}", **{"inputs": ("t",), **more})


def costed(*subtasks, words=None, **more):
    whole = plan(*subtasks)
    return cost(whole, estimate(whole, []), words or {}, **more)


def test_a_plan_without_prompts():
    found = costed(Subtask(id="a", code="result = 1"))
    assert (found.subtasks, found.shards, found.model_calls, found.prompt_tokens, found.seconds) == (1, 1, 0, 0, None)
    assert str(found) == "1 subtask, 1 shard\ntime unknown (none of it has run before)\nno model is asked while it runs"


def test_data_goes_with_each_call_and_a_maps_source_is_spread():
    found = costed(prompt("a"), prompt("b", map=Map(over="t", shards=10)), words={"a": 7, "b": 7}, counted_by="m")
    assert found.prompts["a"].prompt_tokens == 7 + 1000
    assert (found.prompts["b"].calls, found.prompts["b"].prompt_tokens) == (10, 70 + 1000)
    assert found.model_calls == 11
    assert "11 model calls (about 2,077 tokens to send, their words counted by m" in str(found)


def test_what_depends_on_results_is_unknown():
    found = costed(
        Subtask(id="a", code="result = 1"),
        prompt("b", inputs=("a",), depends_on=("a",)),
        prompt("c", inputs=("a",), depends_on=("a",), map=Map(over="a", rows=3)),
    )
    assert (found.shards, found.model_calls, found.prompt_tokens) == (None, None, None)
    assert found.prompts["b"].calls == 1
    assert "shards unknown until results exist" in str(found)
    assert "tokens unknown until results exist" in str(found)


class Counting(ScriptedModel):
    fails = False
    counted: tuple[str, ...] = ()

    async def count(self, prompt):
        if self.fails:
            raise PlannerError("no key")
        self.counted = (*self.counted, prompt)
        return 42


def test_the_grid_counts_words_with_the_model_and_keeps_rows_here(tmp_path):
    model = Counting(str, name="counter")
    frame = pd.DataFrame({"x": ["zebra"] * 100})
    with Grid(home=tmp_path, planner=ModelPlanner(model, "gemini"), local_workers=0) as grid:
        draft = grid.check(plan(prompt("a"), Subtask(id="b", code="result = 2")), {"t": frame})
        found = grid.estimate(draft)
        assert model.counted == ("Sum up: {t}",)
        assert found.counted_by == "counter"
        assert found.prompts["a"].prompt_tokens > 42
        assert found.time.seconds == {"a": None, "b": None}
        model.fails = True
        assert grid.estimate(draft).counted_by == ""
        assert "<li>" in found._repr_mimebundle_()["text/html"]


def test_planning_is_part_of_it():
    usage = {"calls": 3, "prompt_tokens": 1000, "answer_tokens": 234}
    whole = replace(plan(Subtask(id="a", code="result = 1")), planner={"name": "gemini", "usage": usage})
    assert "the draft took 3 calls and 1,234 tokens" in str(cost(whole, estimate(whole, []), {}))


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "a second"), (30, "30 s"), (600, "10 min"), (7200, "2.0 h")])
def test_times_read_well(seconds, text):
    whole = plan(Subtask(id="a", code="result = 1"))
    time = estimate(whole, [])
    assert cost(whole, replace(time, total=seconds, basis="x"), {}).time_text == f"about {text} (x)"
