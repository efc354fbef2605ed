"""From single outcomes to hourly summaries. Pure: rows in, rows out.

Every measure has the series "": its one number per run, where there are several series the worst of them. The worst
is the one the verdict names; of a measure that no threshold judges, the highest. Named series are summed up as well.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from healthd.model.outcomes import Level
from healthd.store.serialisation import plain_text
from healthd.store.statements import HOURLY, Step

HOUR = 3600 * 1_000_000  # microseconds
RUNS = ""  # the measure under which the number of runs in an hour is kept
BAD = {Level.CRITICAL: " critical", Level.UNKNOWN: " unknown"}  # likewise of the runs that ended so, if any did
_KEY_LENGTH = 200  # characters of a measure's or series' name: an index has its limits


@dataclass(slots=True)
class Summary:
    """Of many values."""

    count: int = 0
    total: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf

    def add(self, value: float) -> None:
        """One more value."""
        self.merge(1, value, value, value)

    def merge(self, count: int, minimum: float, average: float, maximum: float) -> None:
        """The summary of `count` more values."""
        self.count += count
        self.total += average * count
        self.minimum = min(self.minimum, minimum)
        self.maximum = max(self.maximum, maximum)

    @property
    def average(self) -> float:
        return min(max(self.total / self.count, self.minimum), self.maximum)


def values_of(body: str) -> dict[tuple[str, str], float]:
    """The numbers of one stored outcome by (measure, series), with the worst series of each under ""."""
    return _values(json.loads(body))


def _values(data: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    named: dict[str, dict[str, float]] = {}
    for name, value, *rest in data.get("measurements", ()):
        series = rest[1] if len(rest) > 1 else ""
        if isinstance(value, int | float) and math.isfinite(value):
            named.setdefault(_key(name), {})[_key(series)] = float(value)
    offenders = {(_key(v[1]), _key(v[2])) for v in data.get("verdicts", ())}
    found: dict[tuple[str, str], float] = {}
    for name, by_series in named.items():
        found.update({(name, series): value for series, value in by_series.items()})
        found[name, ""] = _worst(name, by_series, offenders)
    return found


def _worst(name: str, by_series: Mapping[str, float], offenders: set[tuple[str, str]]) -> float:
    judged = [value for series, value in by_series.items() if (name, series) in offenders]
    return max(judged or by_series.values())


def _key(name: str) -> str:
    return plain_text(name)[:_KEY_LENGTH]


def hourly_steps(check_id: str, rows: Iterable[tuple[int, int, str]]) -> Iterator[Step]:
    """Summaries of one check's outcomes (started, level, body), for whole hours."""
    hours: dict[tuple[int, str, str], Summary] = {}
    for started, level, body in rows:
        hour = started // HOUR * HOUR
        hours.setdefault((hour, RUNS, ""), Summary()).add(1.0)
        if level in BAD:
            hours.setdefault((hour, BAD[Level(level)], ""), Summary()).add(1.0)
        for (measure, series), value in values_of(body).items():
            hours.setdefault((hour, measure, series), Summary()).add(value)
    for (hour, measure, series), summary in hours.items():
        numbers = (summary.count, summary.minimum, summary.average, summary.maximum)
        yield HOURLY, (check_id, measure, series, hour, *numbers)
