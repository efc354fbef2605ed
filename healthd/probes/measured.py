"""Measurements from plain values, with the units a probe documents."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from healthd.probes.base import MeasureInfo, Measurement

__all__ = ["measured"]

Value = float | int | str | Decimal | None


def measured(
    about: Mapping[str, MeasureInfo], values: Mapping[str, Value], series: str = ""
) -> tuple[Measurement, ...]:
    """One measurement for each value that is there. `values` is by name of measure, None standing for absent."""
    return tuple(
        Measurement(name, value if isinstance(value, str) else float(value), about[name].unit, series)
        for name, value in values.items()
        if value is not None
    )
