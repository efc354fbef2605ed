"""When a CronJob was due: Kubernetes' cron expressions, evaluated in the CronJob's time zone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from healthd.model.units import UnitError, parse_duration

__all__ = ["MISSED_MAX", "ScheduleError", "missed_runs"]

MISSED_MAX = 1000  # more are not counted
_WORDS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_ZONE = re.compile(r"(?:CRON_)?TZ=(\S+)\s+(.*)")


class ScheduleError(ValueError):
    """A schedule or time zone that cannot be read here."""


def missed_runs(schedule: str, zone: str, last: datetime, until: datetime) -> int:
    """How many due times lie after `last`, up to and with `until`; at most MISSED_MAX. Raises ScheduleError.

    `zone` "" is UTC, in which control planes normally run.
    """
    text = schedule.strip()
    if prefixed := _ZONE.fullmatch(text):
        zone, text = prefixed.groups()
    if text.startswith("@every "):
        return _every(text.removeprefix("@every "), last, until)
    return _by_calendar(_WORDS.get(text, text).replace("?", "*"), _zone(zone), last, until)


def _every(written: str, last: datetime, until: datetime) -> int:
    try:
        step = parse_duration(written.strip())
    except UnitError:
        raise ScheduleError(f"cannot read '@every {written}'") from None
    if step < timedelta(seconds=1) or until < last:
        return 0
    return min(MISSED_MAX, (until - last) // step)


def _by_calendar(expression: str, zone: ZoneInfo, last: datetime, until: datetime) -> int:
    try:
        due = CronSim(expression, last.astimezone(zone))
        count = 0
        for moment in due:
            if moment > until or count == MISSED_MAX:
                break
            count += 1
    except CronSimError as error:
        raise ScheduleError(f"cannot read the schedule {expression!r}: {error}") from None
    return count


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        raise ScheduleError(f"there is no time zone {name!r}") from None
