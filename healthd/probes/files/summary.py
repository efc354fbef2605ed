"""What is kept of the files found, however many: totals, extremes and the newest few."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from healthd.model.units import Unit, format_duration, format_value
from healthd.probes.base import Measurement
from healthd.probes.files.search import Found
from healthd.probes.paths import shown

_SHOWN = 5
# clocks of file servers differ a little; a file further ahead than this has a wrong date
_TOLERANCE = 60.0


@dataclass(slots=True)
class Summary:
    """Grows by `add`. `now` is in seconds since 1970."""

    now: float
    count: int = 0
    future: int = 0
    total: int = 0
    smallest: int = 0
    largest: int = 0
    oldest: Found | None = None
    _newest: list[tuple[float, str, Found]] = field(default_factory=list)

    def add(self, found: Found) -> None:
        self.smallest = min(self.smallest, found.size) if self.count else found.size
        self.largest = max(self.largest, found.size)
        self.count += 1
        self.total += found.size
        self.future += found.changed > self.now + _TOLERANCE
        if self.oldest is None or found.changed < self.oldest.changed:
            self.oldest = found
        keep = heapq.heappushpop if len(self._newest) >= _SHOWN else heapq.heappush
        keep(self._newest, (found.changed, found.path, found))

    @property
    def newest(self) -> list[Found]:
        """The newest few, newest first."""
        return [found for *_, found in sorted(self._newest, reverse=True)]

    def age(self, found: Found) -> float:
        return max(0.0, self.now - found.changed)

    def measurements(self) -> list[Measurement]:
        """In base units; only `count` and `total_size` when there are no files."""
        measurements = [
            Measurement("count", self.count, Unit.COUNT),
            Measurement("total_size", float(self.total), Unit.BYTES),
        ]
        if self.oldest is None:
            return measurements
        newest = self.newest[0]
        measurements += [
            Measurement("newest_age", self.age(newest), Unit.SECONDS),
            Measurement("oldest_age", self.age(self.oldest), Unit.SECONDS),
            Measurement("newest_size", float(newest.size), Unit.BYTES),
            Measurement("smallest_size", float(self.smallest), Unit.BYTES),
            Measurement("largest_size", float(self.largest), Unit.BYTES),
            Measurement("future_count", self.future, Unit.COUNT),
        ]
        return measurements

    def lines(self) -> list[str]:
        """The newest few for people."""
        lines = [
            f"{shown(f.path)}: {format_value(float(f.size), Unit.BYTES)}, {format_duration(round(self.age(f), 3))} old"
            for f in self.newest
        ]
        return lines + ([f"and {self.count - len(lines)} more"] if self.count > len(lines) else [])
