"""The front door: Grid, in parts by what a person wants of it."""

from nadg_kernel.grid.core import Grid

__all__ = ["Grid"]
