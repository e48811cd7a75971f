"""What a plan is made over: the notebook's values and the files that the person named, by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nadg_kernel.data import attach
from nadg_kernel.errors import DataError
from nadg_kernel.panel.found import name_of_file, offer_of_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nadg_kernel.data import Attached
    from nadg_kernel.grid import Grid
    from nadg_kernel.model import Plan
    from nadg_kernel.panel.records import Offer


class Materials:
    """Keeps what cannot be in a frozen state."""

    def __init__(self, grid: Grid, namespace: Mapping[str, Any]) -> None:
        """Nothing is read yet."""
        self._grid, self._namespace = grid, namespace
        self._files: dict[str, Attached] = {}
        self._names: dict[Path, str] = {}

    def values(self, offers: tuple[Offer, ...]) -> dict[str, Any]:
        """The values behind offers. Raises DataError for what the notebook no longer has."""
        out: dict[str, Any] = {}
        for offer in offers:
            if offer.path:
                out[offer.name] = self._files[offer.name]
            elif offer.name in self._namespace:
                out[offer.name] = self._namespace[offer.name]
            else:
                message = f"the notebook has no {offer.name!r} any more: run its cell again, or take it off"
                raise DataError(message)
        return out

    def missing(self, plan: Plan, offers: tuple[Offer, ...]) -> dict[str, Any]:
        """Values for what the plan names and does not carry, as a plan from disk does not."""
        there = plan.context.attached
        return self.values(tuple(offer for offer in offers if offer.name in plan.data and offer.name not in there))

    def file(self, text: str, taken: tuple[str, ...]) -> Offer:
        """Read a file; the same path again is the same data, read anew."""
        path = Path(text).expanduser()
        name = self._names.get(path) or name_of_file(text, taken)
        self._files[name] = attach(name, path, self._grid.blobs)
        self._names[path] = name
        return offer_of_file(name, text, self._files[name].schema)
