"""The wall clock, and times as programs write them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def rfc3339(at: datetime) -> str:
    """An aware time in UTC, to the millisecond where it has any: 2026-01-02T15:04:05Z."""
    moment = at.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")
