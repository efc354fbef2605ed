"""Calendar rules in words, cron expressions and what is wrong with them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from healthd.catalogue.cadences import read_zone
from healthd.catalogue.cron import read_cron
from healthd.catalogue.days import read_rule
from healthd.catalogue.problems import RefusedError
from healthd.model.catalogue import Cadence
from tests.pure.catalogue_samples import catalogue, lines

HOUR = timedelta(hours=1)


def cadence(tmp_path: Path, text: str) -> Cadence:
    return catalogue(tmp_path, f"cadences: {{c: {text}}}").systems["demo"].cadences["c"]


@pytest.mark.parametrize(
    ("on", "cron"),
    [
        ("daily", "0 9 * * *"),
        ("every day", "0 9 * * *"),
        ("weekdays", "0 9 * * 1-5"),
        ("weekends", "0 9 * * 0,6"),
        ("monday", "0 9 * * 1"),
        ("Mondays", "0 9 * * 1"),
        ("every tuesday", "0 9 * * 2"),
        ("thu", "0 9 * * 4"),
        ("monday and thursday", "0 9 * * 1,4"),
        ("monday, wednesday and friday", "0 9 * * 1,3,5"),
        ("first monday", "0 9 * * 1#1"),
        ("first monday of month", "0 9 * * 1#1"),
        ("the 2nd tuesday of the month", "0 9 * * 2#2"),
        ("1st and 3rd monday", "0 9 * * 1#1,1#3"),
        ("last friday", "0 9 * * 5L"),
        ("last sunday", "0 9 * * 0L"),
        (15, "0 9 15 * *"),
        ("15", "0 9 15 * *"),
        ("1st and 15th", "0 9 1,15 * *"),
        ("day 3", "0 9 3 * *"),
        ("last day", "0 9 L * *"),
        ("last working day", "0 9 LW * *"),
        ("monthly", "0 9 1 * *"),
        ("quarterly", "0 9 1 1,4,7,10 *"),
        ("first monday of quarter", "0 9 * 1,4,7,10 1#1"),
        ("last friday of each quarter", "0 9 * 3,6,9,12 5L"),
        ("last day of quarter", "0 9 L 3,6,9,12 *"),
        ("first monday of january and july", "0 9 * 1,7 1#1"),
        ("annually", "0 9 1 1 *"),
        ("yearly", "0 9 1 1 *"),
        ("1 march", "0 9 1 3 *"),
        ("March 1st", "0 9 1 3 *"),
        ("29 feb", "0 9 29 2 *"),
    ],
)
def test_days_in_words(on: str | int, cron: str) -> None:
    assert read_rule(on, ("09:00",)) == (cron,)


def test_the_rules_fire_on_the_days_they_name() -> None:
    def firings(on: str, count: int = 3) -> list[str]:
        start = datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))
        (cron,) = read_rule(on, ("09:30",))
        return [at.strftime("%a %d %b %H:%M") for at, _ in zip(CronSim(cron, start), range(count), strict=False)]

    assert firings("first monday") == ["Mon 05 Jan 09:30", "Mon 02 Feb 09:30", "Mon 02 Mar 09:30"]
    assert firings("last friday") == ["Fri 30 Jan 09:30", "Fri 27 Feb 09:30", "Fri 27 Mar 09:30"]
    assert firings("last day") == ["Sat 31 Jan 09:30", "Sat 28 Feb 09:30", "Tue 31 Mar 09:30"]
    assert firings("first monday of quarter") == ["Mon 05 Jan 09:30", "Mon 06 Apr 09:30", "Mon 06 Jul 09:30"]


def test_several_times_and_several_dates() -> None:
    assert read_rule("daily", ("09:00", "21:30")) == ("0 9 * * *", "30 21 * * *")
    assert read_rule("1 march and 15 september", ("9:05",)) == ("5 9 1 3 *", "5 9 15 9 *")


@pytest.mark.parametrize(
    ("on", "message", "hint"),
    [
        ("fisrt monday", "names no days", "did you mean 'first monday'?"),
        ("montag", "names no days", "did you mean 'monday'?"),
        ("", "names no days", "expected one of: daily"),
        ("sixth monday", "names no days", "did you mean"),
        ("every other monday", "cannot be told by the calendar", "1st and 3rd monday"),
        ("biweekly", "cannot be told by the calendar", "1st and 3rd monday"),
        ("32", "there is no day 32", "1 to 31"),
        ("31 february", "never comes", "no month named"),
        ("first monday of brumaire", "names no months", "did you mean"),
    ],
)
def test_days_that_cannot_be_read(on: str, message: str, hint: str) -> None:
    with pytest.raises(RefusedError, match=message) as caught:
        read_rule(on, ("09:00",))
    assert hint in caught.value.hint


@given(st.text(max_size=40) | st.integers())
def test_no_words_do_more_than_be_refused(on: str | int) -> None:
    try:
        crons = read_rule(on, ("00:00",))
    except RefusedError:
        return
    assert all(next(CronSim(cron, datetime(2026, 1, 1))) for cron in crons)  # noqa: DTZ001


@pytest.mark.parametrize("time", ["9am", "24:00", "09:60", "0900", "", "9"])
def test_times_that_cannot_be_read(time: str) -> None:
    with pytest.raises(RefusedError, match="not a time of day"):
        read_rule("daily", (time,))


@pytest.mark.parametrize(
    ("cron", "clean"),
    [
        ("  0   9 * * 1 ", "0 9 * * 1"),
        ("@daily", "0 0 * * *"),
        ("0 0 L * *", "0 0 L * *"),
        ("0 0 29 2 *", "0 0 29 2 *"),
    ],
)
def test_cron_expressions(cron: str, clean: str) -> None:
    assert read_cron(cron) == clean


@pytest.mark.parametrize(
    ("cron", "message", "hint"),
    [
        ("* * * *", "has 4 fields", "minute hour day-of-month month day-of-week"),
        ("0 0 9 * * 1", "has 6 fields", "expected five"),
        ("", "has 1 field", "expected five"),
        ("60 * * * *", "minute '60' is not valid", "0-59"),
        ("0 24 * * *", "hour '24'", "0-23"),
        ("0 0 0 * *", "day-of-month '0'", "1-31"),
        ("0 0 * 13 *", "month '13'", "JAN-DEC"),
        ("0 0 * * 8", "day-of-week '8'", "SUN-SAT"),
        ("0 0 * * 1#6", "day-of-week '1#6'", "1#1"),
        ("30-10 * * * *", "minute '30-10'", "10-30?"),
        ("*/0 * * * *", "minute '*/0'", "0-59"),
        ("0 0 31 2 *", "never fires", "L for the last day"),
        ("0 0 31 4,6,9,11 *", "never fires", "L for the last day"),
        ("@often", "not a cron shorthand", "@hourly"),
    ],
)
def test_cron_expressions_that_are_wrong(cron: str, message: str, hint: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_cron(cron)
    assert message in str(caught.value)
    assert hint in caught.value.hint


@given(st.text("0123456789*/-,#LW MONJAN@", max_size=30))
def test_any_cron_text_is_read_or_refused(text: str) -> None:
    try:
        assert len(read_cron(text).split()) == 5
    except RefusedError:
        pass


@pytest.mark.parametrize(
    ("text", "grace"),
    [
        ("{every: 5}", timedelta(seconds=30)),
        ("{every: 10m}", timedelta(minutes=10)),
        ("{on: daily, at: '09:00'}", 4 * HOUR),
        ("{on: weekdays, at: '09:00'}", 4 * HOUR),
        ("{on: daily, at: ['09:00', '10:00']}", HOUR),
        ("{cron: '*/10 * * * *'}", timedelta(minutes=10)),
        ("{on: monday, at: '09:00'}", 24 * HOUR),
        ("{on: yearly, at: '09:00'}", 24 * HOUR),
        ("{on: 29 feb, at: '09:00'}", 24 * HOUR),
        ("{on: daily, at: '09:00', grace: 0}", timedelta(0)),
    ],
)
def test_how_late_is_still_in_time(tmp_path: Path, text: str, grace: timedelta) -> None:
    assert cadence(tmp_path, text).grace == grace


def test_a_cadence_may_have_its_own_zone(tmp_path: Path) -> None:
    found = cadence(tmp_path, "{on: daily, at: 10:30, timezone: Asia/Tokyo}")
    assert (found.rule.zone.key, found.rule.crons, found.text) == ("Asia/Tokyo", ("30 10 * * *",), "daily at 10:30")
    assert cadence(tmp_path, "{cron: ['0 9 * * 1', '@monthly']}").rule.crons == ("0 9 * * 1", "0 0 1 * *")


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("{}", 1, "nothing says when it fires; expected one of every: 60s"),
        ("{every: 1m, cron: '* * * * *'}", 1, "every and cron exclude each other"),
        ("{on: daily}", 1, "'at' is missing; expected the time of day"),
        ("{every: 1m, at: '09:00'}", 1, "'at' belongs to 'on', not to 'every'"),
        ("{every: 0s}", 1, "every: '0s' is no time at all"),
        ("\n  every: 5 parsecs", 2, "unknown unit 'parsecs'"),
        ("\n  on: mondya\n  at: '09:00'", 2, "did you mean 'monday'?"),
        ("\n  on: daily\n  at: 9", 3, "at: expected text, got '9'"),
        ("\n  on: daily\n  at: ['09:00', '9h']", 3, "'9h' is not a time of day"),
        ("\n  title: x\n  cron: '* * *'", 3, "has 3 fields"),
        ("\n  every: 1m\n  timezone: Mars/Base", 3, "unknown time zone 'Mars/Base'"),
    ],
)
def test_cadences_that_are_wrong(tmp_path: Path, text: str, line: int, expected: str) -> None:
    (told,) = lines(tmp_path, f"cadences:\n c:{' ' if text[0] == '{' else ''}{text}")
    assert told.startswith(f"demo/system.yaml:{line + 1}: cadence 'c': ")
    assert expected in told


@given(st.text(max_size=20))
def test_any_zone_name_is_known_or_refused(name: str) -> None:
    try:
        zone = read_zone(name)
    except RefusedError:
        return
    assert zone.key == name
