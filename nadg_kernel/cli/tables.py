"""Tables for people: plain columns, every cell cleaned, as what a worker says of itself is foreign text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg_kernel.display import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

CELL_CHARS = 200


def print_table(
    console: Console, columns: Sequence[str], rows: Iterable[Mapping[str, object]], *, numbers: Sequence[str] = ()
) -> None:
    """Print rows under their columns; `numbers` are set to the right, None is an empty cell."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold", justify="right" if name in numbers else "left")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name))) for name in columns))
    console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return clean_text(str(value).replace("\n", " "), CELL_CHARS).split("\n", 1)[0]
