"""What a subtask needs of a worker, as labels, and how to say that to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nadg_kernel.model import Subtask

MODEL = "model:"
"""Beginning of the labels of workers that have a language model."""
ANY_MODEL = "model:*"
"""Stands for every label that begins so; offered by whoever offers one of them."""
MODULE = "import "
"""Beginning of the labels that stand for importable modules; whoever drives the scheduler makes them up."""


def labels_needed(subtask: Subtask) -> frozenset[str]:
    """What a worker must offer to take a subtask."""
    needs = set(subtask.labels)
    if subtask.permissions.gpu:
        needs.add("gpu")
    if subtask.kind == "prompt" and not any(label.startswith(MODEL) for label in needs):
        needs.add(ANY_MODEL)
    return frozenset(needs)


def labels_offered(labels: Iterable[str]) -> frozenset[str]:
    """What a worker with these labels offers."""
    offered = frozenset(labels)
    return offered | {ANY_MODEL} if any(label.startswith(MODEL) for label in offered) else offered


def spoken(labels: Iterable[str]) -> str:
    """Needed labels for a person."""
    return ", ".join(_spoken(label) for label in sorted(labels))


def plain(labels: Iterable[str]) -> list[str]:
    """Those that a person gave a worker."""
    return sorted(label for label in labels if label != ANY_MODEL and not label.startswith(MODULE))


def _spoken(label: str) -> str:
    if label == ANY_MODEL:
        return "a language model (a label that begins with model:)"
    return f"the module {label.removeprefix(MODULE)}" if label.startswith(MODULE) else label
