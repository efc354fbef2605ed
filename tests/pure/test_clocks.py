"""The clocks of incidents: what is due when, whatever happens in between, and never twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.incidents import Decision, acknowledge
from healthd.incidents.clocks import Kind, next_due
from healthd.incidents.escalation import Policy, climb, go_on, release, run_out, stop
from healthd.model.catalogue import Severity, Source
from healthd.model.incidents import Incident
from healthd.model.runbook import Contact, EscalationLevel
from tests.telling import make_incident

OPENED = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HERE = Source("checks/shop/people.yaml", 1)
CONTACTS = {"second": Contact("second", "Senior on-call", HERE, "oncall-l2@shop.example")}


def level(name: str, who: str = "", channels: tuple[str, ...] = (), **minutes: float) -> EscalationLevel:
    after = {severity: timedelta(minutes=value) for severity, value in minutes.items()}
    return EscalationLevel(name, name.upper(), HERE, who, after, channels=channels)


CHAIN = (
    level("l1", SEV1=0, SEV2=0, SEV3=0),
    level("l2", "second", ("phone",), SEV1=30, SEV2=60),
    level("l3", SEV1=60, SEV2=120),
    level("l4", SEV1=120),
)
SEV1 = Severity("SEV1", 1, response=15 * MINUTE, updates=20 * MINUTE)


def policy(name: str = "SEV1", **changes: timedelta | None) -> Policy:
    plain = {"response": None, "updates": None, "ack_timeout": None} | changes
    return Policy(Severity(name, 1, **plain), CHAIN, CONTACTS)  # type: ignore[arg-type]


def opened(severity: str = "SEV1") -> Incident:
    return make_incident(severity=severity, opened_at=OPENED, reason="connection refused")


def at(minutes: float) -> datetime:
    return OPENED + minutes * MINUTE


def until(incident: Incident, rules: Policy, now: datetime) -> tuple[Incident, list[Decision]]:
    """Everything that is due by `now`."""
    done = []
    while (decision := run_out(incident, rules, now)) is not None:
        assert len(done) < 100, "it never ends"
        done.append(decision)
        incident = decision.incident
    return incident, done


def levels(decisions: list[Decision]) -> list[str]:
    return [d.update["level"] for d in decisions if d.update["kind"] == "escalated"]


@pytest.mark.parametrize(
    ("severity", "minutes", "expected"),
    [
        ("SEV1", 0, ["l1"]), ("SEV1", 29.9, ["l1"]), ("SEV1", 30, ["l1", "l2"]), ("SEV1", 60, ["l1", "l2", "l3"]),
        ("SEV1", 9000, ["l1", "l2", "l3", "l4"]), ("SEV2", 59.9, ["l1"]), ("SEV2", 60, ["l1", "l2"]),
        ("SEV2", 9000, ["l1", "l2", "l3"]), ("SEV3", 9000, ["l1"]), ("SEV9", 9000, []),
    ],
)  # fmt: skip
def test_the_chain_by_severity_and_time(severity: str, minutes: float, expected: list[str]) -> None:
    incident, done = until(opened(severity), policy(severity), at(minutes))
    assert levels(done) == expected
    assert run_out(incident, policy(severity), at(minutes)) is None


def test_a_level_says_who_is_told_where_and_why() -> None:
    _, done = until(opened(), policy(), at(30))
    first, second = done
    assert (first.alone, first.entry.text) == (True, "told to l1, L1")
    assert second.event == "escalated"
    assert (second.also, second.alone) == (("phone",), False)
    assert second.entry.text == "escalated to l2, L2 (Senior on-call, oncall-l2@shop.example): not acknowledged for 30m"
    assert second.update == {
        "kind": "escalated", "text": second.entry.text, "level": "l2", "title": "L2", "who": "Senior on-call",
        "address": "oncall-l2@shop.example",
    }  # fmt: skip


def test_whoever_has_it_is_not_escalated_over() -> None:
    incident, _ = until(opened(), policy(), at(10))
    mine = acknowledge(incident, at(10), "ana", "").incident
    assert next_due(mine, policy().severity, CHAIN) is None
    assert until(mine, policy(), at(9000))[1] == []


def test_an_acknowledgement_that_lapses_lets_the_chain_go_on_where_it_stood() -> None:
    rules = policy(ack_timeout=60 * MINUTE, response=15 * MINUTE)
    incident, _ = until(opened(), rules, at(10))
    mine = acknowledge(incident, at(10), "ana", "").incident
    assert until(mine, rules, at(69.9))[1] == []
    nobodys, (lapse,) = until(mine, rules, at(70))
    assert (lapse.event, lapse.update["kind"]) == ("updated", "lapsed")
    assert (nobodys.acknowledged_at, nobodys.acknowledged_by) == (None, "")
    # twenty of the thirty minutes were left; the response was in time and is not late now
    assert until(nobodys, rules, at(89.9))[1] == []
    _, done = until(nobodys, rules, at(90))
    assert levels(done) == ["l2"]
    assert len(done) == 1


def test_acknowledging_again_begins_a_new_term_and_the_whole_time_is_held() -> None:
    rules = policy(ack_timeout=60 * MINUTE)
    mine = acknowledge(until(opened(), rules, at(10))[0], at(10), "ana", "").incident
    yours = acknowledge(mine, at(50), "ben", "").incident
    assert until(yours, rules, at(109.9))[1] == []
    nobodys, _ = until(yours, rules, at(110))
    assert levels(until(nobodys, rules, at(129.9))[1]) == []
    assert levels(until(nobodys, rules, at(130))[1]) == ["l2"]


def test_a_severity_raised_late_counts_from_the_opening() -> None:
    incident, done = until(opened("SEV3"), policy("SEV3"), at(75))
    assert levels(done) == ["l1"]
    _, done = until(replace(incident, severity="SEV1"), policy(response=15 * MINUTE), at(75))
    assert [d.update["kind"] for d in done] == ["unanswered", "escalated", "escalated"]
    assert levels(done) == ["l2", "l3"]


def test_a_late_response_is_told_once_and_not_beside_a_level() -> None:
    rules = policy(response=15 * MINUTE)
    incident, done = until(opened(), rules, at(15))
    assert [d.update["kind"] for d in done] == ["escalated", "unanswered"]
    assert not done[1].alone
    assert done[1].entry.text == "nobody has acknowledged it within 15m (SEV1)"
    assert levels(until(incident, rules, at(30))[1]) == ["l2"]
    _, both = until(opened(), policy(response=30 * MINUTE), at(30))
    assert [(d.update["kind"], d.alone) for d in both][1:] == [("unanswered", True), ("escalated", False)]


def test_a_response_in_time_is_not_late() -> None:
    rules = policy(response=15 * MINUTE)
    mine = acknowledge(until(opened(), rules, at(14))[0], at(14), "ana", "").incident
    assert until(mine, rules, at(600))[1] == []


def test_updates_come_at_their_pace_with_who_has_it() -> None:
    rules = policy("SEV3", updates=20 * MINUTE)
    incident, done = until(opened("SEV3"), rules, at(20))
    assert [d.update["kind"] for d in done] == ["escalated", "progress"]
    assert done[1].entry.text == (
        "still open after 20m: connection refused; nobody has acknowledged it; next update in 20m"
    )
    mine = acknowledge(incident, at(21), "ana", "").incident
    mine, done = until(mine, rules, at(41))
    assert ["acknowledged by ana" in d.entry.text for d in done] == [True]
    # after a long absence one update says it all
    assert len(until(mine, rules, at(2000))[1]) == 1


def test_what_was_just_told_is_no_occasion_for_an_update() -> None:
    rules = policy(updates=20 * MINUTE)
    incident, done = until(opened(), rules, at(30))
    assert [d.update["kind"] for d in done] == ["escalated", "escalated"]
    due = next_due(incident, rules.severity, CHAIN)
    assert due is not None
    assert (due.kind, due.at) == (Kind.UPDATE, at(50))


def test_clocks_stand_still_while_it_is_kept_quiet() -> None:
    rules = policy()
    incident, _ = until(opened(), rules, at(10))
    quiet = stop(incident, "silenced by ana until 05:00", at(10)).incident
    assert until(quiet, rules, at(500))[1] == []
    loud = go_on(quiet, at(70))
    assert loud is not None
    assert loud.entry.text == "escalation goes on after 1h"
    assert go_on(loud.incident, at(71)) is None
    assert levels(until(loud.incident, rules, at(89.9))[1]) == []
    assert levels(until(loud.incident, rules, at(90))[1]) == ["l2"]


@pytest.mark.parametrize(
    "steps",
    [
        ("acknowledged", "quiet", "loud", "released"),
        ("quiet", "acknowledged", "loud", "released"),
        ("quiet", "acknowledged", "released", "loud"),
        ("acknowledged", "quiet", "released", "loud"),
        ("acknowledged", "released", "quiet", "loud"),
    ],
)
def test_time_that_is_both_quiet_and_acknowledged_is_held_once(steps: tuple[str, ...]) -> None:
    incident, _ = until(opened(), policy(), at(10))
    for minute, step in zip((10, 23, 36, 50), steps, strict=True):
        changes = {
            "acknowledged": acknowledge(incident, at(minute), "ana", ""),
            "released": release(incident, "ana", at(minute)),
            "quiet": stop(incident, "silenced", at(minute)),
            "loud": go_on(incident, at(minute)),
        }
        changed = changes[step]
        assert changed is not None
        incident = changed.incident
    gap = 13 if steps[1] == "released" else 0  # somebody's no more, and not yet quiet
    assert levels(until(incident, policy(), at(69.9 - gap))[1]) == []
    assert levels(until(incident, policy(), at(70 - gap))[1]) == ["l2"]


def test_a_reopened_incident_begins_its_chain_anew() -> None:
    incident, _ = until(opened(), policy(response=15 * MINUTE), at(45))
    again = replace(incident, reopened=1, reopened_at=at(60))
    assert levels(until(again, policy(), at(61))[1]) == ["l1"]
    _, done = until(again, policy(response=15 * MINUTE), at(90))
    assert levels(done) == ["l1", "l2"]
    assert "unanswered" in [d.update["kind"] for d in done]


def test_levels_told_until_it_is_resolved_do_not_wait_for_an_acknowledgement() -> None:
    chain = tuple(replace(one, until="resolved") for one in CHAIN)
    rules = replace(policy(ack_timeout=10 * MINUTE), chain=chain)
    incident, _ = until(opened(), rules, at(1))
    incident = acknowledge(incident, at(2), "ana", "").incident
    assert climb(incident, rules).next == "l2"
    _, done = until(incident, rules, at(29.9))
    assert levels(done) == []
    incident, done = until(incident, rules, at(61))  # lapsed at 12: that holds up none of these levels
    assert levels(done) == ["l2", "l3"]
    assert "not resolved for 1h 1m" in done[-1].entry.text
    incident = go_on(stop(incident, "silenced", at(62)).incident, at(92)).incident  # type: ignore[union-attr]
    assert levels(until(incident, rules, at(149.9))[1]) == []
    assert levels(until(incident, rules, at(150))[1]) == ["l4"]
    assert next_due(replace(incident, resolved_at=at(100)), rules.severity, chain) is None


def test_of_a_mixed_chain_an_acknowledgement_stops_what_waits_for_one() -> None:
    chain = (CHAIN[0], CHAIN[1], replace(CHAIN[2], until="resolved"))
    incident = acknowledge(opened(), at(0), "ana", "").incident
    assert levels(until(incident, replace(policy(), chain=chain), at(9000))[1]) == ["l3"]


def test_an_incident_that_is_over_has_no_clocks() -> None:
    assert next_due(replace(opened(), resolved_at=at(5)), SEV1, CHAIN) is None


STEPS = st.lists(
    st.tuples(
        st.floats(min_value=0.01, max_value=90),
        st.sampled_from(["look", "look", "look", "acknowledge", "restart", "raise", "silence", "loud"]),
    ),
    max_size=25,
)


@given(steps=STEPS, timeout=st.sampled_from([None, 30]))
def test_no_level_is_skipped_or_repeated_whatever_happens(steps: list[tuple[float, str]], timeout: int | None) -> None:
    """Looking often or seldom, restarted or not, the levels told are the chain's, in its order, each once."""
    ack = timeout * MINUTE if timeout else None
    names, told, late, now, incident = ["SEV2", "SEV1"], [], [], OPENED, opened("SEV2")
    for minutes, what in steps:
        now += minutes * MINUTE
        rules = policy(incident.severity, response=10 * MINUTE, updates=7 * MINUTE, ack_timeout=ack)
        if what == "acknowledge":
            incident = acknowledge(incident, now, "ana", "").incident
        elif what == "raise":
            incident = replace(incident, severity=names[-1])
        elif what == "silence":
            incident = stop(incident, "silenced", now).incident
        elif what == "loud":
            incident = (go_on(incident, now) or stop(incident, "", now)).incident
        elif what == "restart":  # what the store gives back is what was kept, as plain data
            incident = replace(incident, details=dict(incident.details))
        else:
            incident, done = until(incident, rules, now)
            told += levels(done)
            late += [d.entry.text for d in done if d.update["kind"] == "unanswered"]
            assert sum(d.update["kind"] == "progress" for d in done) <= 1
            due = next_due(incident, rules.severity, CHAIN)
            assert due is None or due.at > now
    chain = [step.name for step in CHAIN if incident.severity in (step.after or {}) or step.name in told]
    assert told == chain[: len(told)]
    assert len(late) == len(set(late))


def test_how_far_it_has_come_and_what_follows() -> None:
    rules = policy(response=15 * MINUTE)
    incident, _ = until(opened(), rules, at(1))
    before = climb(incident, rules)
    assert (before.told, before.next, before.at, before.respond_by) == (("l1",), "l2", at(30), at(15))
    assert before.until == "acknowledged"
    assert before.who == "L2 (Senior on-call, oncall-l2@shop.example)"
    mine = climb(acknowledge(incident, at(2), "ana", "").incident, rules)
    assert (mine.told, mine.next, mine.at, mine.respond_by) == (("l1",), "", None, None)
    late = climb(until(incident, rules, at(20))[0], rules)
    assert (late.next, late.respond_by) == ("l2", None)
