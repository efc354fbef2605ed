"""How benchmarks print what they found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One measurement. `ratio` is against `reference`, measured in the same run."""

    what: str
    value: str
    reference: str = ""
    ratio: str = ""
    wanted: str = ""


def print_rows(rows: Sequence[Row]) -> None:
    """An aligned table on standard output."""
    table = [Row("what", "value", "reference", "ratio", "wanted"), *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(Row._fields))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
