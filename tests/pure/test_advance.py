"""The state of a check over time: for, recover_for, UNKNOWN policy, flapping, overdue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.evaluate import advance, held, judge, next_deadline, tick
from healthd.model.catalogue import Check, Flapping, Threshold, UnknownPolicy
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import CheckState, Level, Measurement, Outcome
from tests.factories import cron, make_check

OK, WARNING, CRITICAL, UNKNOWN = Level.OK, Level.WARNING, Level.CRITICAL, Level.UNKNOWN
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
FAILED: Any = None


def queue_check(for_: str = "0s", recover_for: str = "0s", **overrides: Any) -> Check:
    def minutes(text: str) -> timedelta:
        return timedelta(minutes=float(text[:-1])) if text.endswith("m") else timedelta(seconds=float(text[:-1]))

    row = Threshold(
        "length", target=parse_condition("< 5"), warning=parse_condition("> 10"), critical=parse_condition("> 20"),
        for_=minutes(for_), recover_for=minutes(recover_for),
    )  # fmt: skip
    return make_check(**{"name": "queue", "thresholds": (row,), **overrides})


class History:
    """A check that is looked at again and again; what happened to it."""

    def __init__(self, check: Check, overdue_after: float = 3) -> None:
        self.check, self.state, self.events = check, CheckState(check.id), list[str]()
        self.overdue_after = timedelta(minutes=overdue_after)

    def look(self, minute: float, value: float | None) -> History:
        now = START + timedelta(minutes=minute)
        if value is None:
            outcome = Outcome(self.check.id, now, timedelta(0), UNKNOWN, "connection refused", error_kind="refused")
        else:
            measurements = (Measurement("length", value),)
            level, reason, verdicts = judge(self.check.thresholds, measurements)
            outcome = Outcome(self.check.id, now, timedelta(0), level, reason, measurements, verdicts)
        return self._move(advance(self.check, self.state, outcome, now, now + self.overdue_after))

    def wait(self, minute: float) -> History:
        return self._move(tick(self.check, self.state, START + timedelta(minutes=minute)))

    def _move(self, change: Any) -> History:
        self.state, transitions = change
        self.events += [t.kind for t in transitions]
        return self


def test_without_for_it_fires_and_recovers_at_once() -> None:
    history = History(queue_check())
    assert history.look(0, 3).state.status is OK
    assert history.look(1, 25).state.status is CRITICAL
    assert history.look(2, 12).state.status is WARNING
    assert history.look(3, 3).state.status is OK
    assert history.events == ["firing", "improved", "resolved"]


def test_a_level_counts_once_it_has_held() -> None:
    history = History(queue_check(for_="10m")).look(0, 12)
    assert (history.state.status, history.state.level) == (OK, WARNING)
    assert next_deadline(history.state) == START + timedelta(minutes=3)  # overdue comes before
    assert history.state.pending_until == START + timedelta(minutes=10)
    assert not history.look(9.9, 12).state.firing
    assert history.look(10, 12).state.firing
    assert history.events == ["firing"]


def test_one_good_look_begins_the_wait_anew() -> None:
    history = History(queue_check(for_="10m")).look(0, 12).look(8, 3).look(9, 12).look(18, 12)
    assert not history.state.firing
    assert history.look(19, 12).state.firing


def test_critical_has_to_hold_as_critical() -> None:
    history = History(queue_check(for_="10m")).look(0, 12).look(5, 25)
    assert history.look(10, 25).state.status is WARNING  # bad for ten minutes, critical for five
    assert history.look(15, 25).state.status is CRITICAL
    assert history.events == ["firing", "worsened"]


def test_recover_for_keeps_it_firing_until_it_is_over() -> None:
    history = History(queue_check(recover_for="5m")).look(0, 25).look(1, 3)
    assert history.state.status is CRITICAL
    assert history.look(2, 12).look(3, 3).look(7, 3).state.firing  # back at 2, so since 3 only
    assert not history.look(8, 3).state.firing
    assert history.events.count("firing") == history.events.count("resolved") == 1


def test_time_alone_confirms_what_the_last_look_saw() -> None:
    history = History(queue_check(for_="10m"), overdue_after=60).look(0, 25)
    assert not history.wait(9).state.firing
    assert history.wait(10).state.firing
    assert history.state.status is CRITICAL


def test_time_alone_confirms_nothing_after_a_failed_look() -> None:
    history = History(queue_check(for_="10m"), overdue_after=60).look(0, 25).look(9, FAILED)
    assert not history.wait(11).state.firing
    assert history.look(12, 25).state.firing  # and the failed look did not begin the wait anew


def test_failing_to_look_is_unknown_at_once_and_fires_after_its_policy() -> None:
    history = History(queue_check(unknown=UnknownPolicy(after=3, level=CRITICAL)))
    assert history.look(0, FAILED).state.status is UNKNOWN
    assert not history.look(1, FAILED).state.firing
    fired = history.look(2, FAILED).state
    assert (fired.firing, fired.firing_level, fired.status) == (True, CRITICAL, UNKNOWN)
    assert history.look(3, 1).state.status is OK
    assert history.events == ["firing", "resolved"]


def test_unknown_by_duration_also_fires_by_time_alone() -> None:
    policy = UnknownPolicy(after=1, for_=timedelta(minutes=2), level=WARNING)
    history = History(queue_check(unknown=policy)).look(0, FAILED)
    assert not history.state.firing
    assert history.state.pending_until == START + timedelta(minutes=2)
    assert history.wait(2).state.firing


def test_not_knowing_does_not_end_a_known_problem() -> None:
    history = History(queue_check()).look(0, 25)
    for minute in range(1, 10):
        history.look(minute, FAILED)
    assert (history.state.status, history.state.firing_level) == (CRITICAL, CRITICAL)
    assert history.events == ["firing"]


def test_an_ignored_unknown_never_fires() -> None:
    history = History(queue_check(unknown=UnknownPolicy(after=1, level=OK)))
    for minute in range(10):
        history.look(minute, FAILED)
    assert (history.state.firing, history.state.status) == (False, UNKNOWN)


def test_a_run_that_does_not_come_is_overdue_and_fires() -> None:
    history = History(queue_check()).look(0, 1)
    assert next_deadline(history.state) == START + timedelta(minutes=3)
    overdue = history.wait(3.1).state
    assert (overdue.overdue, overdue.firing, overdue.status) == (True, True, UNKNOWN)
    assert "overdue" in overdue.reason
    assert next_deadline(overdue) is None
    assert not history.look(4, 1).state.firing
    assert history.events == ["firing", "resolved"]


FLAPS = Flapping(window=10, start=5, stop=2)


def test_flapping_is_one_problem_that_stays_until_it_is_steady() -> None:
    history = History(queue_check(flapping=FLAPS))
    for minute in range(30):
        history.look(minute, 25 if minute % 2 else 1)
    assert history.state.flapping
    assert history.state.firing
    assert history.events.count("firing") <= 3  # those before it was recognised, none after
    recognised = history.events.index("flapping")
    assert not {"resolved", "improved"} & set(history.events[recognised:])
    for minute in range(30, 45):
        history.look(minute, 1)
    assert not history.state.flapping
    assert history.events[-2:] == ["steady", "resolved"]


def test_a_calendar_check_never_flaps() -> None:
    history = History(queue_check(flapping=FLAPS, rules=(cron("0 9 * * *"),)))
    for minute in range(20):
        history.look(minute, 25 if minute % 2 else 1)
    assert not history.state.flapping


def test_an_oscillation_shorter_than_for_is_no_flapping() -> None:
    history = History(queue_check(for_="10m", flapping=FLAPS))
    for minute in range(40):
        history.look(minute, 25 if minute % 2 else 1)
    assert history.events == []


@pytest.mark.parametrize(
    ("value", "minutes", "status"),
    [(12, 9, OK), (12, 10, WARNING), (25, 5, OK), (25, 10, CRITICAL), (3, 600, OK), (10, 600, OK)],
)
def test_held_says_what_made_up_measurements_would_come_to(value: float, minutes: float, status: Level) -> None:
    check = queue_check(for_="10m")
    assert held(check, [Measurement("length", value)], timedelta(minutes=minutes))[0] is status


def test_held_for_ever_is_the_default() -> None:
    assert held(queue_check(for_="10m"), [Measurement("length", 25.0)])[0] is CRITICAL


looks = st.lists(st.tuples(st.floats(0.1, 5), st.one_of(st.none(), st.floats(0, 40))), min_size=1, max_size=60)


@given(looks, st.sampled_from(["0s", "3m", "10m"]), st.sampled_from(["0s", "4m"]), st.booleans())
def test_events_always_tell_a_story_that_makes_sense(
    steps: list[tuple[float, float | None]], for_: str, recover_for: str, ticking: bool
) -> None:
    """Whatever happens: firing and resolved alternate, and the last word agrees with the state."""
    history = History(queue_check(for_=for_, recover_for=recover_for, flapping=FLAPS))
    minute = 0.0
    for pause, value in steps:
        minute += pause
        if ticking:
            history.wait(minute - pause / 2)
        history.look(minute, value)
    ends = [e for e in history.events if e in ("firing", "resolved")]
    assert ends == ["firing", "resolved"] * (len(ends) // 2) + ["firing"] * (len(ends) % 2)
    assert history.state.firing is (len(ends) % 2 == 1)
    if history.state.firing:
        assert history.state.firing_since is not None


@given(st.lists(st.floats(0, 40), min_size=1, max_size=40))
def test_nothing_fires_that_has_not_held(values: list[float]) -> None:
    """Looked at every minute: it fires only where the last ten minutes were all bad."""
    history = History(queue_check(for_="10m", flapping=Flapping(enabled=False)))
    for minute, value in enumerate(values):
        history.look(minute, value)
        bad = len(values[: minute + 1]) > 10 and all(v > 10 for v in values[minute - 10 : minute + 1])
        assert history.state.firing is bad
