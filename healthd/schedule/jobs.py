"""What fires together: checks of one interval and phase, or of one calendar rule.

A job knows which of its times have been handled and answers two questions about any `now`: what is due, and when is
the next time. It starts nothing and reads no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from healthd.model.catalogue import Check, Rule
from healthd.schedule.calendar import fires, next_fire
from healthd.schedule.due import mark_key, timings
from healthd.schedule.splay import EPOCH, phase

# A timer may ring this much before the clock shows its time.
EARLY = timedelta(milliseconds=5)
# How far back missed firings are counted: what is older has no grace left and would only cost time.
LOOKBACK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Entry:
    """A check in a job: under which cadence, and where its progress is remembered ("" for intervals)."""

    check: Check
    cadence: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Firing:
    """The newest due time, and how many before it were missed."""

    at: datetime
    missed: int = 0


@dataclass(frozen=True, slots=True)
class IntervalKey:
    """Identifies an IntervalJob."""

    every: timedelta
    phase: timedelta

    def __str__(self) -> str:
        return f"every {self.every} at {self.phase}"


@dataclass(frozen=True, slots=True)
class CalendarKey:
    """Identifies a CalendarJob: cadences of the same name and rule in two systems are two."""

    system: str
    cadence: str
    rule: Rule

    def __str__(self) -> str:
        return f"{self.system} {self.cadence} {self.rule.crons} {self.rule.zone.key}"


class IntervalJob:
    """Due at every EPOCH + k * every + phase."""

    def __init__(self, key: IntervalKey, now: datetime) -> None:
        self.key = key
        self.entries: dict[str, Entry] = {}
        self._last = self._latest(now)

    def _latest(self, now: datetime) -> datetime:
        start = EPOCH + self.key.phase
        return start + (now + EARLY - start) // self.key.every * self.key.every

    def due(self, now: datetime) -> Firing | None:
        """What is due at `now`, from then on handled; None when everything is."""
        latest = self._latest(now)
        if latest <= self._last:
            return None
        missed = (latest - self._last) // self.key.every - 1
        self._last = latest
        return Firing(latest, missed)

    def next(self, now: datetime) -> datetime:
        """The first time after `now` that is not handled."""
        return max(self._latest(now), self._last) + self.key.every

    def set_back(self, now: datetime) -> None:
        """The clock was set back: go on from `now`, only not with the very time handled last."""
        latest = self._latest(now)
        if latest + self.key.every < self._last:
            self._last = latest


class CalendarJob:
    """Due when its rule fires."""

    def __init__(self, key: CalendarKey, now: datetime) -> None:
        self.key = key
        self.entries: dict[str, Entry] = {}
        self._last = now
        self._handled: deque[datetime] = deque(maxlen=64)  # met again only after the clock was set back

    def due(self, now: datetime) -> Firing | None:
        """What is due at `now`, from then on handled; None when everything is."""
        passed = [at for at in self.passed(self._last, now + EARLY) if at not in self._handled]
        if not passed:
            return None
        self._last = passed[-1]
        self._handled.append(passed[-1])
        return Firing(passed[-1], len(passed) - 1)

    def next(self, now: datetime) -> datetime | None:
        """The first firing after `now` that is not handled; None if there is none."""
        at = next_fire(self.key.rule, max(self._last, now + EARLY))
        while at is not None and at in self._handled:
            at = next_fire(self.key.rule, at)
        return at

    def set_back(self, now: datetime) -> None:
        """The clock was set back: go on from `now`; what has been handled does not come again."""
        self._last = min(self._last, now)

    def handled(self, at: datetime) -> None:
        """`at` has been run already, even if it lies in the future of a clock that was wrong before."""
        self._handled.append(at)

    def passed(self, since: datetime, now: datetime) -> list[datetime]:
        """Firings in (`since`, `now`], as far back as matters."""
        horizon = max([LOOKBACK, *(entry.check.grace for entry in self.entries.values())])
        return list(fires(self.key.rule, max(since, now - horizon), now))


Key = IntervalKey | CalendarKey
Job = IntervalJob | CalendarJob


def make_job(key: Key, now: datetime) -> Job:
    """A job whose times up to `now` count as handled."""
    return IntervalJob(key, now) if isinstance(key, IntervalKey) else CalendarJob(key, now)


def interval_key(check: Check, every: timedelta) -> IntervalKey:
    """The job that runs the check every `every`."""
    return IntervalKey(every, phase(check.id, every))


def plan(checks: Iterable[Check]) -> dict[Key, dict[str, Entry]]:
    """Which jobs the enabled checks need: per job its entries by check id."""
    jobs: dict[Key, dict[str, Entry]] = {}
    for check in checks:
        if not check.enabled:
            continue
        for rule, cadence in timings(check):
            key: Key
            if rule.every is not None:
                key, entry = interval_key(check, rule.every), Entry(check, cadence)
            else:
                key = CalendarKey(check.system, cadence, rule)
                entry = Entry(check, cadence, mark_key(check.id, rule, cadence))
            jobs.setdefault(key, {}).setdefault(check.id, entry)
    return jobs
