"""Checklists as they stand: what a calendar cadence looks at, and what of it has been looked at since it was due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from healthd.model.catalogue import Cadence, Check, System
from healthd.schedule import fires
from healthd.web.daemon import Daemon
from healthd.web.standing import Standing, Status, count, overall, standings, status_of

DAY = timedelta(days=1)
OFTEN = timedelta(hours=1)  # what fires more often than this is no checklist: it runs all the time


@dataclass(frozen=True, slots=True)
class Round:
    """One firing of a cadence on one day. It has begun once `due` is not after `now`."""

    system: System
    cadence: Cadence
    due: datetime
    began: bool
    checks: tuple[Check, ...]
    counts: Mapping[Status, int]  # what was not looked at since it was due is waiting
    worst: tuple[tuple[Check, Status], ...]  # a few of those that need attention

    @property
    def status(self) -> Status:
        """The worst of it; waiting while nothing is wrong and something is still to be looked at."""
        found = overall(self.counts)
        return Status.WAITING if found is Status.OK and self.counts[Status.WAITING] else found

    @property
    def done(self) -> int:
        """How many were looked at."""
        return sum(number for status, number in self.counts.items() if status is not Status.WAITING)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a checklist."""

    row: Standing
    status: Status
    request: str  # of a task: the id of what is asked for now, "" when nothing is


NAMED = 4


def today(daemon: Daemon, systems: Iterable[System], now: datetime) -> list[Round]:
    """Of each cadence that fires on this day of its own zone: the newest firing, else the first to come. By time."""
    found, asked = [], _asked(daemon)
    for system in systems:
        for cadence, checks in _lists(system):
            due = _firing(cadence, now)
            if due is not None:
                statuses = _statuses(daemon, checks, due if due <= now else None, asked)
                bad = sorted((pair for pair in statuses if pair[1].is_problem), key=lambda pair: pair[1].rank)
                counts = count(status for _, status in statuses)
                found.append(Round(system, cadence, due, due <= now, checks, counts, tuple(bad[:NAMED])))
    return sorted(found, key=lambda round_: (round_.due, round_.system.name))


def checklist(daemon: Daemon, system: System, cadence: Cadence, due: datetime | None) -> list[Entry]:
    """Every line of it, in the catalogue's order. Nothing has been looked at for a round that is not known."""
    checks = [check for check in system.checks if check.enabled and cadence.name in check.cadences]
    asked = _asked(daemon)
    return [
        Entry(row, _status(daemon, row.check, due, asked), asked.get(row.check.id, ""))
        for row in standings(daemon, checks)
    ]


def last_due(cadence: Cadence, now: datetime) -> datetime | None:
    """When it fired last: within a day, a month or a bit more than a year."""
    for back in (DAY, 31 * DAY, 400 * DAY):
        last = max(fires(cadence.rule, now - back, now), default=None)
        if last is not None:
            return last
    return None


def _lists(system: System) -> Iterable[tuple[Cadence, tuple[Check, ...]]]:
    """The system's calendar cadences that something is looked at for, with that."""
    found: dict[str, list[Check]] = {}
    for check in system.checks:
        for name in check.cadences if check.enabled else ():
            found.setdefault(name, []).append(check)
    for name, checks in found.items():
        cadence = system.cadences.get(name)
        if cadence is not None and not cadence.rule.is_interval:
            yield cadence, tuple(checks)


def _firing(cadence: Cadence, now: datetime) -> datetime | None:
    local = now.astimezone(cadence.rule.zone)
    start = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    last = None
    for at in fires(cadence.rule, start.astimezone(now.tzinfo) - timedelta(seconds=1), now + DAY):
        if last is not None and at - last < OFTEN:
            return None
        if at > now:
            coming = at if at.astimezone(cadence.rule.zone).date() == local.date() else None
            return last or coming
        last = at
    return last


def _statuses(
    daemon: Daemon, checks: Iterable[Check], due: datetime | None, asked: Mapping[str, str]
) -> list[tuple[Check, Status]]:
    return [(check, _status(daemon, check, due, asked)) for check in checks]


def _asked(daemon: Daemon) -> dict[str, str]:
    """By check id: what people are asked to sign for now."""
    return {request.check_id: request.id for request in daemon.attestations.open}


def _status(daemon: Daemon, check: Check, due: datetime | None, asked: Mapping[str, str]) -> Status:
    """How it stands, if it was looked at since it was due. A task that is asked for, and not overdue, waits."""
    state = daemon.states.get(check.id)
    if check.is_attestation:
        found = status_of(check, state)
        return Status.WAITING if found is Status.OK and check.id in asked else found
    if due is None or state is None or state.last_run is None or state.last_run < due:
        return Status.WAITING
    return status_of(check, state)
