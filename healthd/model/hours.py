"""Hours of the week, as routes write them: "mon-fri 09:00-18:00", "sat,sun 10:00-14:00; daily 22:00-06:00"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SETS = {"daily": range(7), "weekdays": range(5), "weekends": range(5, 7)}
_TIMES = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
EXAMPLE = 'such as "mon-fri 09:00-18:00" or "daily 22:00-06:00 Europe/Berlin"'
DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Span:
    """On these weekdays (0 is Monday) from minute `start` of the day to before minute `end`, which may be of the next
    day: 1320 to 1800 is from 22:00 to 06:00."""

    days: frozenset[int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hours:
    """`zone` None: that of whatever is asked about."""

    text: str
    spans: tuple[Span, ...]
    zone: ZoneInfo | None = None

    def contain(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether the moment is within the hours."""
        local = at.astimezone(self.zone or zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        return any(
            (day in span.days and span.start <= minute < span.end)
            or ((day - 1) % 7 in span.days and minute < span.end - DAY)
            for span in self.spans
        )

    def begin(self, at: datetime, zone: ZoneInfo) -> datetime:
        """When they next begin, in UTC; `at` itself while they last."""
        if self.contain(at, zone):
            return at
        return min(moment for moment in self._starts(at, self.zone or zone) if moment > at)

    def _starts(self, at: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        today = at.astimezone(zone).date()
        for ahead in range(9):
            day = today + timedelta(days=ahead)
            for span in self.spans:
                if day.weekday() in span.days:
                    local = datetime.combine(day, time(span.start // 60, span.start % 60), zone)
                    yield local.astimezone(UTC)


def parse_hours(text: str) -> Hours:
    """Raises ValueError that says what is expected."""
    words = text.strip()
    zone = None
    if (last := words.rpartition(" ")[2]) and ("/" in last or last.upper() == "UTC"):
        words = words.removesuffix(last).strip()
        try:
            zone = ZoneInfo(last)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{last!r} is no time zone: expected one such as Europe/Berlin") from None
    spans = tuple(span for part in words.split(";") if part.strip() for span in _spans(part.strip()))
    if not spans:
        raise ValueError(f"no hours: expected weekdays and times, {EXAMPLE}")
    return Hours(text.strip(), spans, zone)


def _spans(part: str) -> Iterator[Span]:
    days, _, times = part.partition(" ")
    if not times:
        days, times = "daily", days
    if _TIMES.match(days):
        days, times = "daily", part
    wanted = frozenset(day for word in days.lower().split(",") for day in _days(word.strip()))
    for piece in times.replace(" ", "").split(","):
        match = _TIMES.fullmatch(piece)
        if match is None:
            raise ValueError(f"{piece!r} are no times: expected {EXAMPLE}")
        start, end = (int(match[i]) * 60 + int(match[i + 1]) for i in (1, 3))
        if start >= DAY or end > DAY or int(match[2]) > 59 or int(match[4]) > 59:
            raise ValueError(f"{piece!r} are no times of a day: expected 00:00 to 24:00")
        yield Span(wanted, start, end if end > start else end + DAY)


def _days(word: str) -> Iterator[int]:
    if word in _SETS:
        yield from _SETS[word]
        return
    first, dash, last = word.partition("-")
    found = [DAYS.index(name[:3]) for name in (first, last) if name[:3] in DAYS]
    if len(found) != (2 if dash else 1):
        raise ValueError(f"{word!r} are no weekdays: expected {EXAMPLE}")
    if not dash:
        yield found[0]
        return
    day = found[0]
    yield day
    while day != found[1]:
        day = (day + 1) % 7
        yield day
