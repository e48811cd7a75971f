"""Recipe: a plain Python file with a header that says what it does, what it needs and what it gives."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

Stage = Literal["rows", "table", "summary", "view", "alone"]
STAGES: tuple[Stage, ...] = ("rows", "table", "summary", "view", "alone")

_HEADER = re.compile(r"\A# /// recipe\n(?P<toml>(?:#.*\n)+?)# ///\n+")
_INCLUDE = re.compile(r"^# include: (\w+)\n", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One recipe. Its file begins with a TOML block in comments, `# /// recipe` to `# ///`; the rest is the code.

    The code reads `inputs["SOURCE"]`, which becomes the name of data or of a subtask, and has its columns and choices
    as constants `NAME = value` at the top, one line each.
    """

    name: str
    title: str
    """For a person; `{NAME}` stands for a constant."""
    summary: str
    stage: Stage
    """rows: adds columns to the rows. table: a smaller table. summary: describes. view: shows all that came before.
    alone: makes its own input, or reads a folder."""
    words: tuple[str, ...]
    """Words and phrases of a command that ask for it. `average * by` allows up to three words for the star. None: it is
    part of another recipe's chain."""
    weak: tuple[str, ...] = ()
    """Words that ask for it only where nothing else fits and the clause is about attached data."""
    words_without_view: tuple[str, ...] = ()
    """Words that ask for it only where the clause asks for no view, which would show the same."""
    covers: tuple[str, ...] = ()
    """Recipes that it includes when the same clause asks for both."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Constant -> role (see columns.py); `?` after the role: optional; `*`: a list; `+`: a list, not empty."""
    choices: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """Constant -> value -> words of the clause that choose it; after a `?` words that count where no other does."""
    several: tuple[str, ...] = ()
    """Constants that are a list of such choices."""
    counts: tuple[str, ...] = ()
    """Constants that take a whole number from the clause (`top 5`)."""
    adds: Mapping[str, str] = field(default_factory=dict)
    """Columns of the result -> dtype, besides those kept; `{NAME}` stands for a constant."""
    keeps: tuple[str, ...] | None = None
    """Constants whose columns the result keeps; None: all columns of the source."""
    shows: tuple[str, ...] = ()
    """Of a view: the stages whose tables it takes in. With `rows` among them it starts from the rows even after a
    "then" that speaks of a table."""
    map_rows: int = 0
    """Rows that are worth a shard of their own; 0: never mapped."""
    timeout_s: float = 60
    processes: bool = False
    kind: Literal["python", "prompt"] = "python"
    data_kinds: tuple[str, ...] = ("frame", "json", "text", "array")
    second: bool = False
    """Whether it joins two tables: `inputs["SECOND"]` is the other one."""
    chain: tuple[str, ...] = ()
    """Recipes that come before it, each reading the one before: its source is the last of them. The first one may read
    data; any of them reads that data as `inputs["SECOND"]` too."""
    also: str = ""
    """A recipe of the chain that it reads besides, as `inputs["ALSO"]`."""
    map_source: bool = False
    """Whether it runs once per item of the list that its source gives."""
    texts: tuple[str, ...] = ()
    """Constants that take the clause's topic, in its words."""
    code: str = ""


def parse(text: str, snippets: Mapping[str, str] | None = None) -> Recipe:
    """A recipe from its file's text. Raises ValueError that says what is wrong with the header."""
    found = _HEADER.match(text)
    if found is None:
        message = "a recipe starts with '# /// recipe' and its header ends with '# ///'"
        raise ValueError(message)
    lines = found["toml"].splitlines()
    raw = tomllib.loads("\n".join(line.removeprefix("#").removeprefix(" ") for line in lines))
    unknown = set(raw) - set(Recipe.__dataclass_fields__)
    if unknown:
        message = f"unknown header field {min(unknown)!r}"
        raise ValueError(message)
    if missing := [name for name in ("name", "title", "summary", "stage", "words") if name not in raw]:
        message = f"the header lacks {missing[0]!r}"
        raise ValueError(message)
    if raw["stage"] not in STAGES:
        message = f"stage must be one of {', '.join(STAGES)}, not {raw['stage']!r}"
        raise ValueError(message)
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    values["choices"] = {
        name: {value: tuple(words) for value, words in options.items()}
        for name, options in raw.get("choices", {}).items()
    }
    code = _INCLUDE.sub(lambda match: (snippets or {})[match[1]].strip() + "\n", text[found.end() :])
    return Recipe(**values, code=code)


@lru_cache(maxsize=1)
def library() -> Mapping[str, Recipe]:
    """The recipes that ship with the package, by name, in the files' order."""
    folder = files(__package__) / "library"
    texts = {item.name.partition(".")[0]: item.read_text("utf-8") for item in folder.iterdir() if item.is_file()}
    snippets = {name.removeprefix("_"): text for name, text in texts.items() if name.startswith("_")}
    found = (parse(texts[name], snippets) for name in sorted(texts) if not name.startswith("_"))
    return {recipe.name: recipe for recipe in found}
