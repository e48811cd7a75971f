"""What a person writes for a subtask: its fields, some of them flat, or a function of theirs."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from nadg_kernel.errors import EditError
from nadg_kernel.model.free_names import free_names
from nadg_kernel.model.parsing import parse

_LIMITS = frozenset({"timeout_s", "memory_mb", "disk_mb", "output_kb"})
_PERMISSIONS = frozenset({"network", "processes", "gpu"})


def unflatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Allow `timeout_s=60` and `network=True` beside the nested records."""
    out = dict(values)
    if "prompt" in out:
        out["kind"], out["code"] = "prompt", out.pop("prompt")
    for group, names in (("limits", _LIMITS), ("permissions", _PERMISSIONS)):
        flat = {name: out.pop(name) for name in names if name in out}
        if flat:
            nested = out.get(group) or {}
            out[group] = {**nested, **flat} if isinstance(nested, Mapping) else replace(nested, **flat)
    return out


def from_function(func: Callable[..., Any], depends_on: Sequence[str], data: Sequence[str]) -> dict[str, Any]:
    """A subtask's fields from a function: its source, and a call that takes its parameters from inputs.

    What it uses of imported modules is imported in the code too; other names of the notebook become problems of the
    plan.
    Raises EditError where the source is not to be had or a parameter has no input.
    """
    try:
        source = textwrap.dedent(inspect.getsource(func))
        parameters = inspect.signature(func).parameters
    except (OSError, TypeError, ValueError) as error:
        message = f"the source of {func!r} is not available: define it in a cell or a file ({error})"
        raise EditError(message) from error
    if func.__name__ == "<lambda>":
        message = "a lambda has no source of its own: use def"
        raise EditError(message)
    names = [*depends_on, *data]
    spare = [name for name in names if name not in parameters]
    arguments, used = [], []
    for name, parameter in parameters.items():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            continue
        required = parameter.default is parameter.empty
        source_name = name if name in names else (spare.pop(0) if spare and required else None)
        if source_name is None:
            if required:
                message = f"no input for the parameter {name!r} of {func.__name__}: name it in depends_on"
                raise EditError(message)
            continue
        arguments.append(f"{name}=inputs[{source_name!r}]")
        used.append(source_name)
    return {
        "id": None,
        "title": func.__name__.replace("_", " ").capitalize(),
        "instruction": inspect.getdoc(func) or "",
        "code": f"{_imports(func, source)}{source.rstrip()}\n\n\nresult = {func.__name__}({', '.join(arguments)})\n",
        "inputs": tuple(used),
    }


def _imports(func: Callable[..., Any], source: str) -> str:
    """Import lines for the modules, and for what comes from modules, that the function finds in its globals."""
    try:
        free = free_names(source, parse(source))
    except SyntaxError:
        return ""
    there = getattr(inspect.unwrap(func), "__globals__", {})
    lines = []
    for name, _line in free:
        value = there.get(name)
        if isinstance(value, ModuleType):
            lines.append(f"import {name}" if value.__name__ == name else f"import {value.__name__} as {name}")
            continue
        home, own = getattr(value, "__module__", None), getattr(value, "__name__", name)
        if isinstance(home, str) and home not in {func.__module__, "__main__"}:
            module = sys.modules.get(home)
            if module is not None and getattr(module, str(own), None) is value:
                lines.append(f"from {home} import {own}" if own == name else f"from {home} import {own} as {name}")
    return "".join(f"{line}\n" for line in lines) + ("\n\n" if lines else "")
