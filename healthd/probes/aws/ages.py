"""How old, how long until: moments of AWS against the moment of the look."""

from __future__ import annotations

from datetime import datetime

__all__ = ["age", "days_until"]


def age(then: datetime | None, now: datetime) -> float | None:
    """Seconds since `then`; never negative: the clocks of two machines differ. None for none."""
    return None if then is None else max(0.0, (now - then).total_seconds())


def days_until(then: datetime | None, now: datetime) -> float | None:
    """Days until `then`, negative when it has passed. None for none."""
    return None if then is None else (then - now).total_seconds() / 86400.0
