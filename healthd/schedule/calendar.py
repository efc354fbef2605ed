"""When rules fire: pure functions from rules to UTC times.

Calendar rules mean wall-clock times in their zone. Where the clock is changed:

- a time that does not exist fires once, at the end of the gap; a time that exists twice fires the first time only;
- a rule for every hour of the day (`*/5 * * * *`) follows elapsed time instead: nothing is skipped or held back.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim

from healthd.model.catalogue import Check, Rule
from healthd.schedule.due import timings


def fires(rule: Rule, after: datetime, until: datetime) -> Iterator[datetime]:
    """The rule's firings in (`after`, `until`], in UTC, strictly increasing. An interval counts from `after`."""
    for at in _unbounded(rule, after):
        if at > until:
            return
        yield at


def next_fire(rule: Rule, after: datetime) -> datetime | None:
    """The first firing after `after`, in UTC; None when there is none in the next 50 years."""
    return next(_unbounded(rule, after), None)


def next_due(check: Check, after: datetime) -> datetime | None:
    """The soonest firing of any of the check's rules after `after`; None for a check without rules."""
    firings = (next_fire(rule, after) for rule in check.rules)
    return min((at for at in firings if at is not None), default=None)


def upcoming(checks: Iterable[Check], now: datetime, until: datetime) -> list[tuple[datetime, str, str]]:
    """Calendar runs in (`now`, `until`] as (due, check id, cadence), soonest first. Interval rules are left out."""
    known: dict[Rule, list[datetime]] = {}
    runs = []
    for check in checks:
        if not check.enabled:
            continue
        for rule, cadence in timings(check):
            if rule.is_interval:
                continue
            if rule not in known:
                known[rule] = list(fires(rule, now, until))
            runs += [(at, check.id, cadence) for at in known[rule]]
    return sorted(runs)


def _unbounded(rule: Rule, after: datetime) -> Iterator[datetime]:
    if rule.every is not None:
        return _intervals(rule, after)
    after = after.astimezone(UTC)
    return _distinct(heapq.merge(*(_cron(cron, rule.zone, after) for cron in rule.crons)))


def _intervals(rule: Rule, after: datetime) -> Iterator[datetime]:
    at = after.astimezone(UTC)
    while rule.every:
        at += rule.every
        yield at


def _distinct(times: Iterable[datetime]) -> Iterator[datetime]:
    previous = None
    for at in times:
        if at != previous:
            yield at
        previous = at


def _cron(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    expression = _explicit(expression)
    if expression.split()[1] == "*":
        return _elapsed(expression, zone, after)
    # cronsim may begin with the first of two equal wall-clock times when `after` lies in the second
    times = (local.astimezone(UTC) for local in CronSim(expression, after.astimezone(zone)))
    return (at for at in times if at > after)


def _elapsed(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Every instant whose wall-clock time matches, both of two equal ones included.

    Walks from one change of the clock to the next: cronsim itself, given a zone, steps over a match where the clock
    changes by half an hour.
    """
    offset = _offset(after, zone)
    while True:
        start = after
        for wall in CronSim(expression, (start + offset).replace(tzinfo=None)):
            at = wall.replace(tzinfo=UTC) - offset
            if _offset(at, zone) != offset:
                after, offset = _change(after, at, zone)
                break
            yield at
            after = at
        else:
            return


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)


def _change(before: datetime, behind: datetime, zone: ZoneInfo) -> tuple[datetime, timedelta]:
    """The last second before the zone's offset changes between two instants, and the offset from then on."""
    offset = _offset(before, zone)
    low, high = 0, int((behind - before).total_seconds()) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(before + timedelta(seconds=middle), zone) == offset else (low, middle)
    return before + timedelta(seconds=low), _offset(before + timedelta(seconds=high), zone)


@lru_cache(maxsize=4096)
def _explicit(expression: str) -> str:
    """The expression with a `*` in its hour exactly when it covers all 24 hours.

    Debian cron (and cronsim) take any leading `*` in minute or hour for a rule that follows elapsed time, which makes
    `*/30 2 * * *` run four times, or never, on the days the clock is changed.
    """
    minute, _hour, day, month, weekday = expression.split()
    parsed = CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
    if len(parsed.hours) == 24:
        return f"{minute} * {day} {month} {weekday}"
    return f"{_list(parsed.minutes)} {_list(parsed.hours)} {day} {month} {weekday}"


def _list(values: set[int]) -> str:
    return ",".join(map(str, sorted(values)))
