"""When incidents open, change and end; what keeps them quiet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from healthd.incidents import abandon, acknowledge, blocker, decide, dependants
from healthd.model.catalogue import Check
from healthd.model.outcomes import CheckState, Level
from tests.factories import make_check

NOW = datetime(2026, 3, 2, 9, 0, 5, tzinfo=UTC)
CHECK = make_check(name="redis", title="Redis answers", severity="SEV1", warning_severity="SEV3")


def firing(check: Check, level: Level = Level.CRITICAL, reason: str = "connection refused") -> CheckState:
    return CheckState(check.id, status=level, level=level, reason=reason, firing=True, firing_level=level)


def test_a_firing_check_without_an_incident_gets_one() -> None:
    decision = decide(CHECK, firing(CHECK), None, NOW)
    assert decision is not None
    incident = decision.incident
    assert decision.event == "firing"
    assert incident.id.startswith("INC-20260302-090005-")
    assert (incident.severity, incident.reason, incident.is_open) == ("SEV1", "connection refused", True)
    assert incident.id in incident.key


def test_a_warning_has_the_warning_severity() -> None:
    decision = decide(CHECK, firing(CHECK, Level.WARNING), None, NOW)
    assert decision is not None
    assert decision.incident.severity == "SEV3"


def test_two_incidents_of_one_check_have_two_keys() -> None:
    first, second = (decide(CHECK, firing(CHECK), None, NOW + timedelta(seconds=s)) for s in (0, 1))
    assert first is not None
    assert second is not None
    assert first.incident.key != second.incident.key


def test_deciding_again_changes_nothing() -> None:
    opened = decide(CHECK, firing(CHECK), None, NOW)
    assert opened is not None
    assert decide(CHECK, firing(CHECK), opened.incident, NOW) is None
    assert decide(CHECK, CheckState(CHECK.id), None, NOW) is None


@pytest.mark.parametrize(
    ("before", "after", "event", "severity"),
    [(Level.WARNING, Level.CRITICAL, "worsened", "SEV1"), (Level.CRITICAL, Level.WARNING, "improved", "SEV3"),
     (Level.UNKNOWN, Level.CRITICAL, "worsened", "SEV1")],
)  # fmt: skip
def test_a_change_of_level_is_one_step_of_the_same_incident(
    before: Level, after: Level, event: str, severity: str
) -> None:
    opened = decide(CHECK, firing(CHECK, before), None, NOW)
    assert opened is not None
    changed = decide(CHECK, firing(CHECK, after), opened.incident, NOW)
    assert changed is not None
    assert (changed.event, changed.incident.severity, changed.incident.key) == (event, severity, opened.incident.key)


def test_it_ends_when_the_check_no_longer_fires() -> None:
    opened = decide(CHECK, firing(CHECK), None, NOW)
    assert opened is not None
    ended = decide(CHECK, CheckState(CHECK.id), opened.incident, NOW + timedelta(minutes=4))
    assert ended is not None
    assert (ended.event, ended.incident.is_open) == ("resolved", False)
    assert "after 4m" in ended.entry.text


def test_an_acknowledgement_names_its_person_and_survives_a_change() -> None:
    opened = decide(CHECK, firing(CHECK, Level.WARNING), None, NOW)
    assert opened is not None
    mine = acknowledge(opened.incident, NOW, "ana", "looking").incident
    worse = decide(CHECK, firing(CHECK), mine, NOW)
    assert worse is not None
    assert worse.incident.acknowledged_by == "ana"


def test_an_incident_nobody_stands_for_can_be_ended() -> None:
    opened = decide(CHECK, firing(CHECK), None, NOW)
    assert opened is not None
    assert "catalogue" in abandon(opened.incident, NOW, "no longer in the catalogue").entry.text


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
