"""Rows of a query's result as measurements."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from healthd.model.units import Unit, UnitError, convert, parse_quantity
from healthd.probes.base import Measurement, ProbeError
from healthd.probes.scale import base_unit, scaled

__all__ = ["Column", "Table", "as_table", "measurements"]

WORD_CHARS = 200  # a longer word is cut
UNNAMED = "?column?"  # what PostgreSQL calls an expression without a name
_SUFFIXES = {"_seconds": Unit.SECONDS, "_bytes": Unit.BYTES, "_ratio": Unit.RATIO, "_days": Unit.DAYS}


@dataclass(frozen=True, slots=True)
class Table:
    """A query's result: the first rows, and how many there are in all. `zone` reads times without a zone."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: int
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Column:
    """Which column becomes which measure, and the unit its numbers are in (None: told by type or name)."""

    measure: str
    column: str
    unit: str | None = None


def measurements(table: Table, columns: tuple[Column, ...], series: str | None) -> list[Measurement]:
    """The measures of each row. Without `columns` every column but `series` becomes one of its own name.

    NULL gives no measurement. Raises ProbeError for columns that are not there or cannot be told apart.
    """
    position = _positions(table)
    chosen = columns or tuple(Column(name, name) for name in position if name != series)
    absent = [name for name in (*(c.column for c in chosen), series) if name is not None and name not in position]
    if absent:
        raise ProbeError(f"no column {absent[0]!r} in the result: it has {', '.join(position)}", "config")
    found: list[Measurement] = []
    for name, row in _named_rows(table, None if series is None else position[series]):
        for column in chosen:
            measured = _measurement(column, row[position[column.column]], name, table.zone)
            if measured is not None:
                found.append(measured)
    return found


def _positions(table: Table) -> dict[str, int]:
    names = table.columns
    if UNNAMED in names:
        raise ProbeError(f"column {names.index(UNNAMED) + 1} has no name: give it one with AS", "config")
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise ProbeError(f"{names.count(twice)} columns are called {twice!r}: name them with AS", "config")
    return {name: index for index, name in enumerate(names)}


def _named_rows(table: Table, series: int | None) -> list[tuple[str, tuple[Any, ...]]]:
    if series is None:
        return [("", row) for row in table.rows]
    named = [("(null)" if row[series] is None else _word(row[series]), row) for row in table.rows]
    twice = next((name for name, times in Counter(name for name, _ in named).items() if times > 1), None)
    if twice is not None:
        raise ProbeError(f"series {twice!r} comes twice in the result: GROUP BY {table.columns[series]}", "config")
    return named


def _measurement(column: Column, value: Any, series: str, zone: tzinfo) -> Measurement | None:
    if value is None:
        return None
    read, unit = _read(value, zone)
    if column.unit is not None:
        read, unit = _in_unit(read, unit, column)
    elif unit is None and not isinstance(read, str):
        unit = next((unit for suffix, unit in _SUFFIXES.items() if column.column.endswith(suffix)), None)
    return Measurement(column.measure, read, unit, series)


def _read(value: Any, zone: tzinfo) -> tuple[float | str, Unit | None]:
    """A value in its base unit, as far as its type tells."""
    match value:
        case bool():
            return float(value), Unit.COUNT
        case int() | float() | Decimal():
            return float(value), None
        case timedelta():
            return value.total_seconds(), Unit.SECONDS
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=zone)).timestamp(), Unit.TIMESTAMP
        case date():
            return datetime(value.year, value.month, value.day, tzinfo=zone).timestamp(), Unit.TIMESTAMP
        case _:
            return _word(value), Unit.TEXT


def _word(value: Any) -> str:
    if isinstance(value, bytes):  # bytea, or text of a database without an encoding
        text = value.decode("utf-8", "replace")
    else:
        text = json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
    return text if len(text) <= WORD_CHARS else text[: WORD_CHARS - 1] + "…"


def _in_unit(value: float | str, unit: Unit | None, column: Column) -> tuple[float | str, Unit]:
    """A number taken in the named unit; a word ("7453 kB") read as a quantity of that kind."""
    named = base_unit(column.unit or "")
    if named is Unit.TEXT:
        return (value if isinstance(value, str) else f"{value:.15g}"), named
    if isinstance(value, str):
        try:
            quantity = parse_quantity(value)
            if quantity.unit is None:
                return scaled(quantity.value, column.unit or "")
            return convert(quantity, named), named
        except UnitError as error:
            raise ProbeError(f"column {column.column!r}: {error}", "query") from None
    if unit in (None, Unit.COUNT):
        return scaled(value, column.unit or "")
    if unit is not named:
        raise ProbeError(f"column {column.column!r} is in {unit}, not in {column.unit}", "config")
    return value, named


def as_table(table: Table, rows: int, limit: int) -> str:
    """The first rows as people read them, at most `limit` characters."""
    lines = [" | ".join(table.columns)]
    lines += [" | ".join("NULL" if v is None else _word(v) for v in row) for row in table.rows[:rows]]
    if table.total > rows:
        lines.append(f"... and {table.total - rows} more")
    return "\n".join(lines)[:limit]
