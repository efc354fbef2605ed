"""From when until when something lasts, as people and programs write it."""

from __future__ import annotations

from datetime import datetime

from healthd.model.units import UnitError, parse_duration
from healthd.web.moments import moment, shifted
from healthd.web.problem import RequestError


def span(starts_at: str, ends_at: str, duration: str, now: datetime) -> tuple[datetime, datetime]:
    """Start (default: now) and end, which is given as a time or as a duration. Raises RequestError 400."""
    starts = moment(starts_at, "starts_at") if starts_at.strip() else now
    if bool(ends_at.strip()) == bool(duration.strip()):
        raise RequestError(400, "nothing, or too much, says when it ends", "give duration, such as 2h, or ends_at")
    if ends_at.strip():
        return starts, moment(ends_at, "ends_at")
    try:
        return starts, shifted(starts, parse_duration(duration.strip()))
    except UnitError as error:
        raise RequestError(400, f"duration: {error}") from None
