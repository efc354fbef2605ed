"""Timestamps of the API that are worked out when they are asked for, so that what is old stays as old as it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

Manifest = dict[str, Any]


class Moment(Protocol):
    """A time that depends on when it is asked for."""

    def at(self, now: datetime) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Ago:
    """That long before now, at any time. Negative: after now."""

    age: timedelta

    def at(self, now: datetime) -> datetime:
        return now - self.age


@dataclass(frozen=True, slots=True)
class LastDue:
    """When a cron schedule was last due in UTC, and `after` more: when a job of it began, or ended."""

    schedule: str
    after: timedelta = timedelta(0)

    def at(self, now: datetime) -> datetime:
        from cronsim import CronSim

        past = CronSim(self.schedule, now - self.after, reverse=True)
        due: datetime = next(past)
        return due + self.after


def written(moment: datetime) -> str:
    """As the API writes a time."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def stamp(age: timedelta = timedelta(0)) -> str:
    """The time that long ago, which is a longer time ago later."""
    return written(datetime.now(UTC) - age)


def document(value: Any) -> bytes:
    """JSON, with the times of this moment."""
    now = datetime.now(UTC)

    def read(other: Any) -> str:
        return written(other.at(now))

    return json.dumps(value, default=read).encode()


def plain(value: Any) -> Any:
    """A copy of a manifest as it reads now."""
    return json.loads(document(value))
