"""One measure's past: which measures there are to plot, and what the store has of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from healthd.model.catalogue import Check
from healthd.model.outcomes import CheckState, Level, Measurement, Outcome
from healthd.model.units import Unit
from healthd.store.base import Point
from healthd.web.desk import Desk
from healthd.web.plot import SIZES, Bar, History, Plot, Span, bars, draw, limits_of, run_spans
from healthd.web.problem import RequestError
from healthd.web.standing import is_flag, word
from healthd.web.words import value_text

RANGES = {
    "hour": ("1 hour", timedelta(hours=1)),
    "day": ("24 hours", timedelta(days=1)),
    "week": ("7 days", timedelta(days=7)),
    "month": ("30 days", timedelta(days=30)),
}
POINTS = 240
RUNS = 1_000  # newest runs in the strip beneath the plot
INCIDENTS = 100


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that can be plotted."""

    name: str
    unit: Unit | None
    series: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """One size of the plot with its strips."""

    plot: Plot | None
    runs: list[Bar]
    incidents: list[Bar]


@dataclass(frozen=True, slots=True)
class Recorded:
    """Everything the page shows of a measure's past."""

    range: str
    measures: Sequence[Measure]
    measure: Measure | None
    series: str
    pictures: list[tuple[str, Picture]]
    summary: str
    far: list[str]  # limits beyond the plot
    limits: list[tuple[str, str]]  # (level, text) of those within it
    complete: bool  # whether the strip of runs covers the whole range


def default_range(check: Check) -> str:
    """An hour for what runs every minute, a month for what runs by calendar."""
    if check.interval is None:
        return "month"
    return "hour" if check.interval <= timedelta(minutes=2) else "day"


def measures_of(check: Check, outcome: Outcome | None) -> list[Measure]:
    """What the check judges first, then whatever else its last run measured; numbers only."""
    seen: dict[str, list[Measurement]] = {}
    for row in check.thresholds:
        seen.setdefault(row.measure, [])
    for measurement in outcome.measurements if outcome else ():
        if not isinstance(measurement.value, str):
            seen.setdefault(measurement.name, []).append(measurement)
    units = {row.measure: row.unit for row in check.thresholds}
    words = {m.name for m in outcome.measurements if isinstance(m.value, str)} if outcome else set()
    found = []
    for name, values in seen.items():
        if values or name not in words:
            unit = next((m.unit for m in values if m.unit), units.get(name))
            found.append(Measure(name, unit, tuple(m.series for m in values if m.series)))
    # whether something is there is worth a plot only where nothing else was measured
    flags = {"up"} | {row.measure for row in check.thresholds if is_flag(row)}
    return sorted(found, key=lambda measure: measure.name in flags)


def _wanted(measures: Sequence[Measure], asked: str, state: CheckState | None) -> Measure | None:
    """The one asked for; without that, what is wrong, else the first."""
    bad = [verdict.measure for verdict in state.verdicts if verdict.level is not Level.OK] if state else []
    known = {measure.name: measure for measure in measures}
    return next((known[name] for name in (asked, *bad) if name in known), measures[0] if measures else None)


async def recorded(desk: Desk, check: Check, range_: str, measure: str, series: str) -> Recorded:
    """Ask the store. Raises StoreError; RequestError 400 for a range that there is not."""
    if range_ not in RANGES:
        raise RequestError(400, f"no range {range_[:40]!r}", f"there are {', '.join(RANGES)}")
    lasting = RANGES[range_][1]
    now = _slot_after(desk.now(), lasting / POINTS)  # a picture changes when there is something new to see, not sooner
    since = now - lasting
    store = desk.daemon.store
    measures = measures_of(check, desk.daemon.latest.get(check.id))
    chosen = _wanted(measures, measure, desk.daemon.states.get(check.id))
    points: list[Point] = []
    if chosen is not None:
        points = await desk.ask(
            store.history(check.id, chosen.name, since=since, until=now, points=POINTS, series=series)
        )
    runs = await desk.ask(store.outcomes(check.id, since=since, limit=RUNS))
    incidents = await desk.ask(store.incidents(check_id=check.id, limit=INCIDENTS))
    zone = desk.daemon.catalogue.systems[check.system].zone
    spans = [
        Span(i.opened_at, i.resolved_at or now, word(i.level), f"{i.severity} {i.reason}".strip()) for i in incidents
    ]
    spacing = max(lasting / POINTS * 3, (check.interval or lasting) * 2.5)
    history = History(points, since, now, chosen.unit if chosen else None, zone, spacing)
    rows = [row for row in check.thresholds if chosen and row.measure == chosen.name]
    limits = limits_of(rows, history.unit)
    run_bars = run_spans(((o.started, o.level, o.reason) for o in runs), check.interval or lasting / 60)
    pictures = [
        (
            size.name,
            Picture(
                draw(history, limits, size, rows) if points else None,
                bars(run_bars, history, size),
                bars(spans, history, size),
            ),
        )
        for size in SIZES
    ]
    drawn = pictures[0][1].plot
    near = {limit.text for limit in drawn.limits} if drawn else set()
    return Recorded(
        range_, measures, chosen, series, pictures,
        _summary(chosen, points, RANGES[range_][0]),
        [text for _, _, text in limits if drawn and text not in near],
        [(level, text) for _, level, text in limits if text in near],
        len(runs) < RUNS,
    )  # fmt: skip


def _slot_after(now: datetime, width: timedelta) -> datetime:
    return now + (datetime.min.replace(tzinfo=now.tzinfo) - now) % width


def _summary(measure: Measure | None, points: Sequence[Point], lasting: str) -> str:
    if measure is None or not points:
        return ""
    low, high = min(p.minimum for p in points), max(p.maximum for p in points)
    average = math.fsum(p.average for p in points) / len(points)
    parts = (("lowest", low), ("average", average), ("highest", high), ("latest", points[-1].average))
    words = ", ".join(f"{name} {value_text(value, measure.unit)}" for name, value in parts)
    return f"{measure.name} over the last {lasting}: {words}"
