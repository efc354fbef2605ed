"""A month as a wall calendar: what is looked at on which day, in each system's own time zone. Pure."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from healthd.model.catalogue import Catalogue
from healthd.model.windows import Maintenance
from healthd.schedule import fires
from healthd.web.checklists import OFTEN
from healthd.web.coming import Key, together

AROUND = timedelta(days=2)  # beyond the month's edges, for zones far from UTC
FIRST, LAST = date(2000, 1, 1), date(2099, 12, 1)


@dataclass(frozen=True, slots=True)
class Entry:
    """Checks of one system that start together on a day, or a maintenance window that begins."""

    at: datetime  # the first time on this day, in the system's zone
    more: int  # further times on the same day
    system: str
    cadence: str
    title: str
    checks: int  # 0 for a maintenance window


@dataclass(frozen=True, slots=True)
class Day:
    """One field of the calendar."""

    day: date
    in_month: bool
    is_today: bool
    entries: list[Entry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Month:
    """Weeks from Monday to Sunday. `often`: what runs too often for a calendar, as (titles, rule)."""

    first: date
    weeks: list[list[Day]]
    often: list[tuple[str, str]]

    @property
    def before(self) -> date | None:
        return (self.first - timedelta(days=1)).replace(day=1) if self.first > FIRST else None

    @property
    def after(self) -> date | None:
        return (self.first + timedelta(days=32)).replace(day=1) if self.first < LAST else None


def month(catalogue: Catalogue, windows: Iterable[Maintenance], first: date, today: date, system: str = "") -> Month:
    """The month that begins with `first`."""
    weeks = [
        [Day(day, day.month == first.month, day == today) for day in week]
        for week in calendar.Calendar().monthdatescalendar(first.year, first.month)
    ]
    days = {day.day: day for week in weeks for day in week}
    often = []
    for key, names in together(catalogue, system).items():
        found = list(_entries(catalogue, key, len(names), min(days), max(days)))
        if not found:
            often += [_words(catalogue, key)] if _is_often(key, first) else []
        for entry in found:
            _put(entry, days)
    for entry in _maintained(catalogue, windows, system):
        _put(entry, days)
    for day in days.values():
        day.entries.sort(key=lambda entry: (entry.at.astimezone(UTC), entry.system))
    return Month(first, weeks, often)


def _put(entry: Entry, days: Mapping[date, Day]) -> None:
    day = days.get(entry.at.date())
    if day is not None and day.in_month:
        day.entries.append(entry)


def _is_often(key: Key, day: date) -> bool:
    at = datetime.combine(day, time(), UTC)
    pair = [fired for _, fired in zip(range(2), fires(key[1], at, at + 2 * OFTEN), strict=False)]
    return len(pair) == 2 and pair[1] - pair[0] < OFTEN


def _entries(catalogue: Catalogue, key: Key, number: int, start: date, end: date) -> Iterator[Entry]:
    if _is_often(key, start):
        return
    system, rule, cadence = key
    known = catalogue.systems[system].cadences.get(cadence)
    title = (known.title or known.name) if known else "Own rule"
    by_day: dict[date, list[datetime]] = {}
    begin, until = (datetime.combine(day, time(), UTC) for day in (start, end))
    for at in fires(rule, begin - AROUND, until + AROUND):
        local = at.astimezone(rule.zone)
        by_day.setdefault(local.date(), []).append(local)
    for times in by_day.values():
        yield Entry(times[0], len(times) - 1, system, cadence, title, number)


def _maintained(catalogue: Catalogue, windows: Iterable[Maintenance], system: str) -> Iterator[Entry]:
    for window in windows:
        known = catalogue.systems.get(window.system)
        if known is not None and system in ("", window.system):
            yield Entry(window.starts_at.astimezone(known.zone), 0, window.system, "", window.title, 0)


def _words(catalogue: Catalogue, key: Key) -> tuple[str, str]:
    system, rule, cadence = key
    known = catalogue.systems[system].cadences.get(cadence)
    title = catalogue.systems[system].title
    return (f"{title}, {known.title or known.name}", known.text) if known else (title, ", ".join(rule.crons))
