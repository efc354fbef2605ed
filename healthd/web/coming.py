"""The coming runs, those that start together as one. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from healthd.model.catalogue import Catalogue, Rule
from healthd.schedule import fires
from healthd.schedule.due import timings


@dataclass(frozen=True, slots=True)
class Coming:
    """Checks of one system that are due at the same moment by the same rule."""

    at: datetime
    system: str
    cadence: str
    rule: str  # in words
    checks: tuple[str, ...]  # names


Key = tuple[str, Rule, str]  # system, rule, cadence


def together(catalogue: Catalogue, system: str = "") -> dict[Key, list[str]]:
    """Names of the checks that start together by calendar."""
    groups: dict[Key, list[str]] = {}
    for check in catalogue.checks.values():
        if check.enabled and system in ("", check.system):
            for rule, cadence in timings(check):
                if not rule.is_interval:
                    groups.setdefault((check.system, rule, cadence), []).append(check.name)
    return groups


def coming(catalogue: Catalogue, now: datetime, until: datetime, most: int, system: str = "") -> list[Coming]:
    """Calendar runs in (`now`, `until`], soonest first, at most `most` rows."""
    groups = together(catalogue, system)
    streams = [_stream(catalogue, key, tuple(names), now, until) for key, names in groups.items()]
    merged = heapq.merge(*streams, key=lambda run: (run.at, run.system, run.cadence))
    return list(islice(merged, most))


def _stream(catalogue: Catalogue, key: Key, names: tuple[str, ...], now: datetime, until: datetime) -> Iterator[Coming]:
    system, rule, cadence = key
    known = catalogue.systems[system].cadences.get(cadence)
    text = known.text if known else ", ".join(rule.crons)
    for at in fires(rule, now, until):
        yield Coming(at, system, cadence, text, names)


def intervals(catalogue: Catalogue, system: str = "") -> list[tuple[timedelta, int]]:
    """How many checks run at each interval, shortest first."""
    counter = Counter(
        check.interval
        for check in catalogue.watched_checks
        if check.enabled and check.interval is not None and system in ("", check.system)
    )
    return sorted(counter.items())
