"""Measurements as a person types them: `latency=620ms`, `used_ratio{/var}=91%`, `database=connected`."""

from __future__ import annotations

import re
from difflib import get_close_matches

from healthd.model.catalogue import Check
from healthd.model.outcomes import Measurement
from healthd.model.units import UnitError, convert, parse_quantity

_GIVEN = re.compile(r"^\s*([^={}\s]+)\s*(?:\{([^}]*)\})?\s*=\s*(.*?)\s*$")


def measurement(check: Check, text: str) -> tuple[tuple[str, str], Measurement | None]:
    """Read one: ((measure, series), measurement), None for `measure=missing`. A bare number is in the base unit.

    Raises UnitError saying what would be right.
    """
    match = _GIVEN.match(text)
    if match is None or not match[3]:
        raise UnitError(f"{text!r} is not a measurement: expected measure=value, such as latency=620ms")
    name, series, value = match[1], match[2] or "", match[3]
    rows = [row for row in check.thresholds if row.measure == name]
    if not rows:
        measures = sorted({row.measure for row in check.thresholds})
        near = get_close_matches(name, measures, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it judges {', '.join(measures) or 'nothing'}"
        raise UnitError(f"{check.id} has no threshold for {name!r}; {hint}")
    if value.lower() == "missing":
        return (name, series), None
    unit = next((row.unit for row in rows if row.unit is not None), None)
    try:
        quantity = parse_quantity(value)
    except UnitError:
        if value[0].isdigit() and unit is not None:
            raise
        truth = {"true": 1.0, "false": 0.0}.get(value.lower(), value)
        return (name, series), Measurement(name, truth, unit, series)
    return (name, series), Measurement(name, convert(quantity, unit), unit or quantity.unit, series)
