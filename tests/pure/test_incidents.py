"""When incidents open, change and end; what keeps them quiet; when what happens to them is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from healthd.incidents import Decision, acknowledge, blocker, dependants, held, plan, told
from healthd.incidents.lifecycle import end, open_incident
from healthd.model.catalogue import Check
from healthd.model.incidents import Incident, Telling, TimelineEntry
from healthd.model.outcomes import CheckState, Level
from tests.factories import make_check

NOW = datetime(2026, 3, 2, 9, 0, 5, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
CHECK = make_check(name="redis", title="Redis answers", severity="SEV1", warning_severity="SEV3")


def firing(check: Check, level: Level = Level.CRITICAL, reason: str = "connection refused") -> CheckState:
    return CheckState(check.id, status=level, level=level, reason=reason, firing=True, firing_level=level)


def opened(check: Check = CHECK, level: Level = Level.CRITICAL, at: datetime = NOW) -> Incident:
    return open_incident(check, firing(check, level), at).incident


def test_a_firing_check_gets_an_incident() -> None:
    incident = opened()
    assert incident.id.startswith("INC-20260302-090005-")
    assert (incident.severity, incident.reason, incident.is_open) == ("SEV1", "connection refused", True)
    assert incident.id in incident.key


def test_a_warning_has_the_warning_severity() -> None:
    assert opened(level=Level.WARNING).severity == "SEV3"


def test_two_incidents_of_one_check_have_two_keys() -> None:
    assert opened().key != opened(at=NOW + SECOND).key


def test_it_says_how_long_it_lasted() -> None:
    ended = end(opened(), NOW + timedelta(minutes=4), "back in order")
    assert (ended.event, ended.incident.is_open) == ("resolved", False)
    assert "after 4m" in ended.entry.text


def test_an_acknowledgement_names_its_person() -> None:
    mine = acknowledge(opened(), NOW, "ana", "looking")
    assert (mine.incident.acknowledged_by, mine.entry.actor) == ("ana", "ana")
    assert "looking" in mine.entry.text


REDIS = make_check(name="redis")
QUEUE = make_check(name="queue", depends_on=("shop/redis",))
BACKLOG = make_check(name="backlog", depends_on=("shop/queue",))
CHECKS = {c.id: c for c in (REDIS, QUEUE, BACKLOG)}


def test_a_broken_dependency_explains_what_depends_on_it_however_far() -> None:
    states = {"shop/redis": firing(REDIS)}
    assert blocker(QUEUE, CHECKS, states) == "shop/redis"
    assert blocker(BACKLOG, CHECKS, states) == "shop/redis"
    assert blocker(REDIS, CHECKS, states) == ""
    assert dependants(CHECKS) == {"shop/redis": ["shop/queue", "shop/backlog"], "shop/queue": ["shop/backlog"]}


@pytest.mark.parametrize(
    ("state", "explains"),
    [
        (CheckState("shop/redis", status=Level.OK, level=Level.OK), False),
        (CheckState("shop/redis", status=Level.OK, level=Level.CRITICAL), True),  # its own for: still runs
        (firing(REDIS, Level.WARNING), False),
        (CheckState("shop/redis", status=Level.UNKNOWN, level=Level.UNKNOWN), False),  # one failed look
        (replace(firing(REDIS, Level.WARNING), status=Level.UNKNOWN), True),  # cannot be looked at any more
        (replace(firing(REDIS), level=Level.OK), True),  # recover_for still runs
    ],
)
def test_what_counts_as_broken(state: CheckState, explains: bool) -> None:
    assert bool(blocker(QUEUE, CHECKS, {"shop/redis": state})) is explains


def test_dependencies_in_a_circle_end() -> None:
    a, b = make_check(name="a", depends_on=("shop/b",)), make_check(name="b", depends_on=("shop/a",))
    assert blocker(a, {"shop/a": a, "shop/b": b}, {}) == ""


def happened(event: str, telling: Telling, kind: str = "") -> Decision:
    incident = replace(opened(), telling=telling)
    return Decision(incident, event, TimelineEntry(incident.id, NOW, kind or event, ""))


def ago(seconds: float, count: int) -> Telling:
    """Told so often, and so many seconds ago for the last time."""
    return Telling(last=NOW - timedelta(seconds=seconds), count=count)


@pytest.mark.parametrize(
    ("event", "telling", "crowded", "expected", "seconds"),
    [
        ("firing", Telling(), False, "firing", 0),
        ("reopened", Telling(), False, "firing", 0),
        ("firing", Telling(), True, "firing", 2),  # a storm may be coming
        ("worsened", ago(3600, 1), False, "worsened", 0),
        ("worsened", ago(1, 1), False, "worsened", 1),  # not twice in two seconds
        ("worsened", Telling("firing", NOW + SECOND), False, "firing", 1),  # will be part of it
        ("worsened", Telling("joined", NOW + MINUTE, NOW - MINUTE, 1), False, "worsened", 0),
        ("joined", ago(1, 1), False, "joined", 10),
        ("joined", ago(1, 3), False, "joined", 5 * 60 - 1),  # the more was told the less is
        ("joined", Telling("joined", NOW + SECOND, NOW, 1), False, "joined", 1),  # together
        ("recovered", ago(1, 1), False, "recovered", 60),
        ("joined", Telling("recovered", NOW + MINUTE, NOW - MINUTE, 1), False, "joined", 10),
        ("storm", ago(1, 1), False, "storm", 2),
        ("storm", Telling("joined", NOW + SECOND, NOW, 1), False, "storm", 2),
        ("storm", Telling("firing", NOW + SECOND), False, "firing", 1),
        ("resolved", Telling("joined", NOW + SECOND, NOW, 1), False, "", None),
        ("acknowledged", Telling(), False, "", None),
        ("changed", Telling(), False, "", None),
    ],
)
def test_when_what_is_told(event: str, telling: Telling, crowded: bool, expected: str, seconds: float | None) -> None:
    planned = plan(happened(event, telling), crowded=crowded)
    assert planned.event == expected
    assert planned.due == (None if seconds is None else NOW + timedelta(seconds=seconds))


def test_an_improvement_because_one_recovered_is_told_with_the_others_that_recover() -> None:
    assert plan(happened("improved", ago(90, 1), kind="recovered"), crowded=False).event == "recovered"
    assert plan(happened("improved", ago(90, 1)), crowded=False).event == ""


def test_the_first_of_a_storm_waits_while_more_begin_but_not_for_ever() -> None:
    telling = Telling("storm", NOW)
    assert held(telling, NOW - 3 * SECOND, NOW) is None
    assert held(telling, NOW - SECOND, NOW) == NOW + SECOND
    late = NOW + 8 * SECOND
    assert held(telling, late - SECOND, late) is None
    assert held(Telling("joined", NOW), NOW, NOW) is None


def test_a_clock_set_back_holds_nothing_up() -> None:
    assert held(Telling("firing", NOW), NOW + timedelta(hours=1), NOW - timedelta(hours=1)) is None


def test_what_was_told_is_no_longer_to_be_told() -> None:
    assert told(Telling("joined", NOW, NOW, 2), NOW + SECOND) == Telling("", None, NOW + SECOND, 3)
