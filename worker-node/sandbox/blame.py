"""Says what went wrong inside the code in the person's terms: their own frames, with the lines as they wrote them."""

from __future__ import annotations

import re
import traceback
from typing import Any

SOURCE = "<task>"
MESSAGE_CHARS = 10_000
TRACEBACK_CHARS = 40_000
PROMPT_HINT = (
    "This text is not Python. If it is meant for a language model, send it with kind: prompt to a worker that has one."
)
_WORDS = re.compile(r"[^\W\d_][\w'’-]*[,.;:!?]?")  # noqa: RUF001 - people type curly apostrophes
_PROSE_WORDS = 3
_CODE = re.compile(
    r"""[=\[\]{}()<>@#+*/\\|"`]|^\s*(import|from|def|class|for|while|if|with|return|print)\b""", re.MULTILINE
)


def describe(error: BaseException, code: str) -> dict[str, Any]:
    """An ErrorDetail (see wire.py) as a dict."""
    kind = type(error)
    name = (
        kind.__qualname__ if kind.__module__ in {"builtins", "__main__"} else f"{kind.__module__}.{kind.__qualname__}"
    )
    report = traceback.TracebackException.from_exception(error, max_group_depth=4)
    _keep_own_frames(report)
    return {
        "type": name[:200],
        "message": _message(error, report)[:MESSAGE_CHARS],
        "line": _line(error, report),
        "traceback": _cut("".join(report.format()), TRACEBACK_CHARS),
        "hint": _hint(error, code),
    }


def _keep_own_frames(report: traceback.TracebackException) -> None:
    pending, seen = [report], set[int]()
    while pending:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.stack = traceback.StackSummary.from_list([frame for frame in one.stack if frame.filename == SOURCE])
        pending += [other for other in (one.__cause__, one.__context__, *(one.exceptions or ())) if other is not None]


def _message(error: BaseException, report: traceback.TracebackException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg or "invalid syntax"
    if isinstance(error, SystemExit):
        return f"the code asked to end with status {error.code!r}"
    return str(report)


def _line(error: BaseException, report: traceback.TracebackException) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == SOURCE:
        return error.lineno
    return report.stack[-1].lineno if report.stack else None


def _hint(error: BaseException, code: str) -> str:
    if isinstance(error, SyntaxError) and error.filename == SOURCE and looks_like_prose(code):
        return PROMPT_HINT
    if isinstance(error, MemoryError):
        return "The memory limit of this subtask was reached: raise memory_mb, or work on smaller pieces with `map`."
    if isinstance(error, ModuleNotFoundError):
        return f"This worker has no module {error.name!r}: use one that it has, or install it where the worker runs."
    return ""


def looks_like_prose(code: str) -> bool:
    """Whether a text that is not Python reads as a sentence or a question."""
    words = code.split()
    if len(words) < _PROSE_WORDS or _CODE.search(code):
        return False
    return sum(bool(_WORDS.fullmatch(word)) for word in words) >= 0.8 * len(words)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2 - 20
    return f"{text[:half]}\n  ... cut ...\n{text[-half:]}"
