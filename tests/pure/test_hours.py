"""Hours of the week, over clock changes and midnight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.model.hours import parse_hours

BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
TEXTS = [
    "mon-fri 09:00-18:00", "weekdays 09:00-12:00,13:00-18:00; sat 10:00-14:00", "daily 22:00-06:00", "08:00-20:00",
    "sat,sun 00:00-24:00 UTC", "fri-mon 23:30-00:30 America/New_York", "weekends 02:00-03:00",
]  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "moment", "within"),
    [
        ("mon-fri 09:00-18:00", "2026-01-05T08:00", True),  # Monday, 9:00 in Berlin
        ("mon-fri 09:00-18:00", "2026-01-05T07:59", False),
        ("mon-fri 09:00-18:00", "2026-01-05T17:00", False),
        ("mon-fri 09:00-18:00", "2026-01-03T12:00", False),
        ("mon-fri 09:00-18:00 UTC", "2026-01-05T08:00", False),
        ("daily 22:00-06:00", "2026-01-05T04:59", True),
        ("sun 22:00-06:00", "2026-01-05T04:59", True),
        ("mon 22:00-06:00", "2026-01-05T04:59", False),
        ("fri-mon 10:00-11:00", "2026-01-04T09:30", True),
        ("weekends 00:00-24:00", "2026-01-04T22:59", True),
        ("Monday,TUESDAY 9:00-10:00", "2026-01-06T08:30", True),
    ],
)
def test_within(hours: str, moment: str, within: bool) -> None:
    assert parse_hours(hours).contain(at(moment), BERLIN) is within


@pytest.mark.parametrize(
    ("hours", "moment", "begins"),
    [
        ("mon-fri 09:00-18:00", "2026-01-02T18:00", "2026-01-05T08:00"),  # from Friday evening to Monday
        ("mon-fri 09:00-18:00", "2026-01-05T08:30", "2026-01-05T08:30"),
        ("mon-fri 09:00-18:00", "2026-03-27T18:00", "2026-03-30T07:00"),  # the clocks went forward on Sunday
        ("sun 02:30-03:30", "2026-03-28T12:00", "2026-03-29T01:30"),  # an hour that is left out
        ("mon 09:00-10:00", "2026-01-05T09:30", "2026-01-12T08:00"),
    ],
)
def test_next(hours: str, moment: str, begins: str) -> None:
    assert parse_hours(hours).begin(at(moment), BERLIN) == at(begins)


@given(st.sampled_from(TEXTS), st.integers(0, 366 * 24 * 60))
def test_they_last_when_they_begin_and_begin_within_a_week(text: str, minutes: int) -> None:
    hours, moment = parse_hours(text), at("2026-01-01T00:00") + timedelta(minutes=minutes)
    begins = hours.begin(moment, BERLIN)
    assert hours.contain(begins, BERLIN) or begins.astimezone(BERLIN).date().month in (3, 10)
    assert moment <= begins <= moment + timedelta(days=8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected weekdays and times"),
        ("mon-fri", "are no times"),
        ("mon-fri 9-18", "are no times"),
        ("mon-fri 09:00-25:00", "00:00 to 24:00"),
        ("mon-fri 09:60-10:00", "00:00 to 24:00"),
        ("someday 09:00-10:00", "no weekdays"),
        ("mon- 09:00-10:00", "no weekdays"),
        ("mon 09:00-10:00 Europe/Nowhere", "no time zone"),
        ("mon 09:00-10:00 ../../etc/passwd", "no time zone"),
    ],
)
def test_what_is_no_hours(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_hours(text)
