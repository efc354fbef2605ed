"""Kubernetes' own spellings of times and quantities."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from healthd.model.units import format_duration

__all__ = ["age", "ago", "moment", "quantity"]

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([numkKMGTPE]|[KMGTPE]i)?)")
_SUFFIXES = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip


def moment(text: str | None) -> datetime | None:
    """A timestamp of the API ("2026-01-31T12:00:00Z"), None for none. Raises ValueError for something else."""
    if not text:
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def age(then: datetime | None, now: datetime) -> float | None:
    """Seconds since `then`; never negative: the clocks of two machines differ."""
    return None if then is None else max(0.0, (now - then).total_seconds())


def ago(then: datetime | None, now: datetime) -> str:
    """In words: 12m 3s ago."""
    seconds = age(then, now)
    return "at an unknown time" if seconds is None else f"{format_duration(float(round(seconds)))} ago"


def quantity(written: Any) -> float | None:
    """A resource quantity ("250m", "1.5Gi", 2) as a number: cores, bytes, a count. None for none or nonsense."""
    if isinstance(written, int | float) and not isinstance(written, bool):
        return float(written)
    match = _QUANTITY.fullmatch(written.strip()) if isinstance(written, str) else None
    if match is None:
        return None
    number, exponent, suffix = match.groups()
    if exponent is not None:
        return float(f"{number}e{exponent}") if abs(int(exponent)) < 300 else None
    thousandths = {"m": 1e3, "u": 1e6, "n": 1e9}.get(suffix or "")
    return float(number) / thousandths if thousandths else float(number) * _SUFFIXES[suffix or ""]
