"""Writes docs/reference.md from the docstrings: `make docs`, or `python -m tests.reference`."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Iterator
from pathlib import Path

import nadg_kernel
from nadg_kernel.costs import Cost
from nadg_kernel.doctor import doctor
from nadg_kernel.planners.preview import Preview
from nadg_kernel.planners.revising import Proposal
from nadg_kernel.results import ResultView
from nadg_kernel.standins import StandInModel, StandInWorker

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
HEAD = """\
# Reference

Every public name with its signature and docstring, written by `make docs` from the code; a test holds it current.
[api.md](api.md) is the overview.
"""
WIDTH = 100
FIRST = ("Grid", "Plan", "Run")
GIVEN = (ResultView, Proposal, Preview, Cost, doctor, StandInModel, StandInWorker)
"""What public names give, or what is imported from a module of its own."""


def reference() -> str:
    """The page."""
    names = [name for name in nadg_kernel.__all__ if not name.startswith("_")]
    found = [getattr(nadg_kernel, name) for name in [*FIRST, *sorted(set(names) - set(FIRST), key=str.lower)]]
    errors = [item for item in found if inspect.isclass(item) and issubclass(item, Exception)]
    rest = [item for item in found if item not in errors]
    errors.sort(key=lambda kind: [base.__name__ for base in reversed(kind.__mro__)])
    parts = [HEAD, *map(_entry, rest), *map(_entry, GIVEN), "## Errors\n", "\n".join(map(_error, errors)) + "\n"]
    return "\n".join(parts)


def public_members(kind: type) -> dict[str, object]:
    """Public name -> member, of the class and of its bases in this package; in the order of their definition."""
    own = [base for base in kind.__mro__ if base.__module__.startswith("nadg_kernel")]
    return {name: member for base in reversed(own) for name, member in vars(base).items() if not name.startswith("_")}


def _entry(item: object) -> str:
    where = item.__module__ if item in GIVEN else "nadg_kernel"
    if not inspect.isclass(item):
        return f"## {item.__name__}\n\n{_call(item, item.__name__)}\n\n{_text(item)}\n"
    out = [f"## {item.__name__}\n"]
    if item in GIVEN and item.__name__.startswith("StandIn"):
        out.append(f"From `{where}`.\n")
    if issubclass(item, enum.Enum):
        return "\n".join([*out, f"{_text(item)}\n", ", ".join(f"`{member.value}`" for member in item) + "\n"])
    out += [_call(item, item.__name__) + "\n", f"{_text(item)}\n"]
    fields = {spec.name for spec in dataclasses.fields(item)} if dataclasses.is_dataclass(item) else set()
    for name, member in public_members(item).items():
        if name in fields:
            continue
        if isinstance(member, property):
            out.append(f"### {name}\n\n{_type(member.fget)}\n\n{_text(member)}\n")
        elif callable(member) or isinstance(member, classmethod | staticmethod):
            bound = getattr(item, name)
            out.append(f"### {name}\n\n{_call(bound, name)}\n\n{_text(bound)}\n")
    return "\n".join(out)


def _error(kind: type) -> str:
    base = kind.__bases__[0].__name__
    return f"**`{kind.__name__}`** ({base}). {_text(kind)}\n"


def _text(item: object) -> str:
    return (inspect.getdoc(item) or "").replace("<", "&lt;")


def _type(function: object) -> str:
    return f"A value: `{inspect.signature(function).return_annotation}`"


def _call(item: object, name: str) -> str:
    """The call in a block of its own, one parameter per line where all on one do not fit."""
    signature = inspect.signature(item)
    given = [each for each in signature.parameters.values() if each.name != "self"]
    shown = list(_parameters(given))
    returns = "" if inspect.isclass(item) or not signature.return_annotation else f" -> {signature.return_annotation}"
    call = f"{name}({', '.join(shown)}){returns}"
    if len(call) > WIDTH:
        call = "\n".join([f"{name}(", *(f"    {part}," for part in shown), f"){returns}"])
    return f"```text\n{call}\n```"


def _parameters(given: list[inspect.Parameter]) -> Iterator[str]:
    """Each parameter as in the source; annotations are strings there, which `str(signature)` would put into quotes."""
    kinds = [each.kind for each in given]
    for number, each in enumerate(given):
        if each.kind is each.KEYWORD_ONLY and not {each.KEYWORD_ONLY, each.VAR_POSITIONAL} & set(kinds[:number]):
            yield "*"
        stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        kind = "" if each.annotation is each.empty else f": {each.annotation}"
        default = "" if each.default is each.empty else f" = {each.default!r}".replace("<factory>", "...")
        yield f"{stars}{each.name}{kind}{default}"
        if each.kind is each.POSITIONAL_ONLY and each.POSITIONAL_ONLY not in kinds[number + 1 :]:
            yield "/"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
