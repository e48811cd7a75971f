"""What a view may send, and what it is told when it sends something else."""

from __future__ import annotations

import pytest

from nadg_kernel.errors import EditError
from nadg_kernel.panel import actions as a
from nadg_kernel.panel.intents import field_value, parse
from nadg_kernel.panel.records import Step


@pytest.mark.parametrize(
    ("message", "action"),
    [
        ({"op": "select", "subtask": "x"}, a.Select(subtask="x")),
        ({"op": "draft", "command": "go"}, a.Draft(command="go")),
        ({"op": "step", "to": "workers"}, a.GoTo(step=Step.WORKERS)),
        ({"op": "move", "subtask": "x", "by": -1}, a.Move(subtask="x", by=-1)),
        ({"op": "control", "verb": "cancel"}, a.Control(verb="cancel")),
        ({"op": "split", "subtask": "x", "line": " 3 "}, a.SplitAt(subtask="x", line=3)),
        ({"op": "split", "subtask": "x", "shards": 4}, a.SplitShards(subtask="x", count=4)),
        ({"op": "try", "digest": "d"}, a.TryOut(digest="d")),
        ({"op": "answer", "answers": {"q": 1}}, a.AnswerQuestions(answers={"q": "1"})),
        ({"op": "ask", "words": "w", "answer": "t"}, a.AskChange(words="w", answer="t")),
        ({"op": "add", "suggestion": 2}, a.AddSubtask(suggestion=2)),
        (
            {"op": "edit", "subtask": "x", "field": "timeout_s", "value": "12.5"},
            a.EditField(subtask="x", field="timeout_s", value=12.5),
        ),
    ],
)
def test_messages_become_actions(message, action):
    assert parse(message) == action


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({}, "does not know"),
        ({"op": "explode"}, "explode"),
        ({"op": ["select"]}, "does not know"),
        ({"op": "edit", "subtask": "x"}, "lacks 'field'"),
        ({"op": "control", "verb": "rerun"}, "cannot 'rerun'"),
        ({"op": "control", "verb": "format", "subtask": "x"}, "cannot 'format'"),
        ({"op": "step", "to": "nowhere"}, "no page"),
        ({"op": "split", "subtask": "x", "line": "-2"}, "line: a whole number from 1, not '-2'"),
        ({"op": "split", "subtask": "x", "shards": "many"}, "number of shards: a whole number"),
        ({"op": "answer", "answers": ["yes"]}, "answers belong to questions"),
    ],
)
def test_other_messages_are_explained(message, words):
    with pytest.raises(EditError, match=words):
        parse(message)


@pytest.mark.parametrize(
    ("field", "raw", "expected"),
    [
        ("timeout_s", "90", ("timeout_s", 90.0)),
        ("timeout_s", "90 s", ("timeout_s", 90.0)),
        ("memory_mb", " 512 ", ("memory_mb", 512)),
        ("priority", "-3", ("priority", -3)),
        ("labels", "gpu, model:x", ("labels", ("gpu", "model:x"))),
        ("depends_on", ["a", "b"], ("depends_on", ("a", "b"))),
        ("cache", "auto", ("cache", None)),
        ("network", True, ("network", True)),
        ("processes_allowed", True, ("permissions", {"processes": True})),
        ("map", None, ("map", None)),
        ("map", {"over": ""}, ("map", None)),
        (
            "map",
            {"over": "reviews", "unit": "rows", "count": "50"},
            ("map", {"over": "reviews", "shards": None, "rows": 50}),
        ),
        ("id", " grade ", ("id", "grade")),
        ("code", " x = 1\n", ("code", " x = 1\n")),
    ],
)
def test_fields_as_typed(field, raw, expected):
    assert field_value(field, raw) == expected


@pytest.mark.parametrize(
    ("field", "raw", "words"),
    [
        ("timeout_s", "soon", "timeout in seconds: a number, not 'soon'"),
        ("timeout_s", "nan", "a number"),
        ("timeout_s", "inf", "a number"),
        ("memory_mb", "1.5", "a whole number"),
        ("map", {"over": "reviews", "count": "many"}, "a whole number, not 'many'"),
        ("cache", "maybe", "auto, on or off"),
        ("colour", "red", "no field 'colour'"),
        ("code", 5, "no field"),
    ],
)
def test_what_is_wrong_is_said_in_words(field, raw, words):
    with pytest.raises(EditError, match=words):
        field_value(field, raw)
