"""When a CronJob was due, over time zones and the change to summer time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from healthd.probes.kubernetes.cron_schedule import MISSED_MAX, ScheduleError, missed_runs

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "zone", "hours", "missed"),
    [
        ("0 * * * *", "", 1, 1),
        ("0 * * * *", "", 0.99, 0),
        ("30 3 * * *", "", 24, 1),
        ("30 2 * * *", "Europe/Berlin", 24, 1),  # that hour is skipped: it runs just after
        ("0 0 * * *", "America/New_York", 48, 2),
        ("CRON_TZ=Asia/Tokyo 0 3 * * *", "", 5.9, 0),
        ("TZ=Asia/Tokyo 0 3 * * *", "", 6.1, 1),
        ("@hourly", "", 5, 5),
        ("@every 90m", "", 3.1, 2),
        ("0 0 ? * MON", "", 72, 1),
        ("* * * * *", "", 1000, MISSED_MAX),
        ("0 * * * *", "", -1, 0),
        ("@every 1h", "", -1, 0),
    ],
)
def test_due_and_not_run(schedule: str, zone: str, hours: float, missed: int) -> None:
    assert missed_runs(schedule, zone, NOON, NOON + timedelta(hours=hours)) == missed


@pytest.mark.parametrize(
    ("schedule", "zone"), [("61 * * * *", ""), ("0 0 31 2", ""), ("0 * * * *", "Mars/Olympus"), ("@every soon", "")]
)
def test_what_cannot_be_read(schedule: str, zone: str) -> None:
    with pytest.raises(ScheduleError):
        missed_runs(schedule, zone, NOON, NOON)
