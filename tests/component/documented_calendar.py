"""When the five documents of the four systems want something done, worked out by dateutil, from the documents alone.

Times of day are wall-clock times of the system, those of maintenance windows UTC, as the documents say. Where a
document names a day but no hour, the hour is the catalogue's default, which an installation may change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dateutil import rrule, tz

_MO, _TU, _WE, _TH, _FR, _SU = rrule.MO, rrule.TU, rrule.WE, rrule.TH, rrule.FR, rrule.SU


@dataclass(frozen=True)
class Documented:
    """A recurrence. `utc`: the document says UTC, whatever the system's zone. `elapsed`: by the hour, not the clock."""

    frequency: int
    hour: int = 0
    minute: int = 0
    more: Mapping[str, Any] | None = None
    utc: bool = False
    elapsed: bool = False

    def in_year(self, year: int, zone: str) -> list[datetime]:
        """Every time in that year of UTC."""
        where = tz.UTC if self.utc else tz.gettz(zone)
        assert where is not None
        found = sorted(set(self._by_hour(year) if self.elapsed else self._by_clock(year, where)))
        return [at for at in found if at.year == year]

    def _by_clock(self, year: int, where: Any) -> Iterator[datetime]:
        rule = rrule.rrule(
            self.frequency, dtstart=_wall(year - 1, 12, 1), until=_wall(year + 1, 1, 31), byhour=self.hour,
            byminute=self.minute, bysecond=0, **(self.more or {}),
        )  # fmt: skip
        for wall in rule:
            at = wall
            while not tz.datetime_exists(at, where):  # what is skipped is had when the gap ends
                at += timedelta(minutes=1)
            yield at.replace(tzinfo=where, fold=0).astimezone(tz.UTC)  # of two equal times the first

    def _by_hour(self, year: int) -> Iterator[datetime]:
        start, end = datetime(year, 1, 1, tzinfo=tz.UTC), datetime(year + 1, 1, 1, tzinfo=tz.UTC)
        yield from rrule.rrule(rrule.HOURLY, dtstart=start, until=end, byminute=self.minute, bysecond=0)


def _wall(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day)  # noqa: DTZ001 - what a clock on the wall shows


def daily(hour: int, minute: int = 0) -> Documented:
    return Documented(rrule.DAILY, hour, minute)


def weekly(day: Any, hour: int, *, utc: bool = False) -> Documented:
    return Documented(rrule.WEEKLY, hour, more={"byweekday": day}, utc=utc)


def monthly(hour: int, *, utc: bool = False, **more: Any) -> Documented:
    return Documented(rrule.MONTHLY, hour, more=more, utc=utc)


def yearly(hour: int, **more: Any) -> Documented:
    return Documented(rrule.YEARLY, hour, more=more)


_QUARTERS = {"bymonth": (1, 4, 7, 10), "bymonthday": 1}

CALENDARS: Mapping[str, Mapping[str, Documented]] = {
    "syncwatch": {
        "morning": daily(9),
        "evening": daily(18),
        "late-evening": daily(22, 30),
        "weekly-monday": weekly(_MO, 10),
        "weekly-tuesday": weekly(_TU, 10),
        "weekly-wednesday": weekly(_WE, 10),
        "weekly-thursday": weekly(_TH, 10),
        "weekly-friday": weekly(_FR, 10),
        "first-monday": monthly(10, byweekday=_MO(1)),
        "second-monday": monthly(10, byweekday=_MO(2)),
        "third-monday": monthly(10, byweekday=_MO(3)),
        "last-monday": monthly(10, byweekday=_MO(-1)),
    },
    "social-live": {
        "morning": daily(9),
        "evening": daily(18),
        "weekly-maintenance": weekly(_SU, 2, utc=True),
        "after-weekly-maintenance": weekly(_SU, 4, utc=True),
        "monthly-maintenance": monthly(2, byweekday=_SU(1), utc=True),
        "backup-verification": weekly(_SU, 5, utc=True),
        "capacity": weekly(_MO, 9),
    },
    "syncup": {
        "hourly": Documented(rrule.HOURLY, minute=15, elapsed=True),
        "daily": daily(9),
        "weekly": weekly(_MO, 9),
        "monthly": monthly(9, bymonthday=1),
        "quarterly": yearly(9, **_QUARTERS),
        "maintenance": weekly(_SU, 2, utc=True),
        "after-maintenance": weekly(_SU, 4, utc=True),
    },
    "synk": {
        "morning": daily(9),
        "evening": daily(17),
        "weekly-monday": weekly(_MO, 9),
        "weekly-friday": weekly(_FR, 15),
        "first-of-month": monthly(9, bymonthday=1),
        "mid-month": monthly(9, bymonthday=15),
        "end-of-month": monthly(17, bymonthday=-1),
        "quarterly": yearly(9, **_QUARTERS),
        "annually": yearly(9, bymonth=1, bymonthday=1),
        # written 11 February 2026, next review three months later, and so on
        "document-review": yearly(9, bymonth=(2, 5, 8, 11), bymonthday=11),
    },
}
