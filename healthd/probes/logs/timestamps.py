"""The time a line was written, from its text. Pure.

Known are ISO 8601 and RFC 3339 (also with a space and a comma), the access log of web servers
(21/Nov/2026:08:28:59 +0000), the error log of nginx (2026/11/21 08:28:59), syslog (Nov 21 08:28:59), and seconds or
milliseconds since 1970 at the beginning of a line or in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

_LOOKED_AT = 1000  # bytes of a line
_MONTHS = {m: n for n, m in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_NUMERIC = re.compile(
    rb"(?<!\d)(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,]\d+)?(?: ?(Z|UTC|[+-]\d\d:?\d\d))?"
)
_ACCESS = re.compile(rb"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})")
_SYSLOG = re.compile(rb"^(?:<\d+>)?([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)")
_EPOCH = re.compile(rb"(?:^|\"(?:ts|time|timestamp|@timestamp)\"\s*:\s*)\"?(\d{10})(\d{3}|\.\d+)?(?![\d.])")


def line_time(line: bytes, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When the line was written; `zone` is meant where it names none. None when it does not say."""
    head = line[:_LOOKED_AT]
    return next((moment for moment in _readings(head, zone, now) if moment is not None), None)


def _readings(head: bytes, zone: ZoneInfo, now: datetime) -> Iterator[datetime | None]:
    if match := _NUMERIC.search(head):
        yield _moment([int(part) for part in match.groups()[:6]], match[7], zone)
    if match := _ACCESS.search(head):
        day, month, *rest = match.groups()[:6]
        date = [int(rest[0]), _MONTHS.get(month, 0), int(day), *map(int, rest[1:])]
        yield _moment(date, match[7], zone)
    if match := _SYSLOG.search(head):
        yield _without_year(match, zone, now)
    if match := _EPOCH.search(head):
        yield datetime.fromtimestamp(int(match[1]), UTC)


def _moment(parts: list[int], offset: bytes | None, zone: ZoneInfo) -> datetime | None:
    try:
        return datetime(*parts, tzinfo=_zone(offset) or zone).astimezone(UTC)  # type: ignore[misc,arg-type]
    except (ValueError, OverflowError):
        return None


def _zone(offset: bytes | None) -> timezone | None:
    if offset is None:
        return None
    if offset in (b"Z", b"UTC"):
        return UTC
    digits = offset[1:].replace(b":", b"")
    east = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(east if offset[:1] == b"+" else -east)


def _without_year(match: re.Match[bytes], zone: ZoneInfo, now: datetime) -> datetime | None:
    """Syslog writes no year: the latest that is not in the future (a day is granted for zones and clocks)."""
    month, day, *clock = match.groups()
    for year in (now.year, now.year - 1):
        moment = _moment([year, _MONTHS.get(month, 0), int(day), *map(int, clock)], None, zone)
        if moment is not None and moment <= now + timedelta(days=1):
            return moment
    return None
