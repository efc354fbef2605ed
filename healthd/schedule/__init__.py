"""When checks run: calendar rules, spread starts, catch-up, concurrency limits, timeouts and retries."""

from healthd.schedule.attempt import Attempt, attempt
from healthd.schedule.calendar import fires, next_due, next_fire, upcoming
from healthd.schedule.due import Due, mark_key
from healthd.schedule.limits import Limits
from healthd.schedule.runs import Runs
from healthd.schedule.scheduler import Scheduler

__all__ = [
    "Attempt",
    "Due",
    "Limits",
    "Runs",
    "Scheduler",
    "attempt",
    "fires",
    "mark_key",
    "next_due",
    "next_fire",
    "upcoming",
]
