"""Messages of a view turned into actions. A view is not trusted with types: numbers come as the text that was typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import EditError
from nadg_kernel.panel import actions as a
from nadg_kernel.panel import result_actions as r
from nadg_kernel.panel.records import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nadg_kernel.panel.actions import Action

VERBS = ("hold", "release", "skip", "cancel", "rerun")
_NUMBERS = {
    "timeout_s": "timeout in seconds",
    "memory_mb": "memory in MB",
    "disk_mb": "disk in MB",
    "output_kb": "output in KB",
    "processes": "number of processes",
    "priority": "priority",
    "retries": "number of retries",
}
_CACHE = {"auto": None, "on": True, "off": False}
_TEXTS = ("title", "instruction", "code", "id", "kind")
_SWITCHES = ("network", "processes_allowed", "gpu", "hold", "repeatable")
_NAMES = ("depends_on", "inputs", "labels")


def parse(message: Mapping[str, Any]) -> Action:
    """The action that a view asks for. Raises EditError with words for the field where the person is."""
    verb = message.get("op")
    make = _MAKERS.get(verb) if isinstance(verb, str) else None
    if make is None:
        text = f"the view asked for {verb!r}, which this version does not know: reload the page"
        raise EditError(text)
    try:
        return make(message)
    except KeyError as error:
        text = f"the view's {verb!r} lacks {error.args[0]!r}: reload the page"
        raise EditError(text) from error


def field_value(field: str, raw: Any) -> tuple[str, Any]:
    """The plan's name and value for a field as typed. Raises EditError in words."""
    if field in _NUMBERS and not (field == "processes" and isinstance(raw, bool)):
        return field, _number(field, raw)
    if field in _SWITCHES:
        return ("permissions", {"processes": bool(raw)}) if field == "processes_allowed" else (field, bool(raw))
    if field in _NAMES:
        items = raw.replace(",", " ").split() if isinstance(raw, str) else raw
        return field, tuple(str(item) for item in items or ())
    if field == "cache":
        if raw not in _CACHE:
            message = "cache is auto, on or off"
            raise EditError(message)
        return field, _CACHE[raw]
    if field == "map":
        return field, _map(raw)
    if field in _TEXTS and isinstance(raw, str):
        return field, raw.strip() if field == "id" else raw
    message = f"a subtask has no field {field!r} to edit here"
    raise EditError(message)


def _number(field: str, raw: Any) -> float | int:
    text = str(raw).strip().removesuffix("s").removesuffix("MB").strip()
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if number != number or number in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN is not itself
        message = f"{_NUMBERS[field]}: a number, not {str(raw)[:40]!r}"
        raise EditError(message)
    if field == "timeout_s":
        return number
    if number != int(number):
        message = f"{_NUMBERS[field]}: a whole number, not {text}"
        raise EditError(message)
    return int(number)


def _map(raw: Any) -> dict[str, Any] | None:
    if not raw or not raw.get("over"):
        return None
    out: dict[str, Any] = {"over": str(raw["over"]), "shards": None, "rows": None}
    unit = "rows" if raw.get("unit") == "rows" else "shards"
    text = str(raw.get("count", "")).strip()
    if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004 - nine digits are more rows than anyone maps
        message = f"{unit} of a map: a whole number, not {text[:40]!r}"
        raise EditError(message)
    return {**out, unit: int(text)}


def _edit(message: Mapping[str, Any]) -> Action:
    field, value = field_value(str(message["field"]), message["value"])
    return a.EditField(subtask=str(message["subtask"]), field=field, value=value, burst=str(message.get("burst") or ""))


def _control(message: Mapping[str, Any]) -> Action:
    verb, subtask = str(message["verb"]), message.get("subtask")
    if verb not in VERBS or (subtask is None and verb in {"skip", "rerun"}):
        text = f"a run cannot {verb!r} like that"
        raise EditError(text)
    return a.Control(verb=verb, subtask=None if subtask is None else str(subtask))


def _step(message: Mapping[str, Any]) -> Action:
    if message["to"] not in set(Step):
        text = f"there is no page {message['to']!r}"
        raise EditError(text)
    return a.GoTo(step=Step(message["to"]))


def _add(message: Mapping[str, Any]) -> Action:
    place = message.get("suggestion")
    return a.AddSubtask(suggestion=None if place is None else int(place))


def _text(message: Mapping[str, Any], name: str) -> str | None:
    value = message.get(name)
    return None if value is None else str(value)


def _split(message: Mapping[str, Any]) -> Action:
    subtask = str(message["subtask"])
    if message.get("shards") is not None:
        return a.SplitShards(subtask=subtask, count=_whole("number of shards", message["shards"]))
    return a.SplitAt(subtask=subtask, line=_whole("line", message["line"]))


def _whole(name: str, raw: Any) -> int:
    text = str(raw).strip()
    if not text.isdecimal() or len(text) > 9 or int(text) < 1:  # noqa: PLR2004 - nine digits are more than anyone needs
        message = f"{name}: a whole number from 1, not {text[:40]!r}"
        raise EditError(message)
    return int(text)


def _answers(message: Mapping[str, Any]) -> Action:
    raw = message["answers"]
    if not isinstance(raw, dict):
        text = "answers belong to questions: reload the page"
        raise EditError(text)
    return a.AnswerQuestions(answers={str(question): str(answer) for question, answer in raw.items()})


_MAKERS: dict[str, Callable[[Mapping[str, Any]], Action]] = {
    "step": _step,
    "draft": lambda m: a.Draft(command=None if m.get("command") is None else str(m["command"])),
    "attach": lambda m: a.AttachFile(path=str(m["path"])),
    "select": lambda m: a.Select(subtask=str(m["subtask"])),
    "edit": _edit,
    "add": _add,
    "drop": lambda m: a.Drop(subtask=str(m["subtask"])),
    "duplicate": lambda m: a.Duplicate(subtask=str(m["subtask"])),
    "move": lambda m: a.Move(subtask=str(m["subtask"]), by=int(m["by"])),
    "undo": lambda _: a.Undo(),
    "redo": lambda _: a.Redo(),
    "approve": lambda m: a.Approve(digest=str(m["digest"])),
    "go_on": lambda m: a.GoOn(digest=str(m["digest"])),
    "edit_run": lambda m: a.EditRun(subtask=str(m["subtask"])),
    "control": _control,
    "split": _split,
    "merge": lambda m: a.MergeNext(subtask=str(m["subtask"])),
    "try": lambda m: a.TryOut(digest=str(m["digest"]), subtask=_text(m, "subtask")),
    "close_trial": lambda _: a.CloseTrial(),
    "answer": _answers,
    "ask": lambda m: a.AskChange(
        words=str(m.get("words") or ""), subtask=_text(m, "subtask"), answer=_text(m, "answer")
    ),
    "fix": lambda m: a.AskRepair(subtask=str(m["subtask"])),
    "take": lambda m: a.TakeChange(digest=str(m["digest"])),
    "leave": lambda _: a.LeaveChange(),
    "keep": lambda m: r.KeepFile(what=str(m["what"])),
    "next": lambda m: r.AskNext(words=str(m["words"]), answer=_text(m, "answer")),
    "next_prompt": lambda m: r.MakeNextPrompt(words=str(m["words"])),
    "prompt": lambda m: a.MakePrompt(words=str(m["words"])),
    "run": lambda m: a.ShowRun(run_id=str(m["run"])),
    "diff": lambda m: a.ShowDiff(on=bool(m["on"])),
    "save_as": lambda m: a.SaveAs(name=str(m["name"])),
    "open": lambda m: a.OpenPlan(path=str(m["path"])),
    "add_worker": lambda m: a.AddWorker(url=str(m["url"])),
    "remove_worker": lambda m: a.RemoveWorker(worker=str(m["worker"])),
    "ping": lambda _: a.Ping(),
    "dismiss": lambda _: a.Dismiss(),
}
