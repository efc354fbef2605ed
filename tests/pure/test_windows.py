"""When a maintenance window says what, whom it keeps quiet, and how it ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from healthd.incidents.windows import covers, due_phases, ended, from_record, make, notice, occurrence, to_record
from healthd.model.catalogue import Source
from healthd.model.runbook import Window
from healthd.model.windows import Maintenance, WindowError
from tests.factories import make_check
from tests.telling import make_incident, make_system

SUNDAY = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
WRITTEN = Window("weekly", "Vacuum", "sunday", 2 * HOUR, Source("checks/shop/system.yaml", 3))
WINDOW = occurrence("shop", WRITTEN, SUNDAY)


def test_an_occurrence_lasts_from_its_beginning_until_before_its_end() -> None:
    second = timedelta(seconds=1)
    states = [WINDOW.state(SUNDAY + at) for at in (-second, 0 * HOUR, 2 * HOUR - second, 2 * HOUR)]
    assert states == ["planned", "active", "active", "over"]
    assert WINDOW.id == "shop.weekly.20260301T020000Z"


@pytest.mark.parametrize(
    ("at", "told", "due"),
    [
        (-49 * HOUR, "", []),
        (-48 * HOUR, "", ["ahead"]),
        (-47 * HOUR, "ahead", []),
        (-HOUR, "", ["ahead"]),  # healthd was away: late is better than never
        (0 * HOUR, "ahead", ["start"]),
        (HOUR, "", ["start"]),  # ahead has been overtaken
        (HOUR, "ahead start", []),
        (2 * HOUR, "ahead start", ["end"]),
        (2 * HOUR, "ahead", []),  # its end is for those who heard of its beginning
        (3 * HOUR, "ahead start end", []),
        (20 * HOUR, "start", []),  # no news any more
    ],
)
def test_each_phase_is_due_once_and_not_when_it_is_overtaken(at: timedelta, told: str, due: list[str]) -> None:
    assert due_phases(WINDOW, SUNDAY + at, told.split()) == due


def test_without_notice_nothing_is_said_ahead() -> None:
    assert due_phases(replace(WINDOW, notice=timedelta(0)), SUNDAY - HOUR, ()) == []


def test_one_that_is_called_off_is_unsaid_where_it_was_said() -> None:
    off = ended(WINDOW, SUNDAY - HOUR, "ada")
    assert off.state(SUNDAY) == "called off"
    assert due_phases(off, SUNDAY, ()) == []
    assert due_phases(off, SUNDAY, ("ahead",)) == ["end"]
    assert notice(off, "end", make_system(), SUNDAY).title == "Maintenance of The Shop is called off: Vacuum"


def test_one_that_is_ended_early_is_over_at_once() -> None:
    early = ended(WINDOW, SUNDAY + HOUR, "ada")
    assert early.state(SUNDAY + HOUR) == "over"
    assert "It was ended by ada." in notice(early, "end", make_system(), SUNDAY + HOUR).text
    with pytest.raises(WindowError, match="is over already"):
        ended(early, SUNDAY + HOUR, "bob")


def test_the_announcement_says_when_in_the_systems_time_and_the_same_phase_is_the_same_notice() -> None:
    ahead = notice(WINDOW, "ahead", make_system(), SUNDAY - 48 * HOUR)
    assert ahead.title == "Maintenance of The Shop in 2d: Vacuum"
    assert "From Sun 2026-03-01 02:00 UTC to Sun 2026-03-01 04:00 UTC" in ahead.text
    assert ahead.id == notice(WINDOW, "ahead", make_system(), SUNDAY - HOUR).id


@pytest.mark.parametrize(
    ("severities", "checks", "quiet"),
    [((), (), True), (("SEV1",), (), True), (("SEV2",), (), False), ((), ("web",), False), ((), ("shop/w*",), False),
     ((), ("api",), True)],
)  # fmt: skip
def test_what_is_exempt_is_told_all_the_same(severities: tuple[str, ...], checks: tuple[str, ...], quiet: bool) -> None:
    window = replace(WINDOW, except_severities=severities, except_checks=checks)
    assert covers(window, make_incident(severity="SEV2"), make_check()) is quiet


def test_it_is_about_its_own_system() -> None:
    assert not covers(WINDOW, make_incident(), make_check(system="other"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"title": " "}, "a reason is needed"),
        ({"ends_at": SUNDAY}, "ends before it starts"),
        ({"ends_at": SUNDAY + timedelta(days=32)}, "longer than 31 days"),
    ],
)
def test_one_nobody_can_mean_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(WindowError, match=said):
        make(replace(WINDOW, **change), SUNDAY)  # type: ignore[arg-type]


def test_a_record_keeps_all_of_it_and_what_was_said() -> None:
    window = Maintenance("WIN-1", "shop", "Move", SUNDAY, SUNDAY + HOUR, author="ada", except_severities=("SEV1",))
    assert from_record(to_record(window, {"ahead"})) == (window, frozenset({"ahead"}))
