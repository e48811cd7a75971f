"""Read what a model answered: JSON, fenced or bare, cut off or with talk around it. Nothing here trusts it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from nadg_kernel.errors import PlannerError

_FENCE = re.compile(r"```[ \t]*(?P<kind>[\w+-]*)[ \t]*\r?\n(?P<body>.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_KEYS = frozenset({"subtasks", "code", "changes"})
MOST_CHARACTERS = 2_000_000


def read_object(answer: str) -> tuple[dict[str, Any], bool]:
    """The JSON object of an answer, and whether it was whole (False: cut off, and closed as far as it came).

    Raises PlannerError that shows how the answer begins where there is no object in it.
    """
    if len(answer) > MOST_CHARACTERS:
        message = f"the answer has {len(answer):,} characters, more than a plan can have"
        raise PlannerError(message)
    found = [value for value in map(_loads, _candidates(answer)) if value is not None]
    known = [value for value in found if not _KEYS.isdisjoint(value)]
    if found:
        return (known or found)[0], True
    for text in _candidates(answer):
        value = _loads(_closed(text))
        if value:
            return value, False
    begin = " ".join(answer.split())[:120]
    message = f"the answer is no JSON object: {begin!r}" if begin else "the answer is empty"
    raise PlannerError(message)


def read_code(answer: str) -> str:
    """The code of an answer: the field `code` of a JSON object, a fenced block, or the bare text. May be empty."""
    try:
        value, _ = read_object(answer)
    except PlannerError:
        value = {}
    code = value.get("code")
    if isinstance(code, list) and all(isinstance(line, str) for line in code):
        code = "\n".join(code)
    if isinstance(code, str):
        return unfenced(code)
    return "" if value else unfenced(answer)


def unfenced(text: str) -> str:
    """Code without the Markdown fence around it."""
    found = list(_FENCE.finditer(text))
    body = max((match["body"] for match in found), key=len) if found else text
    body = body.replace("\r\n", "\n").strip("\n").rstrip()
    return f"{body}\n" if body else ""


def _candidates(answer: str) -> list[str]:
    fenced = [match["body"].strip() for match in _FENCE.finditer(answer)]
    stripped = answer.strip().lstrip("\ufeff")
    start = stripped.find("{")
    end = stripped.rfind("}")
    inner = [stripped[start : end + 1]] if 0 <= start < end else []
    tail = [stripped[start:]] if start >= 0 else []
    return [text for text in dict.fromkeys([stripped, *sorted(fenced, key=len, reverse=True), *inner, *tail]) if text]


def _loads(text: str) -> dict[str, Any] | None:
    for attempt in (text, _TRAILING_COMMA.sub(r"\1", text)):
        try:
            value = json.loads(attempt, strict=False)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, list):
            items = [item for item in value if isinstance(item, Mapping)]
            value = items[0] if len(items) == 1 and "subtasks" in items[0] else {"subtasks": value} if items else None
        if isinstance(value, dict):
            return value
    return None


def _closed(text: str) -> str:
    """A text that was cut off, with its open strings, lists and objects closed at the last whole item."""
    stack: list[str] = []
    in_string = escaped = False
    end, open_there = 0, ""
    for place, char in enumerate(text):
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
            continue
        if char == '"':
            in_string = True
        elif char in "{[":
            stack.append("}" if char == "{" else "]")
        elif char in "}]":
            if not stack or stack.pop() != char:
                return ""
            end, open_there = place + 1, "".join(reversed(stack))
    return text[:end] + open_there
