"""Records to store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from healthd.model.incidents import Incident, Message, TimelineEntry
from healthd.model.outcomes import Level, Measurement, Outcome, Verdict
from healthd.model.units import Unit

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def outcome(check_id: str = "shop/web", at: datetime = T0, value: float | None = None, **fields: Any) -> Outcome:
    """A run; `value` is its latency."""
    if value is not None:
        fields["measurements"] = (Measurement("latency", value, Unit.SECONDS),)
    return Outcome(check_id, at, timedelta(milliseconds=12), fields.pop("level", Level.OK), "fine", **fields)


def per_series(at: datetime, values: dict[str, float], offender: str = "") -> Outcome:
    """A run that measured `used` of several mounts; the verdict names one of them."""
    measurements = tuple(Measurement("used", value, Unit.RATIO, series) for series, value in values.items())
    verdicts = (Verdict("disk", "used", offender, values[offender], Unit.RATIO, Level.WARNING),) if offender else ()
    return outcome("host/disk", at, measurements=measurements, verdicts=verdicts)


def incident(number: int = 1, opened_at: datetime = T0, **fields: Any) -> Incident:
    defaults: dict[str, Any] = {
        "system": "shop", "check_id": "shop/web", "title": "Shop", "severity": "SEV2", "reason": "latency 2 s"
    }  # fmt: skip
    return Incident(
        id=f"INC-{number:04}", key=f"shop/web-{number}", level=Level.CRITICAL, opened_at=opened_at,
        **{**defaults, **fields},
    )  # fmt: skip


def entry(text: str, at: datetime = T0, kind: str = "told", incident_id: str = "INC-0001") -> TimelineEntry:
    return TimelineEntry(incident_id, at, kind, text)


def message(number: int, group: str = "INC-0001", channel: str = "slack", **fields: Any) -> Message:
    id_ = fields.pop("id", f"m-{number}")
    return Message(id_, channel, group, "firing", T0 + number * MINUTE, {"number": number}, **fields)
