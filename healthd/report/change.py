"""How a value compares with the one before, in words. Pure."""

from __future__ import annotations

import math

from healthd.model.units import Unit, format_value

STEADY = 0.005  # a relative change below this is none
LEAST_POINTS = 0.05  # nor is one of fewer percentage points


def change_of(before: float | str | None, value: float | str | None, unit: Unit | None) -> str:
    """Such as "+12 %", "-3 points", "was connected"; "" when there is nothing to compare or nothing changed."""
    if before is None or value is None or before == value or unit is Unit.TIMESTAMP:
        return ""
    if isinstance(before, str) or isinstance(value, str):
        return f"was {format_value(before, unit)}"
    return _difference(before, value, unit) if math.isfinite(before) and math.isfinite(value) else ""


def _difference(before: float, value: float, unit: Unit | None) -> str:
    if unit is Unit.RATIO:
        points = (value - before) * 100
        return f"{points:+.1f} points" if abs(points) >= LEAST_POINTS else ""
    if before == 0 or abs(value - before) > 10 * abs(before):
        return f"was {format_value(before, unit)}"
    relative = (value - before) / abs(before)
    return f"{relative:+.0%}".replace("%", " %") if abs(relative) >= STEADY else ""
