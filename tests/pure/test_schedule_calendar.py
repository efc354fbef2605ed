"""When calendar rules fire: tables over the days clocks are changed, and laws that hold for any rule and zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from healthd.schedule import fires, next_due, next_fire, upcoming
from tests.factories import cron, every, make_check

ZONES = (
    "UTC", "Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia",
    "America/Havana", "Africa/Casablanca", "America/Sao_Paulo",
)  # fmt: skip
DAY = timedelta(days=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(expressions: str, zone: str, start: str, end: str) -> list[str]:
    """Firings from local midnight of `start` up to local midnight of `end`, as "UTC time" strings."""
    tz = ZoneInfo(zone)
    after = datetime.fromisoformat(start).replace(tzinfo=tz).astimezone(UTC) - timedelta(seconds=1)
    until = datetime.fromisoformat(end).replace(tzinfo=tz).astimezone(UTC) - timedelta(seconds=1)
    return [f"{at:%m-%d %H:%M}" for at in fires(cron(*expressions.split(" | "), zone=zone), after, until)]


@pytest.mark.parametrize(
    ("expression", "zone", "start", "end", "expected"),
    [
        # an ordinary day: the zone's offset is all there is to it
        ("0 9 * * *", "Europe/Madrid", "2026-01-15", "2026-01-16", ["01-15 08:00"]),
        ("0 9 * * *", "Asia/Kolkata", "2026-01-15", "2026-01-16", ["01-15 03:30"]),
        ("0 9 * * *", "UTC", "2026-03-29", "2026-03-30", ["03-29 09:00"]),
        # Madrid skips 02:00-03:00 on 29 March 2026: the run happens once, at the end of the gap
        ("30 2 * * *", "Europe/Madrid", "2026-03-29", "2026-03-30", ["03-29 01:00"]),
        ("0 9 * * *", "Europe/Madrid", "2026-03-28", "2026-03-31", ["03-28 08:00", "03-29 07:00", "03-30 07:00"]),
        ("*/30 2 * * *", "Europe/Madrid", "2026-03-29", "2026-03-30", ["03-29 01:00"]),
        ("* 2 * * *", "Europe/Madrid", "2026-03-29", "2026-03-30", ["03-29 01:00"]),
        ("30 2 * * * | 0 3 * * *", "Europe/Madrid", "2026-03-29", "2026-03-30", ["03-29 01:00"]),
        # and has 02:00-03:00 twice on 25 October 2026: the run happens the first time only
        ("30 2 * * *", "Europe/Madrid", "2026-10-25", "2026-10-26", ["10-25 00:30"]),
        ("*/30 2 * * *", "Europe/Madrid", "2026-10-25", "2026-10-26", ["10-25 00:00", "10-25 00:30"]),
        ("0 */12 * * *", "Europe/Madrid", "2026-10-25", "2026-10-26", ["10-24 22:00", "10-25 11:00"]),
        ("0 2-3 * * *", "Europe/Madrid", "2026-10-25", "2026-10-26", ["10-25 00:00", "10-25 02:00"]),
        # New York: gap on 8 March, overlap on 1 November
        ("15 2 * * *", "America/New_York", "2026-03-08", "2026-03-09", ["03-08 07:00"]),
        ("15 1 * * *", "America/New_York", "2026-11-01", "2026-11-02", ["11-01 05:15"]),
        # Lord Howe changes by half an hour: gap 02:00-02:30 on 4 October, overlap 01:30-02:00 on 5 April
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-04", "2026-10-05", ["10-03 15:30"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05", "2026-04-06", ["04-04 14:45"]),
        ("30 2 * * *", "Australia/Lord_Howe", "2026-10-04", "2026-10-05", ["10-03 15:30"]),
        # Havana changes at midnight, so that the day begins at 01:00
        ("0 0 * * *", "America/Havana", "2026-03-08", "2026-03-09", ["03-08 05:00"]),
        ("0 */6 * * *", "America/Havana", "2026-03-08", "2026-03-08T11:00", ["03-08 05:00", "03-08 10:00"]),
        # Apia had no 30 December 2011: that day's run is made up for when the 31st begins
        ("0 9 * * *", "Pacific/Apia", "2011-12-29", "2012-01-01", ["12-29 19:00", "12-30 10:00", "12-30 19:00"]),
        # what the calendar offers beyond plain numbers
        ("0 9 * * MON#1", "UTC", "2026-01-01", "2026-04-01", ["01-05 09:00", "02-02 09:00", "03-02 09:00"]),
        ("0 9 * * 5L", "UTC", "2026-01-01", "2026-04-01", ["01-30 09:00", "02-27 09:00", "03-27 09:00"]),
        ("0 9 L * *", "UTC", "2026-01-01", "2026-04-01", ["01-31 09:00", "02-28 09:00", "03-31 09:00"]),
        ("0 9 LW * *", "UTC", "2026-01-01", "2026-03-01", ["01-30 09:00", "02-27 09:00"]),
        ("0 9 1 1,4,7,10 *", "UTC", "2026-03-01", "2026-12-31", ["04-01 09:00", "07-01 09:00", "10-01 09:00"]),
        ("0 9 29 2 *", "UTC", "2026-01-01", "2029-01-01", ["02-29 09:00"]),
        # several expressions are one rule
        ("0 9 * * * | 0 18 * * * | 0 9 * * 1", "UTC", "2026-01-05", "2026-01-06", ["01-05 09:00", "01-05 18:00"]),
    ],
)  # fmt: skip
def test_a_rule_means_wall_clock_time_in_its_zone(
    expression: str, zone: str, start: str, end: str, expected: list[str]
) -> None:
    assert between(expression, zone, start, end) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "start", "hours"),
    [
        ("30 * * * *", "Europe/Madrid", "2026-03-29", 23),
        ("30 * * * *", "Europe/Madrid", "2026-10-25", 25),
        ("*/15 * * * *", "America/New_York", "2026-03-08", 23),
        ("*/15 * * * *", "America/New_York", "2026-11-01", 25),
        ("10 0-23 * * *", "Europe/Madrid", "2026-10-25", 25),
        ("10 */1 * * *", "Europe/Madrid", "2026-10-25", 25),
    ],
)
def test_a_rule_for_every_hour_follows_elapsed_time(expression: str, zone: str, start: str, hours: int) -> None:
    end = (date.fromisoformat(start) + DAY).isoformat()
    times = between(expression, zone, start, end)
    assert len(times) == hours * (4 if "15" in expression else 1)


def test_the_second_of_two_equal_hours_does_not_bring_back_what_fired_in_the_first() -> None:
    rule = cron("30 2 * * *", zone="Europe/Madrid")
    assert next_fire(rule, utc("2026-10-25T01:10")) == utc("2026-10-26T01:30")  # 02:10 for the second time


def _by_scanning(expression: str, zone: ZoneInfo, after: datetime, until: datetime) -> list[datetime]:
    """Every minute whose wall-clock time matches: slow, and plainly right for a rule for every hour."""
    fields = CronSim(expression, after)
    found, at = [], after
    while (at := at + timedelta(minutes=1)) <= until:
        local = at.astimezone(zone)
        if local.minute in fields.minutes and local.month in fields.months and fields.match_day(local.date()):
            found.append(at)
    return found


@pytest.mark.parametrize("expression", ["30 * * * *", "45 * * * *", "7,52 * * * *", "*/7 * * * 1-5", "20 * L * *"])
@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("Australia/Lord_Howe", "2026-04-04"),
        ("Australia/Lord_Howe", "2026-10-03"),
        ("Europe/Madrid", "2026-03-28"),
        ("America/Havana", "2026-10-31"),
        ("Pacific/Apia", "2011-12-29"),
        ("Africa/Casablanca", "2026-02-14"),
    ],
)
def test_nothing_is_lost_or_doubled_where_the_clock_changes_by_any_amount(
    expression: str, zone: str, start: str
) -> None:
    after = utc(start)
    assert list(fires(cron(expression, zone=zone), after, after + 2 * DAY)) == _by_scanning(
        expression, ZoneInfo(zone), after, after + 2 * DAY
    )


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("expression", "walls"),
    [
        ("30 2 * * *", [time(2, 30)]),
        ("*/30 2 * * *", [time(2), time(2, 30)]),
        ("30 1 * * *", [time(1, 30)]),
        ("0 0 * * *", [time(0)]),
    ],
)
def test_over_twenty_years_each_wall_clock_time_comes_exactly_once(
    zone: str, expression: str, walls: list[time]
) -> None:
    tz = ZoneInfo(zone)
    dates = [date(2005, 1, 1) + n * DAY for n in range(20 * 365)]
    expected = sorted({_instant(datetime.combine(day, wall), tz) for day in dates for wall in walls})
    assert list(fires(cron(expression, zone=zone), expected[0] - timedelta(seconds=1), expected[-1])) == expected


def _instant(wall: datetime, tz: ZoneInfo) -> datetime:
    """The first instant that shows this wall-clock time; the end of the gap if none does."""
    while (at := wall.replace(tzinfo=tz).astimezone(UTC)).astimezone(tz).replace(tzinfo=None) != wall:
        wall += timedelta(minutes=1)
    return at


minutes = st.sampled_from(["0", "30", "*/15", "7,52", "10-13", "*"])
hours = st.sampled_from(["*", "*/2", "0", "1-3", "2", "*/6", "0-23", "23"])
days = st.sampled_from(["* * *", "* * 1-5", "1 * *", "L * *", "* * MON#1", "15 * 1"])
expressions = st.builds("{} {} {}".format, minutes, hours, days)
moments = st.timedeltas(timedelta(0), 20 * 365 * DAY).map(lambda passed: datetime(2010, 1, 1, tzinfo=UTC) + passed)


@settings(max_examples=150, deadline=None)
@given(st.lists(expressions, min_size=1, max_size=3), st.sampled_from(ZONES), moments)
def test_firings_increase_are_whole_minutes_in_utc_and_come_after(texts: list[str], zone: str, after: datetime) -> None:
    times = list(islice(fires(cron(*texts, zone=zone), after, after + 800 * DAY), 40))
    assert all(a < b for a, b in pairwise([after, *times]))
    assert all(at.tzinfo is UTC and at.second == at.microsecond == 0 for at in times)


@settings(max_examples=150, deadline=None)
@given(expressions, st.sampled_from(ZONES), moments, st.integers(1, 10))
def test_asking_again_from_any_firing_or_moment_gives_the_same_times(
    text: str, zone: str, after: datetime, skip: int
) -> None:
    rule = cron(text, zone=zone)
    times = list(islice(fires(rule, after, after + 800 * DAY), 12))
    assert list(islice(fires(rule, times[skip - 1], after + 800 * DAY), 12 - skip)) == times[skip:]
    between_two = times[skip - 1] + (times[skip] - times[skip - 1]) / 2
    assert next_fire(rule, between_two) == times[skip]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 23), st.integers(0, 59), st.sampled_from(ZONES), st.integers(2005, 2029))
def test_a_daily_rule_fires_at_its_wall_clock_time_except_in_gaps(hour: int, minute: int, zone: str, year: int) -> None:
    tz = ZoneInfo(zone)
    text = f"{minute} {hour} * * *"
    after = datetime(year, 1, 1, tzinfo=tz).astimezone(UTC) - timedelta(seconds=1)
    off = [at for at in fires(cron(text, zone=zone), after, after + 365 * DAY) if _wall(at, tz) != (hour, minute)]
    assert len(off) <= 2
    for at in off:  # the first minute after the gap: a minute before, the offset was another one
        assert (at - timedelta(minutes=1)).astimezone(tz).utcoffset() != at.astimezone(tz).utcoffset()


def _wall(at: datetime, tz: ZoneInfo) -> tuple[int, int]:
    local = at.astimezone(tz)
    return local.hour, local.minute


def test_a_date_that_never_comes_has_no_next_firing() -> None:
    assert next_fire(cron("0 0 31 4 1#1"), utc("2026-01-01")) is not None  # day or weekday, as in Debian cron
    assert next_due(make_check(rules=()), utc("2026-01-01")) is None


def test_an_interval_counts_from_the_moment_asked_about() -> None:
    after = utc("2026-01-01T00:00:07")
    assert next_fire(every(30), after) == after + timedelta(seconds=30)
    assert len(list(fires(every(30), after, after + timedelta(minutes=5)))) == 10


def test_a_check_is_next_due_by_its_soonest_rule() -> None:
    check = make_check(rules=(cron("0 9 * * *"), every(3600)))
    assert next_due(check, utc("2026-01-01T08:30")) == utc("2026-01-01T09:00")
    assert next_due(check, utc("2026-01-01T09:00")) == utc("2026-01-01T10:00")


def test_coming_runs_are_listed_soonest_first_without_intervals_and_disabled_checks() -> None:
    morning, weekly = cron("0 9 * * *", zone="Europe/Madrid"), cron("0 9 * * 2", zone="America/New_York")
    checks = [
        make_check(name="weekly", rules=(weekly,), cadences=("weekly-tuesday",)),
        make_check(name="disk", rules=(morning, every(30)), cadences=("morning",)),
        make_check(name="own", rules=(cron("30 8 * * *"),)),
        make_check(name="off", rules=(morning,), cadences=("morning",), enabled=False),
    ]
    now = utc("2026-01-05T12:00")
    assert upcoming(checks, now, now + 2 * DAY) == [
        (utc("2026-01-06T08:00"), "shop/disk", "morning"),
        (utc("2026-01-06T08:30"), "shop/own", ""),
        (utc("2026-01-06T14:00"), "shop/weekly", "weekly-tuesday"),
        (utc("2026-01-07T08:00"), "shop/disk", "morning"),
        (utc("2026-01-07T08:30"), "shop/own", ""),
    ]
