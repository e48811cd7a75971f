"""Subtasks from plain values, each of them checked by name and type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from nadg_kernel.model.records import Limits, Map, Permissions, Subtask


def subtask_from_json(raw: Mapping[str, Any]) -> Subtask:
    """Read a subtask. Raises TypeError or ValueError with the field's name; unknown fields are refused.

    Without `inputs` they are what the code mentions (see inputs.py), resolved by the plan that it joins.
    """
    values = dict(raw)
    if "prompt" in values:
        values.setdefault("kind", "prompt")
        values["code"] = values.pop("prompt")
    known = {spec.name for spec in fields(Subtask)}
    if unknown := sorted(set(values) - known):
        message = f"unknown field {unknown[0]!r} (known: {', '.join(sorted(known))})"
        raise ValueError(message)
    return build_subtask(values)


_TYPES: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "title": (str,),
    "instruction": (str,),
    "kind": (str,),
    "code": (str,),
    "priority": (int,),
    "hold": (bool,),
    "cache": (bool, type(None)),
    "repeatable": (bool,),
    "retries": (int,),
}


def build_subtask(values: Mapping[str, Any], base: Subtask | None = None) -> Subtask:
    """A subtask from plain values over `base`, each value checked. Raises TypeError or ValueError naming the field."""
    clean: dict[str, Any] = {}
    for name, value in values.items():
        if name in _TYPES:
            wrong_bool = isinstance(value, bool) and bool not in _TYPES[name]
            if not isinstance(value, _TYPES[name]) or wrong_bool:
                wanted = " or ".join("null" if kind is type(None) else kind.__name__ for kind in _TYPES[name])
                message = f"{name} must be {wanted}, not {type(value).__name__}"
                raise TypeError(message)
            clean[name] = value
        elif name in {"inputs", "depends_on", "labels"}:
            clean[name] = _names(name, value)
        elif name == "map":
            clean[name] = None if value is None else _record(Map, name, value)
        elif name in {"limits", "permissions"}:
            kind = Limits if name == "limits" else Permissions
            clean[name] = _record(kind, name, value, None if base is None else getattr(base, name))
        else:
            message = f"a subtask has no field {name!r}"
            raise ValueError(message)
    if clean.get("kind", "python") not in {"python", "prompt"}:
        message = f"kind must be 'python' or 'prompt', not {clean['kind']!r}"
        raise ValueError(message)
    if base is not None:
        return replace(base, **clean)
    if "id" not in clean:
        message = "a subtask needs an id"
        raise ValueError(message)
    return Subtask(**clean)


def _names(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        message = f"{name} must be a list of names, not {value!r}"
        raise TypeError(message)
    items = tuple(value)
    if not all(isinstance(item, str) for item in items):
        message = f"{name} must be a list of names, not {list(items)!r}"
        raise TypeError(message)
    return tuple(dict.fromkeys(items))


_FIELD_TYPES: dict[type, dict[str, tuple[type, ...]]] = {
    Map: {"over": (str,), "shards": (int, type(None)), "rows": (int, type(None))},
    Limits: {
        "timeout_s": (int, float),
        "memory_mb": (int,),
        "disk_mb": (int,),
        "output_kb": (int,),
        "processes": (int,),
    },
    Permissions: {"network": (bool,), "processes": (bool,), "gpu": (bool,)},
}


def _record(kind: Any, name: str, value: object, base: Any = None) -> Any:
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        message = f"{name} must be a mapping, not {type(value).__name__}"
        raise TypeError(message)
    for key, item in value.items():
        wanted = _FIELD_TYPES[kind].get(key)
        if wanted is None:
            message = f"{name} has no field {key!r} (known: {', '.join(_FIELD_TYPES[kind])})"
            raise ValueError(message)
        if not isinstance(item, wanted) or (isinstance(item, bool) and bool not in wanted):
            message = f"{name}.{key} must be {wanted[0].__name__}, not {item!r}"
            raise TypeError(message)
    if base is not None:
        return replace(base, **value)
    if kind is Map and "over" not in value:
        message = "map needs `over`: the data name or subtask id to split"
        raise ValueError(message)
    return kind(**value)
