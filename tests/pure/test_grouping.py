"""Which failing checks are one incident, how bad it is, when it is over, and when it is the same one again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthd.incidents import Book, Decision, acknowledge
from healthd.model.catalogue import Catalogue, Check, Grouping, Severity, System
from healthd.model.incidents import Incident, Member
from healthd.model.outcomes import CheckState, Level
from tests.factories import UTC_ZONE, make_check

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
OK, WARNING, CRITICAL, UNKNOWN = Level.OK, Level.WARNING, Level.CRITICAL, Level.UNKNOWN
SCALES = {
    "shop": {name: Severity(name, rank) for rank, name in enumerate(("SEV1", "SEV2", "SEV3", "SEV4"), 1)},
    "bank": {name: Severity(name, rank) for rank, name in enumerate(("P1", "P2", "P3"), 1)},
}


def catalogue(checks: Sequence[Check], **grouping: Any) -> Catalogue:
    systems = {
        name: System(
            name, name.title(), UTC_ZONE, scale, {}, {}, tuple(c for c in checks if c.system == name),
            grouping=Grouping(**grouping),
        )
        for name, scale in SCALES.items()
    }  # fmt: skip
    return Catalogue(systems, {}, (), checks={check.id: check for check in checks})


def check(name: str, playbook: str | None = None, system: str = "shop", **overrides: Any) -> Check:
    severity, milder = ("SEV2", "SEV3") if system == "shop" else ("P1", "P2")
    fields = {"system": system, "name": name, "playbook": playbook, "severity": severity, "warning_severity": milder}
    return make_check(**{**fields, **overrides})


def state(of: Check, level: Level) -> CheckState:
    if level is OK:
        return CheckState(of.id, status=OK, level=OK)
    reason = f"{of.name} is {level.name.lower()}"
    return CheckState(of.id, status=level, level=level, reason=reason, firing=True, firing_level=level)


class Desk:
    """A book with a clock. `see` is one look at one check."""

    def __init__(self, *checks: Check, **grouping: Any) -> None:
        self.checks = {c.name: c for c in checks}
        self.book = Book()
        self.now = NOW
        self.adopt(*checks, **grouping)

    def adopt(self, *checks: Check, **grouping: Any) -> list[Decision]:
        found = catalogue(checks, **grouping)
        return self.book.adopt(found, found.checks, self.now)

    def see(self, name: str, level: Level, after: timedelta = SECOND) -> list[Decision]:
        self.now += after
        return self.book.consider(self.checks[name], state(self.checks[name], level), self.now)

    @property
    def open(self) -> list[Incident]:
        return list(self.book.incidents.values())

    def members(self, incident: Incident) -> dict[str, Member]:
        case = self.book.case(incident.id)
        assert case is not None
        return case.members


def events(decisions: Sequence[Decision]) -> list[str]:
    return [decision.event for decision in decisions]


A, B, C, D = check("a", "db-down"), check("b", "db-down"), check("c", "web-down"), check("d")


@pytest.mark.parametrize(
    ("second", "after", "incidents"),
    [
        ("b", SECOND, 1),  # the same playbook
        ("b", 5 * MINUTE, 1),
        ("b", 5 * MINUTE + SECOND, 2),  # too late
        ("c", SECOND, 2),  # another playbook
        ("d", SECOND, 2),  # none
    ],
)
def test_the_same_playbook_within_the_window_is_one_incident(second: str, after: timedelta, incidents: int) -> None:
    desk = Desk(A, B, C, D)
    desk.see("a", CRITICAL)
    desk.see(second, CRITICAL, after)
    assert len(desk.open) == incidents


def test_checks_without_a_playbook_are_never_one_incident_by_it() -> None:
    desk = Desk(D, check("e"))
    desk.see("d", CRITICAL)
    desk.see("e", CRITICAL)
    assert len(desk.open) == 2


def test_each_that_joins_keeps_the_window_open() -> None:
    desk = Desk(A, B, check("e", "db-down"))
    desk.see("a", CRITICAL)
    desk.see("b", CRITICAL, 4 * MINUTE)
    assert events(desk.see("e", CRITICAL, 4 * MINUTE)) == ["joined"]
    assert (desk.open[0].failing, desk.open[0].joined) == (3, 3)


def test_a_window_of_nothing_groups_nothing() -> None:
    desk = Desk(A, B, window=timedelta(0))
    desk.see("a", CRITICAL)
    desk.see("b", CRITICAL, timedelta(0))
    assert len(desk.open) == 2


def test_the_same_playbook_of_another_system_is_another_one() -> None:
    desk = Desk(A, check("x", "db-down", "bank"))
    desk.see("a", CRITICAL)
    desk.see("x", CRITICAL)
    assert len(desk.open) == 2


def test_it_is_as_bad_as_the_worst_of_its_checks_and_says_so_once() -> None:
    worst = check("worst", "db-down", severity="SEV1")
    desk = Desk(A, B, worst)
    desk.see("a", WARNING)
    assert desk.open[0].severity == "SEV3"
    assert events(desk.see("b", CRITICAL)) == ["worsened"]
    assert (desk.open[0].severity, desk.open[0].level, desk.open[0].reason) == ("SEV2", CRITICAL, "b is critical")
    assert events(desk.see("worst", WARNING)) == ["joined"]  # its warning is a SEV3
    assert events(desk.see("worst", CRITICAL)) == ["worsened"]
    assert desk.open[0].severity == "SEV1"


def test_a_severity_never_flaps() -> None:
    desk = Desk(A)
    desk.see("a", WARNING)
    told = [event for _ in range(5) for level in (CRITICAL, WARNING) for event in events(desk.see("a", level))]
    assert told.count("worsened") == 1
    assert desk.open[0].severity == "SEV2"  # the worst it has had
    assert desk.open[0].level is WARNING  # what it is


def test_it_is_over_when_the_last_has_recovered() -> None:
    desk = Desk(A, B)
    desk.see("a", CRITICAL)
    desk.see("b", CRITICAL)
    assert events(desk.see("a", OK)) == ["recovered"]
    assert (desk.open[0].failing, desk.open[0].reason) == (1, "b is critical")
    (over,) = desk.see("b", OK)
    assert (over.event, over.incident.is_open, desk.open) == ("resolved", False, [])
    assert over.incident.reason == "b is critical"


def test_one_that_recovered_comes_back_to_the_same_incident() -> None:
    desk = Desk(D, check("e"), A, B)
    desk.see("a", CRITICAL)
    desk.see("b", CRITICAL)
    desk.see("a", OK)
    assert events(desk.see("a", CRITICAL, 10 * MINUTE)) == ["joined"]
    assert len(desk.open) == 1


@pytest.mark.parametrize(("after", "again"), [(SECOND, True), (15 * MINUTE, False), (16 * MINUTE, False)])
def test_firing_again_soon_is_the_same_incident(after: timedelta, again: bool) -> None:
    desk = Desk(D)
    (first,) = desk.see("d", CRITICAL)
    desk.book.put(acknowledge(first.incident, desk.now, "ana", "").incident)
    desk.see("d", OK)
    (second,) = desk.see("d", WARNING, after)
    assert (second.incident.id == first.incident.id) is again
    assert second.event == ("reopened" if again else "firing")
    assert second.incident.severity == "SEV3"  # as bad as it is now, not as it was
    if again:
        assert (second.entry.kind, second.incident.key) == ("reopened", first.incident.key)
        assert (second.incident.reopened, second.incident.since) == (1, desk.now)
        assert not second.incident.acknowledged_by


def test_reopening_can_be_switched_off() -> None:
    desk = Desk(D, reopen_within=timedelta(0))
    (first,) = desk.see("d", CRITICAL)
    desk.see("d", OK)
    (second,) = desk.see("d", CRITICAL, timedelta(0))
    assert second.incident.id != first.incident.id


def test_what_is_over_is_reopened_after_a_restart_too() -> None:
    desk = Desk(A, B)
    desk.see("a", CRITICAL)
    desk.see("b", CRITICAL)
    (recovered,) = desk.see("a", OK)
    (over,) = desk.see("b", OK)
    later = Desk(A, B)
    later.book.restore([over.incident], [*recovered.members, *over.members])
    later.now = desk.now
    assert [d.entry.kind for d in later.see("b", CRITICAL)] == ["reopened"]
    assert [d.event for d in later.see("a", CRITICAL)] == ["joined"]
    assert later.open[0].id == over.incident.id


def test_a_check_that_is_gone_leaves_and_the_last_one_ends_it() -> None:
    desk = Desk(A, B, C)
    desk.see("a", CRITICAL)
    desk.see("b", CRITICAL)
    assert events(desk.adopt(B, C)) == ["left"]
    assert desk.open[0].failing == 1
    (over,) = desk.adopt(C)
    assert (over.event, desk.open) == ("resolved", [])
    assert "no longer watched" in over.entry.text


def test_a_changed_catalogue_changes_the_severity_of_what_is_open() -> None:
    desk = Desk(A)
    desk.see("a", CRITICAL)
    assert events(desk.adopt(check("a", "db-down", severity="SEV1"))) == ["worsened"]
    assert desk.open[0].severity == "SEV1"
    assert events(desk.adopt(check("a", "db-down", severity="SEV4"))) == ["changed"]
    assert desk.open[0].severity == "SEV4"
    assert desk.adopt(check("a", "db-down", severity="SEV4")) == []


MANY = [check(f"n{n}", f"p{n % 7}", ("shop", "bank")[n % 2]) for n in range(60)]


def test_many_at_once_are_one_incident_whatever_their_system_and_playbook() -> None:
    desk = Desk(*MANY)
    ends = [d for c in MANY for d in desk.see(c.name, CRITICAL, timedelta(milliseconds=10)) if d.event == "resolved"]
    (storm,) = desk.open
    assert (storm.storm, storm.failing, storm.joined) == (True, 60, 60)
    assert storm.severity == "SEV1"  # a P1 of the bank, in the words of the shop, whose check was the first
    assert all(d.entry.kind == "merged" and d.incident.merged_into == storm.id for d in ends)
    last = [d for c in MANY for d in desk.see(c.name, OK, timedelta(0))][-1]
    assert (last.event, desk.open) == ("resolved", [])


def test_nine_are_no_storm_and_neither_are_ten_in_a_quarter_of_an_hour() -> None:
    desk = Desk(*(check(f"n{n}") for n in range(10)))
    for n in range(9):
        desk.see(f"n{n}", CRITICAL, 2 * MINUTE)
    assert len(desk.open) == 9
    desk.see("n9", CRITICAL, 2 * MINUTE)
    assert len(desk.open) == 10


def test_one_that_flaps_is_no_storm() -> None:
    desk = Desk(D)
    for _ in range(30):
        desk.see("d", CRITICAL, timedelta(milliseconds=100))
        desk.see("d", OK, timedelta(milliseconds=100))
    desk.see("d", CRITICAL)
    assert [i.storm for i in desk.open] == [False]


def test_a_clock_set_back_makes_no_storm() -> None:
    desk = Desk(*(check(f"n{n}") for n in range(12)))
    for n in range(9):
        desk.see(f"n{n}", CRITICAL, timedelta(0))
    desk.see("n9", CRITICAL, timedelta(hours=-1))
    assert not any(incident.storm for incident in desk.open)


def test_what_somebody_has_taken_on_is_not_taken_into_a_storm() -> None:
    desk = Desk(*MANY, D)
    (mine,) = desk.see("d", CRITICAL)
    desk.book.put(acknowledge(mine.incident, desk.now, "ana", "").incident)
    for c in MANY:
        desk.see(c.name, CRITICAL, timedelta(milliseconds=10))
    assert len(desk.open) == 2


def test_after_a_storm_what_fails_later_is_its_own() -> None:
    desk = Desk(*MANY, D)
    for c in MANY:
        desk.see(c.name, CRITICAL, timedelta(milliseconds=10))
    assert events(desk.see("d", CRITICAL, 10 * MINUTE)) == ["firing"]
    assert len(desk.open) == 2


def test_storms_can_be_switched_off() -> None:
    desk = Desk(*(check(f"n{n}") for n in range(30)), storm=0)
    for n in range(30):
        desk.see(f"n{n}", CRITICAL, timedelta(0))
    assert len(desk.open) == 30


LOOKS = st.lists(
    st.tuples(
        st.integers(0, 23),
        st.sampled_from([OK, WARNING, CRITICAL, UNKNOWN]),
        st.sampled_from([0.0, 0.1, 5.0, 45.0, 200.0, 1000.0]),
    ),
    max_size=120,
)
SOME = [check(f"n{n}", ("p1", "p2", None)[n % 3], ("shop", "bank")[n % 2]) for n in range(24)]


@settings(max_examples=150, deadline=None)
@given(LOOKS, st.sampled_from([0, 3, 5, 10]), st.sets(st.integers(0, 23)))
def test_every_firing_check_fails_in_exactly_one_open_incident(
    looks: list[tuple[int, Level, float]], storm: int, kept: set[int]
) -> None:
    desk = Desk(*SOME, storm=storm)
    written: dict[str, Incident] = {}
    stored: dict[tuple[str, str], Member] = {}

    def write(decisions: list[Decision]) -> None:
        assert len({d.incident.id for d in decisions}) == len(decisions)
        for decision in decisions:
            written[decision.incident.id] = decision.incident
            stored.update({(m.incident_id, m.check_id): m for m in decision.members})

    levels = dict.fromkeys((c.id for c in SOME), OK)
    for number, level, seconds in looks:
        write(desk.see(f"n{number}", level, timedelta(seconds=seconds)))
        levels[SOME[number].id] = level
        _hold(desk, levels, written, stored)
    if kept:
        write(desk.adopt(*(SOME[n] for n in kept), storm=storm))
        levels = {SOME[n].id: levels[SOME[n].id] for n in kept}
        _hold(desk, levels, written, stored)
    again = Book()
    again.restore(written.values(), stored.values())
    assert again.incident_of == desk.book.incident_of
    assert again.incidents == desk.book.incidents


def _hold(
    desk: Desk, levels: dict[str, Level], written: dict[str, Incident], stored: dict[tuple[str, str], Member]
) -> None:
    """What is in memory is what was written, and says of every check what was last seen of it."""
    assert {i.id for i in written.values() if i.is_open} == {i.id for i in desk.open}
    failing = [(i.id, m) for i in desk.open for m in desk.members(i).values() if m.is_failing]
    assert {m.check_id: m.level for _, m in failing} == {c: level for c, level in levels.items() if level is not OK}
    assert len(failing) == len({m.check_id for _, m in failing})
    assert {m.check_id: i for i, m in failing} == desk.book.incident_of
    for incident in desk.open:
        assert written[incident.id] == incident
        members = desk.members(incident)
        own = [m for m in members.values() if m.is_failing]
        assert incident.failing == len(own) > 0
        assert incident.joined == len(members)
        assert incident.level is max((m.level for m in own), key=lambda level: level.badness)
        assert {c: stored[incident.id, c] for c in members} == members
