"""The wall calendar: which day of which zone, what is too often for it, what stands on it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from healthd.model.catalogue import Cadence, Catalogue, Check, Severity, System
from healthd.model.windows import Maintenance
from healthd.web.calendar import Day, Month, month
from tests.factories import cron, every, make_check

FEBRUARY = date(2026, 2, 1)
TODAY = date(2026, 2, 3)


def catalogue(expression: str, zone: str = "UTC", number: int = 1, **overrides: object) -> Catalogue:
    """A system whose `number` checks run at one cadence."""
    rule = cron(expression, zone=zone)
    cadence = Cadence("morning", rule, "Morning checks", timedelta(hours=1), expression)
    checks = tuple(make_check(name=f"c{n}", rules=(rule,), cadences=("morning",), **overrides) for n in range(number))
    return of(checks, cadence, zone)


def of(checks: tuple[Check, ...], cadence: Cadence, zone: str) -> Catalogue:
    severities = {"SEV2": Severity("SEV2", 1)}
    system = System("shop", "Shop", ZoneInfo(zone), severities, {"morning": cadence}, {}, checks)
    return Catalogue({"shop": system}, {}, (), checks={check.id: check for check in checks})


def days(found: Month) -> list[Day]:
    return [day for week in found.weeks for day in week]


def test_a_month_is_whole_weeks_from_monday_and_only_its_own_days_are_filled() -> None:
    found = month(catalogue("30 7 * * *", number=3), (), FEBRUARY, TODAY)
    assert [week[0].day.weekday() for week in found.weeks] == [0] * len(found.weeks)
    assert days(found)[0].day == date(2026, 1, 26)
    assert [day.day.day for day in days(found) if day.entries] == list(range(1, 29))
    assert [(e.at.strftime("%H:%M"), e.title, e.checks, e.more) for e in days(found)[6].entries] == [
        ("07:30", "Morning checks", 3, 0)
    ]
    assert [day.day for day in days(found) if day.is_today] == [TODAY]
    assert (found.before, found.after) == (date(2026, 1, 1), date(2026, 3, 1))


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("Pacific/Kiritimati", "00:30"), ("America/Los_Angeles", "00:30"), ("Pacific/Pago_Pago", "00:30")],
)
def test_a_day_is_that_of_the_systems_zone(zone: str, expected: str) -> None:
    found = month(catalogue("30 0 1 * *", zone), (), FEBRUARY, TODAY)
    assert [(day.day, entry.at.strftime("%H:%M")) for day in days(found) for entry in day.entries] == [
        (FEBRUARY, expected)
    ]


def test_several_times_of_a_day_are_one_entry_and_what_runs_all_the_time_is_said_in_words() -> None:
    found = month(catalogue("0 9,13,18 * * *"), (), FEBRUARY, TODAY)
    assert {(len(day.entries), day.entries[0].more) for day in days(found) if day.in_month} == {(1, 2)}
    often = month(catalogue("*/10 * * * *"), (), FEBRUARY, TODAY)
    assert often.often == [("Shop, Morning checks", "*/10 * * * *")]
    assert not [day for day in days(often) if day.entries]


def test_intervals_disabled_checks_and_other_systems_are_not_on_it() -> None:
    steady = of((make_check(rules=(every(60),)),), Cadence("morning", every(60), "", timedelta(), ""), "UTC")
    assert not [day for day in days(month(steady, (), FEBRUARY, TODAY)) if day.entries]
    disabled = catalogue("0 9 * * *", enabled=False)
    assert not [day for day in days(month(disabled, (), FEBRUARY, TODAY)) if day.entries]
    assert not [day for day in days(month(catalogue("0 9 * * *"), (), FEBRUARY, TODAY, "bank")) if day.entries]


def test_maintenance_stands_on_the_day_it_begins() -> None:
    starts = datetime(2026, 2, 10, 23, 30, tzinfo=UTC)
    window = Maintenance("WIN-1", "shop", "Upgrade", starts, starts + timedelta(hours=2))
    found = month(catalogue("0 9 1 1 *", "Europe/Berlin"), [window], FEBRUARY, TODAY)
    [(day, entry)] = [(day.day, entry) for day in days(found) for entry in day.entries]
    assert (day, entry.title, entry.checks) == (date(2026, 2, 11), "Upgrade", 0)  # half past midnight in Berlin
