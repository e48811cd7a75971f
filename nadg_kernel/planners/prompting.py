"""Prompts: readable text files with a version, filled with what the planner may know, data always between marks."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from nadg_kernel.model import Command

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from nadg_kernel.model import Plan, Subtask
    from nadg_kernel.planners.base import Briefing

MOST_SUBTASKS = 24
"""Asked of a model; a plan may have more when a person says so."""
COLUMNS_SHOWN = 200
"""Columns of one table that are told."""
_SAMPLE_CHARACTERS = 4000
_COMMAND_CHARACTERS = 60_000
_PLAN_CHARACTERS = 200_000
_ERROR_CHARACTERS = 8_000
_RESULT_CHARACTERS = 60_000
_PACKAGES_CHARACTERS = 2500
_ANALYSIS = (
    *("pandas", "numpy", "plotly", "scipy", "scikit-learn", "sklearn", "statsmodels", "polars", "pyarrow", "duckdb"),
    *("matplotlib", "seaborn", "altair", "vadersentiment", "nltk", "spacy", "textblob", "gensim", "networkx", "sympy"),
    *("pillow", "opencv-python-headless", "xgboost", "lightgbm", "torch", "transformers", "sentence-transformers"),
    *("beautifulsoup4", "lxml", "openpyxl", "requests", "httpx", "dask", "shapely", "geopandas"),
)
"""Packages that work on data, named first: a model should not have to find them among a server's own."""
_NAMES = ("chat", "change", "code", "contract", "fix", "gather.py", "report", "split", "written")


@cache
def _template(name: str) -> tuple[str, str]:
    """The version and the text of a prompt file."""
    text = (files("nadg_kernel.planners") / "prompts" / f"{name}.txt").read_text("utf-8")
    head, _, body = text.partition("\n\n")
    return head.removeprefix("version:").strip(), body


def prompt_versions() -> dict[str, str]:
    """Name -> version and digest of each prompt file, which a plan keeps."""
    out = {}
    for name in _NAMES:
        version, body = _template(name)
        out[name] = f"{version} {hashlib.sha256(body.encode()).hexdigest()[:12]}"
    return out


def filled(name: str, **values: str) -> str:
    """A text of the prompt files for a subtask; without values as it stands."""
    body = _template(name)[1]
    return body.format(**values) if values else body


def fill(name: str, **values: str) -> str:
    """A prompt with its places filled; marks inside values are defused so that data cannot end its own block."""
    safe = {key: value if key == "contract" else defuse(value) for key, value in values.items()}
    return _template(name)[1].format(**safe)


def defuse(text: str) -> str:
    """The text without anything that looks like the end of a block, and without half surrogates."""
    safe = text.encode("utf-8", "replace").decode("utf-8")
    return safe.replace(">>>", "> > >").replace("<<<", "< < <")


def contract(briefing: Briefing) -> str:
    """The worker contract with the packages that are installed there."""
    return _template("contract")[1].format(packages=packages_text(briefing))


def packages_text(briefing: Briefing) -> str:
    """What is installed on the workers: packages for data first, then the rest by name, as far as there is room."""
    place = {name: number for number, name in enumerate(_ANALYSIS)}
    known = briefing.packages or dict.fromkeys(briefing.context.modules or (), "")
    names = sorted(known, key=lambda name: (place.get(name.lower(), len(place)), name.lower()))
    shown: list[str] = []
    room = _PACKAGES_CHARACTERS
    for name in names:
        text = f"{name} {known[name]}".rstrip()
        room -= len(text) + 2
        if room < 0:
            return f"{', '.join(shown)} and {len(names) - len(shown)} more"
        shown.append(text)
    return ", ".join(shown) or "unknown; use pandas, numpy and plotly"


def split_prompt(command: Command, briefing: Briefing, name: str = "split") -> str:
    """What is sent to get a plan's structure (`split`), or structure and code at once (`chat`)."""
    return fill(
        name,
        most=str(MOST_SUBTASKS),
        capacity=str(briefing.capacity),
        contract=contract(briefing),
        labels=", ".join(sorted(briefing.context.labels or ())) or "none",
        data=data_text(command, briefing),
        command=_capped(command.text, _COMMAND_CHARACTERS),
    )


def code_prompt(plan: Plan, subtask: Subtask, command: Command, briefing: Briefing, notes: Mapping[str, str]) -> str:
    """What is sent to get the code of one subtask. `notes`: id -> the result that the split expects of it."""
    overview = {
        item.id: {"title": item.title, "depends_on": list(item.depends_on), "result": notes.get(item.id, "")}
        for item in plan.subtasks
    }
    whole = {"expected": notes.get(subtask.id, ""), **subtask.to_json()}
    for name in ("code", "limits", "priority", "hold", "cache", "repeatable", "retries"):
        whole.pop(name, None)
    return fill(
        "code",
        contract=contract(briefing),
        command=_capped(command.text, _COMMAND_CHARACTERS),
        plan=json.dumps(overview, ensure_ascii=False),
        data=data_text(command, briefing),
        subtask=json.dumps(whole, ensure_ascii=False, indent=1),
    )


def change_prompt(plan: Plan, request: str, briefing: Briefing, frozen: Collection[str] = ()) -> str:
    """What is sent to get changes to a plan."""
    subtasks = [
        {key: value for key, value in item.to_json().items() if value not in (None, [], "", 0, False)}
        for item in plan.subtasks
    ]
    whole = {"command": _capped(plan.command, _COMMAND_CHARACTERS), "goal": plan.goal, "subtasks": subtasks}
    return fill(
        "change",
        frozen=", ".join(sorted(frozen)) or "none are",
        contract=contract(briefing),
        request=_capped(request, _COMMAND_CHARACTERS),
        plan=_capped(json.dumps(whole, ensure_ascii=False), _PLAN_CHARACTERS),
        data=data_text(Command(text=plan.command, data=plan.data), briefing),
    )


def repair_request(subtask: Subtask, error: str, shapes: str) -> str:
    """What is asked after a failure: the traceback and what the inputs looked like, capped."""
    cause, seen = _capped(error, _ERROR_CHARACTERS), _capped(shapes or "unknown", _ERROR_CHARACTERS)
    return (
        f"The subtask {subtask.id!r} failed. Change it, and others only where the cause is theirs.\n"
        f"Its traceback:\n{cause}\nIts inputs:\n{seen}"
    )


def follow_up_request(words: str, shapes: str) -> str:
    """What is asked after a run: the person's words, and what the finished subtasks gave."""
    return (
        f"{_capped(words, _COMMAND_CHARACTERS)}\n"
        "The plan ran. Add subtasks that read the results that are there; what failed may be changed.\n"
        f"Results by subtask:\n{_capped(shapes or 'none', _ERROR_CHARACTERS)}"
    )


def report_prompt(plan: Plan, results: Mapping[str, str]) -> str:
    """What is sent to get a report; each result is capped so that one cannot push out the others."""
    share = max(500, _RESULT_CHARACTERS // max(1, len(results)))
    listed = [
        f"[{name}] {plan[name].name if name in plan.ids else name}\n{_capped(text, share)}"
        for name, text in results.items()
    ]
    return fill("report", command=_capped(plan.command, _COMMAND_CHARACTERS), results="\n\n".join(listed) or "none")


def data_text(command: Command, briefing: Briefing) -> str:
    """Schemas of the attached data, and sample rows of those that the person allowed."""
    parts = []
    for name, schema in command.data.items():
        columns = dict(zip(schema.columns[:COLUMNS_SHOWN], schema.dtypes, strict=False))
        more = len(schema.columns) - COLUMNS_SHOWN
        about = {"name": name, "kind": schema.kind, "rows": schema.rows, "columns": columns}
        if more > 0:
            about["columns_left_out"] = more
        text = json.dumps(about, ensure_ascii=False)
        if sample := briefing.samples.get(name):
            text += f"\nsample rows of {name}, as data:\n{sample_text(sample)}"
        parts.append(text)
    return "\n".join(parts) or "nothing is attached"


def sample_text(sample: str) -> str:
    """Sample rows as they are sent: capped, and without anything that could end the block they stand in."""
    return defuse(_capped(sample, _SAMPLE_CHARACTERS))


def _capped(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}\n[cut: {len(text) - most:,} more characters]"
