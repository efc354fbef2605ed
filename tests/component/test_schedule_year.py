"""A year in seconds: the real scheduler over 2028, a leap year, against the documents' times as dateutil has them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from healthd.loading import load_catalogue
from healthd.model.catalogue import Catalogue, Check
from healthd.schedule import Due, Scheduler
from healthd.settings import load_settings
from tests.component.documented_calendar import CALENDARS, Documented
from tests.component.simulated import Clock, simulated
from tests.factories import make_check

CHECKS = Path(__file__).parents[2] / "checks"
YEAR = 2028
VARIABLES = {
    "syncwatch": "SYNCWATCH_TIMEZONE", "social-live": "SOCIAL_LIVE_TIMEZONE",
    "syncup": "SYNCUP_TIMEZONE", "synk": "SYNK_TIMEZONE",
}  # fmt: skip
# 2028: clocks change in Berlin on 26 March and 29 October, in New York on 12 March and 5 November
ZONES = ("UTC", "Europe/Berlin", "America/New_York")


Documents = Mapping[str, Mapping[str, Documented]]


def by_calendar(catalogue: Catalogue) -> Iterator[Check]:
    """The checks and attestations of the four systems that have a calendar; one more for a cadence without any."""
    everything = [*catalogue.checks.values(), *catalogue.tasks.values()]
    for check in everything:
        pairs = list(zip(check.cadences, check.rules, strict=False))
        timed = [(name, rule) for name, rule in pairs if not rule.is_interval]
        assert not any(rule.crons for rule in check.rules[len(pairs) :]), f"{check.id} has a calendar of its own"
        if check.system in CALENDARS and timed:
            names, rules = zip(*timed, strict=True)
            yield dataclasses.replace(check, cadences=names, rules=rules, enabled=True)
    used = {(check.system, name) for check in everything for name in check.cadences}
    for system in CALENDARS.keys() & catalogue.systems.keys():
        for name, cadence in catalogue.systems[system].cadences.items():
            if not cadence.rule.is_interval and (system, name) not in used:
                yield make_check(system=system, name=f"nothing-but-{name}", cadences=(name,), rules=(cadence.rule,))


class Year:
    """Everything the scheduler did in the year."""

    def __init__(self, checks: list[Check]) -> None:
        self.checks = checks
        self.fired: dict[tuple[str, str], list[datetime]] = defaultdict(list)
        self.late: list[Due] = []
        self.missed: Counter[str] = Counter()
        self.lag = 0.0

    def go_by(self) -> None:
        """From the last second of the year before: what is due at midnight is due."""
        with simulated(datetime(YEAR - 1, 12, 31, 23, 59, 59, tzinfo=UTC)) as run:
            run(self._pass_by)

    async def _pass_by(self, clock: Clock) -> None:
        scheduler = Scheduler(
            self._launch, now=clock, on_missed=self._miss, on_lag=self._lag, watch_every=timedelta(days=1)
        )
        scheduler.start(self.checks, {}, {})
        end = datetime(YEAR + 1, 1, 1, 0, 0, 30, tzinfo=UTC)
        await asyncio.sleep((end - clock()).total_seconds())
        scheduler.stop()

    def _launch(self, due: Due) -> None:
        self.fired[due.check.id, due.cadence].append(due.at)
        if due.late or due.trigger != "schedule":
            self.late.append(due)

    def _miss(self, check_id: str, count: int) -> None:
        self.missed[check_id] += count

    def _lag(self, seconds: float) -> None:
        self.lag = max(self.lag, seconds)


def expected(year: Year, zone: str, documents: Documents) -> dict[tuple[str, str], list[datetime]]:
    times = {(s, name): doc.in_year(YEAR, zone) for s, calendar in documents.items() for name, doc in calendar.items()}
    return {(check.id, name): times[check.system, name] for check in year.checks for name in check.cadences}


@pytest.mark.parametrize("zone", ZONES)
def test_every_firing_of_a_year_is_where_the_documents_have_it(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES.values():
        monkeypatch.setenv(variable, zone)
    year = Year(list(by_calendar(load_catalogue(load_settings(), [str(CHECKS)]))))
    year.go_by()
    wanted = expected(year, zone, CALENDARS)
    assert {(check.system, name) for check in year.checks for name in check.cadences} == {
        (system, name) for system, calendar in CALENDARS.items() for name in calendar
    }
    assert year.fired.keys() == wanted.keys()
    for key, times in wanted.items():
        assert year.fired[key] == times, key
    assert sum(map(len, wanted.values())) > 50_000
    assert (year.late, year.missed, year.lag) == ([], Counter(), pytest.approx(0, abs=0.1))


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe"])
def test_nights_on_which_clocks_change(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation whose checklists are at night; Lord Howe changes by half an hour."""
    hour, minute = (2, 15) if zone == "Australia/Lord_Howe" else (2, 30)
    monkeypatch.setenv("SYNCWATCH_TIMEZONE", zone)
    for variable in ("SYNCWATCH_MORNING", "SYNCWATCH_WEEKLY", "SYNCWATCH_MONTHLY"):
        monkeypatch.setenv(variable, f"{hour:02}:{minute:02}")
    monkeypatch.setenv("SYNCWATCH_EVENING", "01:45")
    catalogue = load_catalogue(load_settings(), [str(CHECKS / "syncwatch")])
    checks = {check.cadences: check for check in by_calendar(catalogue)}  # one of each will do
    year = Year(list(checks.values()))
    year.go_by()
    moved = {
        name: dataclasses.replace(doc, hour=hour, minute=minute) if doc.hour in (9, 10) else doc
        for name, doc in CALENDARS["syncwatch"].items()
    }
    moved["evening"] = dataclasses.replace(moved["evening"], hour=1, minute=45)
    wanted = expected(year, zone, {"syncwatch": moved})
    assert year.fired == wanted
    assert (year.late, year.missed) == ([], Counter())
