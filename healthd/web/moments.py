"""Times as programs and addresses write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from healthd.web.problem import RequestError

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
_WRITTEN = re.compile(rf"{_DATE}(?:[T ]{_CLOCK}(?:Z|[+ -][0-9]{{2}}:[0-9]{{2}})?)?", re.IGNORECASE)
_LEAP = re.compile(r"(?<=[0-9]:[0-9]{2}:)60")


def moment(text: str, name: str) -> datetime:
    """An RFC 3339 time; without an offset it is UTC. Raises RequestError 400 that names the parameter."""
    try:
        return _read(text.upper())
    except ValueError:
        raise RequestError(400, f"{name}: {text[:60]!r} is not a time", "write it like 2026-01-02T15:04:05Z") from None


def shifted(at: datetime, by: timedelta) -> datetime:
    """`by` later, as far as there are years."""
    try:
        return at + by
    except OverflowError:
        return LATEST if by > timedelta(0) else EARLIEST


def _read(text: str) -> datetime:
    if not _WRITTEN.fullmatch(text):
        raise ValueError(text)
    whole, leaps = _LEAP.subn("59", text, count=1)
    if "T" in whole and " " in whole:
        whole = whole.replace(" ", "+")  # an address in which the + was not quoted
    if whole.startswith("0000-"):  # a year to RFC 3339, and a leap year
        datetime.fromisoformat("0004" + whole[4:])
        return EARLIEST
    at = datetime.fromisoformat(whole)
    at = shifted(at, timedelta(seconds=leaps))
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError:
        return LATEST if at.year > 1 else EARLIEST
