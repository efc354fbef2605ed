"""Which values are on their way to a limit, and when they get there. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from healthd.model.catalogue import Check, Threshold
from healthd.model.conditions import Comparison, Condition
from healthd.model.line import fit
from healthd.model.outcomes import Verdict
from healthd.model.units import Unit, format_value
from healthd.report.model import Growth

DAY = 86400.0
HORIZON = 180.0  # days: what is further away is no plan
QUALITY = 0.5  # R²: below this the line explains less than half, and says nothing
FEWEST = 6  # points
SHORTEST = 2.0  # days they span at least
_ORDERS = frozenset({">", ">=", "<", "<="})


def growth(
    check: Check, row: Threshold, verdict: Verdict, points: Sequence[tuple[datetime, float]], now: datetime
) -> Growth | None:
    """The nearest limit of `row` that the straight line through `points` reaches, None when it reaches none within
    half a year or there is no such line. `verdict` is the newest value."""
    value = verdict.value
    if not isinstance(value, int | float) or not math.isfinite(value) or len(points) < FEWEST:
        return None
    if (points[-1][0] - points[0][0]).total_seconds() < SHORTEST * DAY:
        return None
    line = fit([at.timestamp() for at, _ in points], [v for _, v in points], now.timestamp())
    if line is None or line.quality < QUALITY or not line.slope:
        return None
    ahead = []
    for level, condition in (("warning", row.warning), ("critical", row.critical)):
        limit = _limit(condition, verdict.unit)
        if condition is None or limit is None or condition.holds(float(value), verdict.unit):
            continue
        days = (limit - float(value)) / line.slope / DAY
        if 0 < days <= HORIZON:
            ahead.append((days, level, condition.text))
    if not ahead:
        return None
    days, level, text = min(ahead)
    per_day = line.slope * DAY
    return Growth(
        check_id=check.id,
        title=check.title,
        measure=verdict.measure,
        series=verdict.series,
        now=format_value(value, verdict.unit),
        per_day=per_day,
        change=_per_day(per_day, verdict.unit),
        limit=text,
        level=level,
        days=days,
        quality=line.quality,
    )


def _limit(condition: Condition | None, unit: Unit | None) -> float | None:
    """The number of a condition such as ">= 80%", in `unit`; None for any other kind."""
    if condition is None or not isinstance(condition.test, Comparison) or condition.test.op not in _ORDERS:
        return None
    return condition.limits(unit)[0]


def _per_day(change: float, unit: Unit | None) -> str:
    sign = "+" if change > 0 else "-"
    return f"{sign}{format_value(abs(change), unit)} per day"
