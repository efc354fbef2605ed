"""What the stand-in remembers: a quarter of an hour of samples per series."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

Labels = Mapping[str, str]
_KEPT_SECONDS = 900.0
# a series that was not in the last few scrapes is gone, as staleness markers would say
_STALE_SECONDS = 3.0


@dataclass
class Series:
    """One series, oldest sample first."""

    labels: Labels
    points: deque[tuple[float, float]] = field(default_factory=deque)

    def at(self, moment: float) -> float | None:
        """The value at that moment; None when the series was not there."""
        index = bisect_right(self.points, moment, key=lambda point: point[0]) - 1
        if index < 0 or moment - self.points[index][0] > _STALE_SECONDS:
            return None
        return self.points[index][1]

    def between(self, start: float, end: float) -> list[tuple[float, float]]:
        """The samples after `start`, up to `end`."""
        return [point for point in self.points if start < point[0] <= end]


class Samples:
    """All series, by metric name."""

    def __init__(self) -> None:
        self._series: dict[str, dict[frozenset[tuple[str, str]], Series]] = {}

    def add(self, at: float, samples: Iterable[tuple[str, Labels, float]]) -> None:
        """One scrape."""
        for name, labels, value in samples:
            family = self._series.setdefault(name, {})
            key = frozenset(labels.items())
            series = family.get(key) or family.setdefault(key, Series({"__name__": name, **labels}))
            series.points.append((at, value))
            while series.points[0][0] < at - _KEPT_SECONDS:
                series.points.popleft()

    def named(self, name: str) -> Iterator[Series]:
        """The series of one metric."""
        yield from self._series.get(name, {}).values()
