"""Action: what every message to the reducer is."""

from __future__ import annotations


class Action:
    """Base of everything that the reducer takes."""
