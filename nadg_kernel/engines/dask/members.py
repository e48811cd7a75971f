"""Dask's workers as this grid names them: an id that survives a restart, and the labels that plans choose by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_ODD = re.compile(r"[^A-Za-z0-9._]+")
_ID_CHARS = 100
_PRESENT = frozenset({"running", "paused"})


@dataclass(frozen=True, kw_only=True)
class Member:
    """One Dask worker now. `address` changes when a nanny starts it again, `worker_id` does not if it has a name."""

    worker_id: str
    address: str
    paused: bool = False


def worker_id(name: object, address: str) -> str:
    """The id of a Dask worker: `dask-` and its name, or its address where it has no name of its own."""
    own = str(name) if name is not None and str(name) else address
    return f"dask-{_ODD.sub('-', own.partition('://')[2] or own).strip('-')}"[:_ID_CHARS]


def labels(name: object, address: str, resources: Mapping[str, float]) -> tuple[str, ...]:
    """`dask`, `name:` for a name of its own, and each resource of which it has any, in lower case: `GPU` is `gpu`."""
    own = "" if name is None or "://" in str(name) or str(name) == address else str(name)
    named = [f"name:{_ODD.sub('-', own)}"] if own else []
    return ("dask", *named, *(_ODD.sub("-", key).lower() for key, amount in resources.items() if amount))


def members(identity: Mapping[str, Any]) -> dict[str, Member]:
    """The workers in a scheduler's identity by id; those that are closing are not among them.

    Of two workers with one name, the one that came later has its address in its id.
    """
    found: dict[str, Member] = {}
    for address, about in identity["workers"].items():
        status = about.get("status", "running")
        if status not in _PRESENT:
            continue
        name = worker_id(about.get("name"), address)
        if name in found:
            name = worker_id(None, address)
        found[name] = Member(worker_id=name, address=address, paused=status == "paused")
    return found
