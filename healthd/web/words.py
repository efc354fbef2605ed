"""Times, durations and values as people read them; times of programs as RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from healthd.model.catalogue import Check, System
from healthd.model.times import rfc3339
from healthd.model.units import Unit, format_duration, format_value


def maybe_rfc3339(at: datetime | None) -> str | None:
    """As rfc3339; None stays None."""
    return rfc3339(at) if at is not None else None


def duration(length: timedelta) -> str:
    """350ms, 4m 10s, 2d 4h."""
    return format_duration(length.total_seconds())


def ago(at: datetime, now: datetime) -> str:
    """Such as 12s ago, in 3h 5m, now."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "now"
    text = format_duration(float(round(abs(seconds))))
    return f"{text} ago" if seconds > 0 else f"in {text}"


def clock(at: datetime, zone: ZoneInfo) -> str:
    """Wall-clock time in `zone`: 2026-01-02 16:04:05 CET."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def value_text(value: float | str | None, unit: Unit | None) -> str:
    """A measurement, "missing" where there is none."""
    if value is None:
        return "missing"
    if unit is Unit.TIMESTAMP and not isinstance(value, str) and 0 < value < 253402300800:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return format_value(value, unit)


def schedule_words(check: Check, system: System) -> list[str]:
    """Each of the check's rules in words, its cadences first."""
    words = []
    for name in check.cadences:
        cadence = system.cadences.get(name)
        if cadence is None:
            continue
        words.append(f"{cadence.title or name}: {cadence.text}" if cadence.text else cadence.title or name)
    for rule in check.rules[len(check.cadences) :]:
        if rule.every is not None:
            words.append(f"every {duration(rule.every)}")
        words += [f"at {cron} (cron)" for cron in rule.crons]
    return words or ["only when asked to"]
