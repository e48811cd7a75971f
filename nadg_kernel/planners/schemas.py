"""The JSON schemas that structured output is asked in: flat, and only with keywords that Gemini takes."""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}

_SUBTASK: dict[str, Any] = {
    "id": {"type": "string", "description": "short, lower case, letters, digits and _"},
    "title": _TEXT,
    "instruction": {"type": "string", "description": "what to do, in one to three sentences"},
    "kind": {"type": "string", "enum": ["python", "prompt"]},
    "depends_on": _TEXTS,
    "inputs": {
        "type": "array",
        "items": {"type": "string"},
        "description": "names of data or ids of subtasks it reads",
    },
    "map_over": {"type": "string", "description": "the input to split into shards, or empty"},
    "map_shards": {"type": "integer", "minimum": 0, "maximum": 1000},
    "expected": {"type": "string", "description": "what result will be: type and columns"},
    "check": {"type": "string", "description": "how a person sees that it is right"},
    "labels": _TEXTS,
    "permissions": {"type": "array", "items": {"type": "string", "enum": ["network", "processes", "gpu"]}},
    "timeout_s": {"type": "number", "minimum": 1, "maximum": 3600},
}

SPLIT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "goal": _TEXT,
        "assumptions": _TEXTS,
        "questions": _TEXTS,
        "subtasks": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": _SUBTASK,
                "required": ["id", "title", "instruction", "kind", "depends_on", "inputs", "expected"],
            },
        },
    },
    "required": ["goal", "assumptions", "questions", "subtasks"],
}

CODE: dict[str, Any] = {"type": "object", "properties": {"code": _TEXT}, "required": ["code"]}

CHANGE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "why": {"type": "string", "description": "one or two sentences for the person"},
        "changes": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "action": {"type": "string", "enum": ["edit", "add", "drop"]},
                    **_SUBTASK,
                    "code": {"type": "string", "description": "the whole Python code, or the prompt's template"},
                },
                "required": ["action", "id"],
            },
        },
    },
    "required": ["why", "changes"],
}
