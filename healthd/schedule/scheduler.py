"""Starts runs when they are due: APScheduler rings, jobs know what is due, timers spread the starts."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from healthd.model.catalogue import Check
from healthd.schedule.clock import ClockWatch, to_system
from healthd.schedule.due import Due
from healthd.schedule.jobs import CalendarJob, Entry, Firing, IntervalJob, Job, Key, interval_key, make_job, plan
from healthd.schedule.splay import WINDOW, order, phase, step

log = structlog.get_logger(__name__)

# A calendar run started later than this counts as missed, and is caught up only within its grace.
PUNCTUAL = timedelta(seconds=60)
# After a longer interruption everything is due at once: such late interval runs are spread again.
STALL = timedelta(seconds=10)
# Interval checks run soon after a start only if waiting for their phase would take longer than this.
PATIENCE = timedelta(seconds=60)


class _JobTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Rings at the job's next time. Times that passed unseen are for the job to count, not for APScheduler."""

    __slots__ = ("_job", "_now")

    def __init__(self, job: Job, now: Callable[[], datetime]) -> None:
        self._job, self._now = job, now

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        at = self._job.next(self._now())
        return None if at is None else to_system(at, self._now)


class Scheduler:
    """Calls `launch(due)` for every run, on the event loop; `launch` must not block.

    `now` gives the wall clock as aware UTC. `on_missed(check_id, count)` tells of due times that will not run,
    `on_lag(seconds)` of how late each scheduled run was launched (its splay is no lag), `on_clock_jump(seconds)` of a
    wall clock that was set (positive: forward). All methods belong to the event loop's thread.
    """

    def __init__(
        self,
        launch: Callable[[Due], None],
        *,
        now: Callable[[], datetime],
        on_missed: Callable[[str, int], None],
        on_lag: Callable[[float], None],
        on_clock_jump: Callable[[float], None] | None = None,
        watch_every: timedelta = timedelta(seconds=1),
    ) -> None:
        self._launch, self._now, self._on_missed, self._on_lag = launch, now, on_missed, on_lag
        self._on_clock_jump = on_clock_jump
        self._watch = ClockWatch(now, self._clock_jumped, watch_every)
        self._ringer: Any = None
        self._checks: dict[str, Check] = {}
        self._jobs: dict[Key, Job] = {}
        self._timers: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._launched: dict[str, datetime] = {}
        self._marks: set[str] = set()

    def start(
        self, checks: Iterable[Check], marks: Mapping[str, datetime], last_runs: Mapping[str, datetime]
    ) -> dict[str, datetime]:
        """Begin, catching up what was missed. Returns marks to store now (mark key -> last due time handled).

        `marks` are the stored ones, `last_runs` says when each check last ran. Calendar runs missed since their mark
        are launched once if still within the check's grace (trigger "catch-up"), the others counted. Interval checks
        that would wait long for their phase run soon (trigger "startup").
        """
        # one line per run is what it logs at level info
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._ringer = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )
        self._ringer.start(paused=True)
        self._launched = dict(last_runs)
        self._marks = set(marks)
        now = self._now()
        new_marks = self._arrange(checks, now) | self._catch_up(marks, now)
        self._ringer.resume()
        self._watch.start()
        return new_marks

    def replace(self, checks: Iterable[Check]) -> dict[str, datetime]:
        """Put a new set of checks in force. Returns marks to store for calendar runs that are new or back.

        Checks whose rules are unchanged go on as if nothing had happened, with their new definition; removed ones
        stop, also if a start of theirs was pending; added ones start.
        """
        if self._ringer is None:  # stopped meanwhile
            return {}
        self._ringer.pause()
        try:
            return self._arrange(checks, self._now())
        finally:
            self._ringer.resume()

    def once(self, check_id: str, at: datetime, trigger: str = "confirm") -> None:
        """Run a check once more at `at` (at once if that has passed), in place of an earlier request of the same kind.

        It is a delay: setting the clock does not move it. Nothing happens for a check that is not scheduled.
        """
        check = self._checks.get(check_id)
        if check is not None:
            self._later(at - self._now(), Due(check, at, trigger))

    def cancel_once(self, check_id: str, trigger: str = "confirm") -> None:
        """Take back `once`, if it has not run yet."""
        timer = self._timers.pop((check_id, trigger), None)
        if timer is not None:
            timer.cancel()

    @property
    def running(self) -> bool:
        """Whether it launches what is due."""
        return self._ringer is not None and bool(self._ringer.running)

    def stop(self) -> None:
        """Launch nothing more. Runs that were launched are not touched."""
        self._watch.stop()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._jobs.clear()
        self._checks.clear()
        if self._ringer is not None:
            self._ringer.shutdown(wait=False)
            self._ringer = None

    def _arrange(self, checks: Iterable[Check], now: datetime) -> dict[str, datetime]:
        """Make jobs and entries those of `checks`; marks for calendar runs that begin with them."""
        before = self._checks
        self._checks = {check.id: check for check in checks if check.enabled}
        wanted = plan(self._checks.values())
        for key in self._jobs.keys() - wanted.keys():
            del self._jobs[key]
            self._ringer.remove_job(str(key))
        for key, entries in wanted.items():
            job = self._jobs.get(key) or self._add_job(key, now)
            job.entries = entries
        for check_id, trigger in [pending for pending in self._timers if pending[0] not in self._checks]:
            self.cancel_once(check_id, trigger)
        self._run_soon([check for check in self._checks.values() if not _same_interval(check, before)], now)
        known, self._marks = self._marks, {e.mark for entries in wanted.values() for e in entries.values() if e.mark}
        return dict.fromkeys(self._marks - known, now)

    def _add_job(self, key: Key, now: datetime) -> Job:
        job = self._jobs[key] = make_job(key, now)
        # said explicitly: the trigger would skip a time that passes while jobs are being added
        first = self._ring_time(job, now)
        self._ringer.add_job(self._ring, _JobTrigger(job, self._now), args=(key,), id=str(key), next_run_time=first)
        return job

    def _ring_time(self, job: Job, now: datetime) -> datetime | None:
        at = job.next(now)
        return None if at is None else to_system(at, self._now)

    def _run_soon(self, checks: list[Check], now: datetime) -> None:
        """Those interval checks that would otherwise be longer without a run than their interval, and notably so."""
        waiting = []
        for check in checks:
            if check.interval is None:
                continue
            last = self._launched.get(check.id)
            upcoming = self._jobs[interval_key(check, check.interval)].next(now) or now
            overdue = last is None or upcoming - last > check.interval + PATIENCE
            if overdue and upcoming - now > PATIENCE:
                waiting.append(Due(check, now, "startup"))
        self._spread(waiting)

    def _catch_up(self, marks: Mapping[str, datetime], now: datetime) -> dict[str, datetime]:
        """Launch or count what calendar jobs missed since their marks; the marks that moves."""
        moved: dict[str, datetime] = {}
        late: list[Due] = []
        for job in self._jobs.values():
            if not isinstance(job, CalendarJob):
                continue
            known = [(entry, marks[entry.mark]) for entry in job.entries.values() if entry.mark in marks]
            passed = job.passed(min((mark for _, mark in known), default=now), now)
            for entry, mark in known:
                if mark > now:  # of a clock that was ahead
                    job.handled(mark)
                mine = passed[bisect_right(passed, mark) :]
                if mine and now - mine[-1] <= entry.check.grace:
                    late.append(_due(entry, mine.pop(), late=True))
                if mine:
                    moved[entry.mark] = mine[-1]
                    self._on_missed(entry.check.id, len(mine))
        self._spread(late)
        return moved

    async def _ring(self, key: Key) -> None:
        """APScheduler rang for this job (a coroutine, or it would be called in a thread)."""
        job = self._jobs.get(key)
        if job is not None:
            self._fire(job)

    def _fire(self, job: Job) -> None:
        now = self._now()
        firing = job.due(now)
        if firing is None:
            return
        if firing.missed:
            for check_id in job.entries:
                self._on_missed(check_id, firing.missed)
        if isinstance(job, CalendarJob):
            self._fire_calendar(job, firing, now)
        else:
            self._fire_interval(job, firing, now)

    def _fire_interval(self, job: IntervalJob, firing: Firing, now: datetime) -> None:
        if now - firing.at < STALL:
            for entry in job.entries.values():
                self._begin(Due(entry.check, firing.at, cadence=entry.cadence), firing.at)
            return
        window = min(WINDOW, job.key.every)
        for entry in job.entries.values():
            delay = phase(entry.check.id, window)
            if now + delay < firing.at + job.key.every:
                self._later(delay, Due(entry.check, firing.at, cadence=entry.cadence))
            else:  # its next run comes first
                self._on_missed(entry.check.id, 1)

    def _fire_calendar(self, job: CalendarJob, firing: Firing, now: datetime) -> None:
        if now - firing.at <= PUNCTUAL:
            self._spread([_due(entry, firing.at) for entry in job.entries.values()])
            return
        caught_up = []
        for entry in job.entries.values():
            if now - firing.at <= entry.check.grace:
                caught_up.append(_due(entry, firing.at, late=True))
            else:
                self._on_missed(entry.check.id, 1)
        self._spread(caught_up)

    def _spread(self, dues: list[Due]) -> None:
        """Launch these from now on, one after another, in an order and at a distance that only they decide."""
        distance = step(len(dues))
        for position, due in enumerate(sorted(dues, key=lambda due: order(due.check.id))):
            delay = position * distance
            self._later(delay, due, due.at + delay)

    def _later(self, delay: timedelta, due: Due, planned: datetime | None = None) -> None:
        kind = (due.check.id, due.trigger + due.mark)
        self.cancel_once(*kind)

        def begin() -> None:
            del self._timers[kind]
            self._begin(due, planned or due.at)

        seconds = max(delay.total_seconds(), 0)
        self._timers[kind] = asyncio.get_running_loop().call_later(seconds, begin)

    def _begin(self, due: Due, planned: datetime) -> None:
        check = self._checks.get(due.check.id)
        if check is None:
            return
        if check is not due.check:  # reloaded since
            due = dataclasses.replace(due, check=check)
        now = self._launched[check.id] = self._now()
        if due.trigger == "schedule":
            self._on_lag(max((now - planned).total_seconds(), 0.0))
        try:
            self._launch(due)
        except Exception:
            log.exception("a due run could not be launched", check=check.id)

    def _clock_jumped(self, seconds: float) -> None:
        log.warning("the clock jumped", seconds=round(seconds, 3))
        now = self._now()
        self._ringer.pause()
        for key, job in self._jobs.items():
            if seconds < 0:
                job.set_back(now)
            self._fire(job)
            self._ringer.modify_job(str(key), next_run_time=self._ring_time(job, now))
        self._ringer.resume()
        if self._on_clock_jump is not None:
            self._on_clock_jump(seconds)


def _due(entry: Entry, at: datetime, *, late: bool = False) -> Due:
    return Due(entry.check, at, "catch-up" if late else "schedule", entry.cadence, late, entry.mark)


def _same_interval(check: Check, before: Mapping[str, Check]) -> bool:
    known = before.get(check.id)
    return known is not None and known.interval == check.interval
