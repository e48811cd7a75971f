"""From an answer to a draft plan: every field checked, what can be mended is mended and said, the rest is a problem."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nadg_kernel.errors import PlannerError
from nadg_kernel.model import NEEDS_CODE, Limits, Map, Permissions, Plan, Subtask
from nadg_kernel.model.edits import ID
from nadg_kernel.model.inputs import mentioned_inputs
from nadg_kernel.planners.answering import unfenced

if TYPE_CHECKING:
    from nadg_kernel.model import Command
    from nadg_kernel.planners.base import Briefing

MOST_READ = 100
"""Subtasks of one answer that are read at all."""
MOST_TIMEOUT_S = 3600.0
MOST_SHARDS = 1000
_TITLE = 120
_TEXT = 4000
_ID_LENGTH = 40
_ASKS_OUTSIDE = re.compile(
    r"https?://|\b(?:web|url|download|fetch|api|internet|online|scrape|site|network)\b", re.IGNORECASE
)
_ASKS_GPU = re.compile(r"\b(?:gpu|cuda|train|neural|deep)\b", re.IGNORECASE)
_ASKS_PROCESSES = re.compile(
    r"\b(?:process|processes|parallel|pytest|tests?|command|shell|subprocess|build)\b", re.IGNORECASE
)


_READS_SECRETS = re.compile(r"\bos\.environ|\bgetenv\b|/proc/|\.ssh\b|_API_KEY|_SECRET|_TOKEN")


@dataclass(kw_only=True)
class Drafted:
    """A draft plan, the results that its author expects of each subtask, and what was mended on the way."""

    plan: Plan
    expected: dict[str, str] = field(default_factory=dict)
    mended: list[str] = field(default_factory=list)


def draft_from(raw: Mapping[str, Any], command: Command, briefing: Briefing, planner: Mapping[str, Any]) -> Drafted:
    """A draft from an answer's object. Raises PlannerError where it has no subtask at all."""
    items = [item for item in _list(raw.get("subtasks")) if isinstance(item, Mapping)]
    if not items:
        message = "the answer has no subtasks"
        raise PlannerError(message)
    reader = _Reader(command, items[:MOST_READ])
    subtasks = tuple(reader.read())
    if len(items) > MOST_READ:
        reader.mended.append(f"The answer has {len(items)} subtasks; the first {MOST_READ} are kept.")
    plan = Plan(
        command=command.text,
        subtasks=subtasks,
        draft=subtasks,
        data=dict(command.data),
        goal=_text(raw.get("goal"), _TEXT),
        assumptions=tuple(_texts(raw.get("assumptions"))),
        questions=(*_texts(raw.get("questions")), *reader.questions),
        planner=dict(planner),
        context=briefing.context,
    )
    return Drafted(plan=plan, expected=reader.expected, mended=reader.mended)


class _Reader:
    """Reads the subtasks of one answer: ids first, since everything else refers to them."""

    def __init__(self, command: Command, items: list[Mapping[str, Any]]) -> None:
        self.command, self.items = command, items
        self.data = tuple(command.data)
        self.ids: list[str] = []
        self.names: dict[str, str] = {}
        self.expected: dict[str, str] = {}
        self.mended: list[str] = []
        self.questions: list[str] = []

    def read(self) -> Iterable[Subtask]:
        """The subtasks with inputs and dependencies that agree."""
        self._name()
        return _linked([self._subtask(item, name) for item, name in zip(self.items, self.ids, strict=True)], self.data)

    def _name(self) -> None:
        taken = set(self.data)
        for number, item in enumerate(self.items, 1):
            said = _text(item.get("id"), _TITLE)
            if not said:
                said = (_text(item.get("name") or item.get("title"), _TITLE) or f"step_{number}").lower()
            wanted = clean_id(said)
            name, count = wanted, 2
            while name in taken:
                name, count = f"{wanted}_{count}", count + 1
            if name != said:
                self.mended.append(f"The id {said!r} became {name!r}.")
            taken.add(name)
            self.ids.append(name)
            for key in (said, wanted, _text(item.get("title"), _TITLE)):
                self.names.setdefault(key, name)
            self.names.setdefault(str(number), name)

    def _subtask(self, item: Mapping[str, Any], name: str) -> Subtask:
        kind = "prompt" if item.get("kind") == "prompt" or ("prompt" in item and "code" not in item) else "python"
        code = _code(item, kind)
        self.expected[name] = _text(item.get("expected") or item.get("expected_output"), _TEXT)
        instruction = _text(item.get("instruction") or item.get("description"), _TEXT)
        if check := _text(item.get("check"), _TEXT):
            instruction = f"{instruction}\n\nCheck: {check}".strip()
        depends = self._refs(item.get("depends_on"), name, only_ids=True)
        inputs = self._refs(item.get("inputs"), name)
        if kind == "prompt" and not code.strip():  # a split without code: its instruction is the prompt
            code = "\n\n".join([instruction, *(f"{{{ref}}}" for ref in dict.fromkeys((*inputs, *depends)))]).strip()
        return Subtask(
            id=name,
            title=_text(item.get("title"), _TITLE) or name.replace("_", " ").capitalize(),
            instruction=instruction,
            kind=kind,  # type: ignore[arg-type]
            code=code,
            inputs=inputs,
            depends_on=depends,
            map=self._map(item, inputs, name),
            limits=self._limits(item, name),
            permissions=self._permissions(item, name),
            labels=tuple(dict.fromkeys(_texts(item.get("labels")))),
        )

    def _refs(self, value: object, own: str, *, only_ids: bool = False) -> tuple[str, ...]:
        """Names as they are called here; unknown ones stay and become problems."""
        out: list[str] = []
        for said in _texts(value):
            known = (
                said
                if said in self.data or said in self.ids
                else self.names.get(said) or self.names.get(clean_id(said))
            )
            name = known or said
            if name == own or (only_ids and name in self.data):
                continue
            out.append(name)
        return tuple(dict.fromkeys(out))

    def _map(self, item: Mapping[str, Any], inputs: tuple[str, ...], name: str) -> Map | None:
        nested = item.get("map")
        nested = nested if isinstance(nested, Mapping) else {}
        over = self._refs([item.get("map_over") or nested.get("over") or ""], name)
        shards = _number(item.get("map_shards") or nested.get("shards"))
        rows = _number(nested.get("rows"))
        if not over or over[0] not in {*inputs, *self.data, *self.ids}:
            return None
        schema = self.command.data.get(over[0])
        if schema is not None and schema.kind not in {"frame", "json", "array", "folder"}:
            self.mended.append(f"{name} is not mapped: {over[0]!r} is {schema.kind} and cannot be split.")
            return None
        if rows and rows >= 1 and not shards:
            return Map(over=over[0], rows=int(rows))
        return Map(over=over[0], shards=int(min(shards, MOST_SHARDS))) if shards and shards >= 1 else None

    def _limits(self, item: Mapping[str, Any], name: str) -> Limits:
        nested = item.get("limits")
        nested = nested if isinstance(nested, Mapping) else {}
        said = _number(item.get("timeout_s") if "timeout_s" in item else nested.get("timeout_s"))
        if said is None or said == 0:
            return Limits()
        timeout = min(max(said, 1.0), MOST_TIMEOUT_S)
        if timeout != said:
            self.mended.append(f"The time limit of {name} became {timeout:g} s.")
        return Limits(timeout_s=timeout)

    def _permissions(self, item: Mapping[str, Any], name: str) -> Permissions:
        """Only what the person's own words make plausible; anything else a person has to switch on."""
        value = item.get("permissions")
        asked = [key for key, on in value.items() if on] if isinstance(value, Mapping) else _texts(value)
        plausible = {"network": _ASKS_OUTSIDE, "processes": _ASKS_PROCESSES, "gpu": _ASKS_GPU}
        granted = {key for key in asked if key in plausible and plausible[key].search(self.command.text)}
        for key in asked:
            if key in plausible and key not in granted:
                self.questions.append(f"{name} asks for {key}, which the command does not speak of: it is off. Needed?")
        return Permissions(**dict.fromkeys(granted, True))


def _linked(subtasks: list[Subtask], data: tuple[str, ...]) -> list[Subtask]:
    """What is read is sent and depended on; what is depended on without being read is sent too."""
    ids = [item.id for item in subtasks]
    out = []
    for item in subtasks:
        item = with_reads(item, data, ids)  # noqa: PLW2901 - one subtask, step by step
        depends = dict.fromkeys([*item.depends_on, *(name for name in item.inputs if name in ids and name != item.id)])
        inputs = dict.fromkeys([*item.inputs, *(name for name in depends if name in ids)])
        out.append(replace(item, depends_on=tuple(depends), inputs=tuple(inputs)))
    return out


def with_reads(item: Subtask, data: Iterable[str], ids: Iterable[str]) -> Subtask:
    """The subtask with what its code reads by name, and what it is mapped over, among its inputs."""
    names = [name for name in (*data, *ids) if name != item.id]
    over = [item.map.over] if item.map else []
    if item.kind == "prompt":
        reads = [name for name in names if f"{{{name}" in item.code]
    else:
        reads = list(mentioned_inputs(item.code, names)) if item.code.strip() else []
        reads = [name for name in reads if re.search(rf"""['"]{re.escape(name)}['"]""", item.code)]
    return replace(item, inputs=tuple(dict.fromkeys([*item.inputs, *over, *reads])))


def with_code(subtask: Subtask, code: str, plan: Plan) -> Subtask:
    """The subtask with its code; what the code reads of earlier subtasks is sent to it."""
    if not code.strip():
        return replace(subtask, code=f"{NEEDS_CODE}: the planner gave none\nresult = None\n")
    earlier = {name for name in plan.ids if name != subtask.id and name not in plan.descendants(subtask.id)}
    item = with_reads(replace(subtask, code=code), plan.data, [name for name in plan.ids if name in earlier])
    depends = (*item.depends_on, *(name for name in item.inputs if name in earlier))
    return replace(item, depends_on=tuple(dict.fromkeys(depends)))


def suspicious(plan: Plan) -> list[str]:
    """Questions about code that a person should read twice before approving it."""
    return [
        f"The code of {item.id} reads the environment, where secrets are; workers have none. Why?"
        for item in plan.subtasks
        if item.kind == "python" and _READS_SECRETS.search(item.code)
    ]


def clean_id(said: str) -> str:
    """An id as close to what was said as an id may be."""
    if ID.fullmatch(said) and len(said) <= _ID_LENGTH:
        return said
    plain = unicodedata.normalize("NFKD", said.casefold()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:_ID_LENGTH].strip("_").lower()
    if not name:
        return "subtask"
    return name if name[0].isalpha() else f"t_{name}"


def _code(item: Mapping[str, Any], kind: str) -> str:
    value = item.get("prompt") if kind == "prompt" and item.get("prompt") else item.get("code")
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "\n".join(value)
    if not isinstance(value, str):
        return ""
    return value.strip() + "\n" if kind == "prompt" else unfenced(value)


def _list(value: object) -> list[Any]:
    if isinstance(value, Mapping):
        return [{"id": key, **item} for key, item in value.items() if isinstance(item, Mapping)]
    return list(value) if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        value = [value] if value.strip() else []
    if not isinstance(value, list):
        return []
    plain = (item.get("id", "") if isinstance(item, Mapping) else item for item in value)
    return [_text(item, _TEXT) for item in plain if isinstance(item, (str, int, float)) and str(item).strip()]


def _text(value: object, most: int) -> str:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        return ""
    text = str(value).encode("utf-8", "replace").decode("utf-8").replace("\x00", "").strip()
    return text if len(text) <= most else text[: most - 1] + "…"


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number == number and abs(number) != float("inf") else None  # noqa: PLR0124 - NaN is not itself
