"""Where an axis has its ticks: round values in the measure's unit, round wall-clock times in the system's zone."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from healthd.model.units import Unit

_DECIMAL = (1.0, 2.0, 2.5, 5.0, 10.0)
_SECONDS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 864000, 2592000)
_TIME_STEPS = tuple(
    timedelta(minutes=m) for m in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 10080, 20160, 43200)
)
DAY = timedelta(days=1)


def value_ticks(low: float, high: float, unit: Unit | None, wanted: int) -> list[float]:
    """Round values from at or below `low` to at or above `high`, about `wanted` of them; needs low < high."""
    step = _value_step((high - low) / wanted, unit)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, max(last, first + 1) + 1)]


def _value_step(rough: float, unit: Unit | None) -> float:
    if unit is Unit.SECONDS and rough > 30:
        nice = next((float(step) for step in _SECONDS if step >= rough), None)
        if nice is not None:
            return nice
    if unit in (Unit.COUNT, Unit.DAYS) and rough < 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in _DECIMAL if factor * power >= rough * 0.999)


def time_ticks(since: datetime, until: datetime, zone: ZoneInfo, most: int) -> list[tuple[datetime, str]]:
    """Times within the range that are round on the zone's clocks, at most `most`, with a label each."""
    step = next((s for s in _TIME_STEPS if (until - since) / s <= most), _TIME_STEPS[-1])
    local = since.astimezone(zone).replace(tzinfo=None)
    wall = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if step > DAY:  # counted from a fixed day, so that ticks do not wander from one day to the next
        wall -= timedelta(days=wall.toordinal() % step.days)
    found: dict[datetime, str] = {}
    end = until.astimezone(zone).replace(tzinfo=None) + DAY
    while wall <= end:
        at = wall.replace(tzinfo=zone).astimezone(UTC)
        if since <= at <= until:
            found.setdefault(at, _label(wall, step))
        wall += step
    return list(found.items())


def _label(wall: datetime, step: timedelta) -> str:
    if step >= DAY:
        return f"{wall.day} {wall:%b}"
    return f"{wall:%a} {wall.day}" if wall.hour == wall.minute == 0 and step >= timedelta(hours=3) else f"{wall:%H:%M}"
