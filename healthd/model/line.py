"""A straight line through points, and what it says about the future. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """`value` at the time `at` (seconds since 1970), `slope` per second. `quality` is R², 1 for points on the line."""

    at: float
    value: float
    slope: float
    quality: float

    def after(self, seconds: float) -> float:
        """The value so long after `at`."""
        return self.value + self.slope * seconds

    def seconds_to(self, limit: float) -> float:
        """Until the value is `limit`: infinity when it moves away from it, or not at all."""
        way = limit - self.value
        if way == 0:
            return 0.0
        return way / self.slope if self.slope and (way > 0) == (self.slope > 0) else math.inf


def fit(times: Sequence[float], values: Sequence[float], at: float) -> Line | None:
    """The line of least squares, told from the moment `at`; None for fewer than three points or no time between."""
    count = len(times)
    if count < 3:
        return None
    middle = math.fsum(times) / count
    mean = math.fsum(values) / count
    spread = math.fsum((t - middle) ** 2 for t in times)
    if spread == 0:
        return None
    slope = math.fsum((t - middle) * (v - mean) for t, v in zip(times, values, strict=True)) / spread
    total = math.fsum((v - mean) ** 2 for v in values)
    left = math.fsum((v - mean - slope * (t - middle)) ** 2 for t, v in zip(times, values, strict=True))
    flat = total <= (1e-9 * max(1.0, abs(mean))) ** 2 * count
    return Line(at, mean + slope * (at - middle), 0.0 if flat else slope, 1.0 if flat else max(0.0, 1 - left / total))
