"""The history of one measure as the shapes of an SVG. Pure: points in, coordinates and labels out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from healthd.model.catalogue import Threshold
from healthd.model.conditions import Condition
from healthd.model.outcomes import Level
from healthd.model.units import Unit, UnitError
from healthd.store.base import Point
from healthd.web.axes import time_ticks, value_ticks
from healthd.web.words import value_text

FAR = 4.0  # a limit this many times above everything seen would flatten the line: it is named, not drawn


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time at one level: a run, an incident."""

    start: datetime
    end: datetime
    level: str
    title: str


@dataclass(frozen=True, slots=True)
class Size:
    """In SVG units. Two are drawn, and the style sheet shows the one that fits the screen."""

    name: str
    width: int
    height: int
    left: int
    ticks: int

    @property
    def right(self) -> int:
        return self.width - 24

    @property
    def bottom(self) -> int:
        return self.height - 24


SIZES = (Size("wide", 860, 240, 70, 8), Size("narrow", 360, 220, 62, 4))
TOP = 12


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A line at a limit of a threshold row."""

    y: float
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Zone:
    """Values at which a level is reached, over the whole width."""

    y: float
    height: float
    level: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One span in a strip beneath the plot."""

    x: float
    width: float
    level: str
    title: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Everything the template needs to draw one size."""

    size: Size
    lines: list[str]  # SVG path data, one for each stretch without a gap
    bands: list[str]  # between the lowest and the highest of each slot
    dots: list[tuple[float, float]]
    limits: list[Limit]
    zones: list[Zone]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


@dataclass(frozen=True, slots=True)
class History:
    """What is to be drawn."""

    points: Sequence[Point]
    since: datetime
    until: datetime
    unit: Unit | None
    zone: ZoneInfo
    spacing: timedelta  # more than this between two points is a gap


def limits_of(rows: Iterable[Threshold], unit: Unit | None) -> list[tuple[float, str, str]]:
    """(value, level, text) of every numeric limit of a measure's rows."""
    found: dict[tuple[float, str], str] = {}
    for row in rows:
        bad = [name for name in ("warning", "critical") if getattr(row, name) is not None]
        for name in bad or ("target", "acceptable"):
            condition = getattr(row, name)
            if condition is None:
                continue
            try:
                values = condition.limits(unit)
            except UnitError:
                continue
            for value in values:
                found[value, name] = f"{name} {condition.text}"
    return [(value, level, text) for (value, level), text in found.items()]


def level_at(rows: Iterable[Threshold], value: float, unit: Unit | None) -> str:
    """What rows call a value: critical, warning, or nothing."""
    found = ""
    for row in rows:
        wanted = row.acceptable or row.target
        if _holds(row.critical, value, unit):
            return "critical"
        if _holds(row.warning, value, unit) or (row.warning is None and _holds(wanted, value, unit) is False):
            found = "warning"
    return found


def _holds(condition: Condition | None, value: float, unit: Unit | None) -> bool | None:
    """None where there is nothing to compare a number with."""
    try:
        return condition.holds(value, unit) if condition is not None and condition.limits(unit) else None
    except UnitError:
        return None


def draw(
    history: History, limits: Sequence[tuple[float, str, str]], size: Size, rows: Sequence[Threshold] = ()
) -> Plot:
    """One size of the plot. `history.points` must not be empty. `rows`: of the measure, for what is bad."""
    low, high = _domain(history, [value for value, _, _ in limits])
    y_values = value_ticks(low, high, history.unit, 4)
    low, high = min(low, y_values[0]), max(high, y_values[-1])
    x = _scale(history.since.timestamp(), history.until.timestamp(), size.left, size.right)
    y = _scale(low, high, size.bottom, TOP)
    stretches = list(_stretches(history))
    return Plot(
        size=size,
        lines=[_line([(x(p.at.timestamp()), y(p.average)) for p in stretch]) for stretch in stretches],
        bands=[_band(stretch, x, y) for stretch in stretches if any(p.maximum > p.minimum for p in stretch)],
        dots=[(x(s[0].at.timestamp()), y(s[0].average)) for s in stretches if len(s) == 1],
        limits=[Limit(y(value), level, text) for value, level, text in limits if low <= value <= high],
        zones=_zones(rows, sorted({low, high, *(v for v, _, _ in limits if low < v < high)}), history.unit, y),
        x_ticks=[Tick(x(at.timestamp()), text) for at, text in _times(history, size.ticks)],
        y_ticks=[Tick(y(value), value_text(value, history.unit)) for value in y_values],
    )


def _zones(rows: Sequence[Threshold], edges: Sequence[float], unit: Unit | None, y: _Scale) -> list[Zone]:
    """Between two limits one level holds: that of the middle."""
    found = []
    for bottom, top in pairwise(edges):
        if level := level_at(rows, (bottom + top) / 2, unit):
            found.append(Zone(y(top), round(y(bottom) - y(top), 1), level))
    return found


def bars(spans: Iterable[Span], history: History, size: Size) -> list[Bar]:
    """A strip: each span cut to what the plot shows, at least wide enough to be seen."""
    x = _scale(history.since.timestamp(), history.until.timestamp(), size.left, size.right)
    found = []
    for span in spans:
        start, end = max(span.start, history.since), min(span.end, history.until)
        if end < start:
            continue
        left = x(start.timestamp())
        found.append(Bar(left, round(max(1.5, x(end.timestamp()) - left), 1), span.level, span.title))
    return found


def run_spans(runs: Iterable[tuple[datetime, Level, str]], lasting: timedelta) -> list[Span]:
    """Runs (newest first) as spans, each until the next one, but no longer than `lasting`; equal neighbours merged."""
    spans: list[Span] = []
    following: datetime | None = None
    for started, level, reason in runs:
        end = started + lasting if following is None else min(following, started + lasting)
        name = level.name.lower()
        if spans and spans[-1].level == name and spans[-1].title == reason and spans[-1].start <= end:
            spans[-1] = Span(started, spans[-1].end, name, reason)
        else:
            spans.append(Span(started, end, name, reason))
        following = started
    return spans[::-1]


def _times(history: History, most: int) -> list[tuple[datetime, str]]:
    return time_ticks(history.since, history.until, history.zone, most)


def _domain(history: History, limits: Sequence[float]) -> tuple[float, float]:
    low = min(p.minimum for p in history.points)
    high = max(p.maximum for p in history.points)
    if history.unit is Unit.RATIO and low >= 0 and high <= 1:
        return 0.0, 1.0 if high > 0.25 or any(0.25 < v <= 1 for v in limits) else max(high, *limits, 0.01)
    if history.unit is Unit.TIMESTAMP:
        return low, high if high > low else low + 60.0
    reach = FAR * max(abs(low), abs(high))
    near = [value for value in limits if abs(value) <= reach]
    low, high = min([0.0, low, *near]), max([0.0, high, *near])
    return low, high if high > low else low + 1.0


def _scale(from_low: float, from_high: float, to_low: float, to_high: float) -> _Scale:
    return _Scale(from_low, (to_high - to_low) / (from_high - from_low), to_low)


@dataclass(frozen=True, slots=True)
class _Scale:
    start: float
    factor: float
    offset: float

    def __call__(self, value: float) -> float:
        return round(self.offset + (value - self.start) * self.factor, 1)


def _stretches(history: History) -> Iterable[list[Point]]:
    stretch: list[Point] = []
    for point in history.points:
        if stretch and point.at - stretch[-1].at > history.spacing:
            yield stretch
            stretch = []
        stretch.append(point)
    if stretch:
        yield stretch


def _line(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in places)


def _band(stretch: Sequence[Point], x: _Scale, y: _Scale) -> str:
    there = [(x(p.at.timestamp()), y(p.maximum)) for p in stretch]
    back = [(x(p.at.timestamp()), y(p.minimum)) for p in reversed(stretch)]
    return _line(there + back) + "Z"
