"""How fast something grows, from what earlier looks of this process saw."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator

from healthd.model.line import fit
from healthd.probes.base import Duration, Resources

__all__ = ["Growth", "GrowthTime", "growth_of"]

DAY = 86_400.0
_POINTS = 200  # of a series
_SERIES = 1000
_LEAST = 0.25  # of the time looked back on must be known, or chance would speak


def _sensible(value: timedelta) -> timedelta:
    if not timedelta(minutes=10) <= value <= timedelta(days=90):
        raise ValueError("growth is told over 10m to 90d")
    return value


# The parameter `growth_over` of probes that tell how fast something grows.
GrowthTime = Annotated[Duration, AfterValidator(_sensible)]


class Growth:
    """Values by series, of the last `over`. Memory is bounded: of values close to each other the first is kept."""

    def __init__(self, over: timedelta) -> None:
        self._over = over.total_seconds()
        self._points: dict[str, deque[tuple[float, float]]] = {}

    def per_day(self, series: str, now: datetime, value: float) -> float | None:
        """By how much it grows in a day (the slope of a straight line); None until enough time has been seen."""
        at = now.timestamp()
        if series not in self._points and len(self._points) >= _SERIES:
            return None
        points = self._points.setdefault(series, deque())
        while points and points[0][0] < at - self._over:
            points.popleft()
        known = [*points, (at, value)]
        if not points or at - points[-1][0] >= self._over / _POINTS:
            points.append((at, value))
        if at - known[0][0] < self._over * _LEAST:
            return None
        line = fit([when for when, _ in known], [seen for _, seen in known], at)
        return line.slope * DAY if line is not None else None


async def growth_of(what: Hashable, over: timedelta, resources: Resources) -> Growth:
    """What is remembered of that, the same for all checks that look back as far."""

    async def make() -> Growth:
        return Growth(over)

    return await resources.get(("growth", what, over), make)
