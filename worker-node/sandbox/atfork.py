"""What libraries want done around a fork: the zygote has one thread and needs none of it, a task that forks does.

Each handler touches pages that a child shares with the zygote, and every page that is touched is copied: together they
cost more than the fork. The random generators are the exception; the zygote seeds them itself.
"""

from __future__ import annotations

import os
from typing import Any

_register = os.register_at_fork
_held: list[dict[str, Any]] = []


def hold_back() -> None:
    """From now on, remember what libraries register instead of registering it. Call it before they are loaded."""

    def hold(**handlers: Any) -> None:
        _held.append(handlers)

    os.register_at_fork = hold


def let_through() -> None:
    """From now on, what is registered counts at once."""
    os.register_at_fork = _register


def hand_over() -> None:
    """In a task that may fork: register what was held back."""
    for handlers in _held:
        _register(**handlers)
    _held.clear()
