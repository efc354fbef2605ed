"""Records to JSON and back: exact, and tolerant of other versions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from healthd.model.incidents import Incident, Message, TimelineEntry
from healthd.model.outcomes import CheckState, Evidence, Level, Measurement, Outcome, RowState, Verdict
from healthd.model.units import Unit
from healthd.store import serialisation as s
from healthd.store.base import AuditEntry

texts = st.text(st.characters(), max_size=20)
moments = st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
values = st.floats(allow_nan=False) | texts | st.integers(-(2**53), 2**53)
levels, units = st.sampled_from(Level), st.none() | st.sampled_from(Unit)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(texts, json_values, max_size=4)


def many(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(strategy, max_size=3).map(tuple)


verdicts = many(st.builds(Verdict, texts, texts, texts, st.none() | values, units, levels, texts, texts))
outcomes = st.builds(
    Outcome, check_id=texts, started=moments, duration=st.timedeltas(timedelta(-9), timedelta(days=999)), level=levels,
    reason=texts, measurements=many(st.builds(Measurement, texts, values, units, texts)), verdicts=verdicts,
    evidence=many(st.builds(Evidence, texts, texts)), due=st.none() | moments, trigger=texts, cadence=texts,
    error_kind=texts, late=st.booleans(),
)  # fmt: skip
maybe = st.none() | moments
states = st.builds(
    CheckState, check_id=texts, status=levels, level=levels, reason=texts, since=maybe, firing=st.booleans(),
    firing_level=levels, firing_since=maybe, unknown_count=st.integers(0, 10**9), unknown_since=maybe, last_run=maybe,
    last_ok=maybe, expected_by=maybe, overdue=st.booleans(), flapping=st.booleans(), recent=many(levels),
    rows=st.dictionaries(texts, st.builds(RowState, levels, maybe, maybe, maybe, maybe), max_size=3),
    pending_until=maybe, verdicts=verdicts, fingerprint=texts,
)  # fmt: skip


@given(outcomes)
def test_outcomes(outcome: Outcome) -> None:
    stored = s.dump_outcome(outcome)
    assert s.load_outcome(outcome.check_id, s.micros(outcome.started), int(outcome.level), stored) == outcome


@given(states)
def test_states(state: CheckState) -> None:
    assert s.load_state(state.check_id, s.dump_state(state)) == state


@given(
    st.builds(
        Incident, *[texts] * 6, levels, moments, texts, texts, st.none() | moments, st.none() | moments, texts, bodies
    )
)
def test_incidents(incident: Incident) -> None:
    columns = {
        "id": incident.id, "system": incident.system, "check_id": incident.check_id,
        "opened_at": s.micros(incident.opened_at), "resolved_at": s.maybe_micros(incident.resolved_at),
        "body": s.dump_incident(incident),
    }  # fmt: skip
    assert s.load_incident(columns) == incident


@given(st.builds(Message, texts, texts, texts, texts, moments, bodies, st.integers(0, 99), maybe, texts))
def test_messages(message: Message) -> None:
    columns = {
        "id": message.id, "channel": message.channel, "group_key": message.group, "body": s.dump_message(message),
        "created_at": s.micros(message.created_at), "next_attempt_at": s.maybe_micros(message.next_attempt_at),
        "attempts": message.attempts, "last_error": message.last_error,
    }  # fmt: skip
    assert s.load_message(columns) == message


@given(st.builds(TimelineEntry, texts, moments, texts, texts, texts), st.builds(AuditEntry, moments, *[texts] * 4))
def test_entries(entry: TimelineEntry, audit: AuditEntry) -> None:
    assert s.load_entry(entry.incident_id, s.micros(entry.at), s.dump_entry(entry)) == entry
    assert s.load_audit(s.micros(audit.at), s.dump_audit(audit)) == audit


def test_an_older_version_wrote_less() -> None:
    assert s.load_state("a/b", "{}") == CheckState("a/b")
    bare = s.load_outcome("a/b", 0, 2, '{"measurements":[["up",1]],"verdicts":[["r","up","",1,null,2]]}')
    assert bare.measurements == (Measurement("up", 1),)
    assert bare.verdicts == (Verdict("r", "up", "", 1, None, Level.CRITICAL),)
    assert s.load_state("a/b", '{"rows":{"r":[1]}}').rows == {"r": RowState(Level.WARNING)}


def test_a_newer_version_wrote_more() -> None:
    body = {
        "measurements": [["up", 1, "furlongs", "s", "new"]], "verdicts": [["r", "up", "", 1, "x", 9, "", "", "new"]],
        "evidence": [["t", "x", "new"]], "reason": "r", "unheard": {"of": 1},
    }  # fmt: skip
    outcome = s.load_outcome("a/b", 0, 7, json.dumps(body))
    assert (outcome.level, outcome.verdicts[0].level) == (Level.UNKNOWN, Level.UNKNOWN)
    assert outcome.measurements == (Measurement("up", 1, None, "s"),)
    state = s.load_state("a/b", '{"status":17,"rows":{"r":[0,null,null,null,null,5]},"new":[]}')
    assert state == CheckState("a/b", rows={"r": RowState()})


def test_a_detail_that_is_no_json_becomes_text_rather_than_a_lost_incident() -> None:
    details = {"at": datetime(2026, 1, 1, tzinfo=UTC), "took": timedelta(seconds=2), "set": {1}, "level": Level.OK}
    incident = Incident("i", "k", "s", "s/c", "t", "SEV1", Level.OK, details["at"], "r", details=details)
    stored = json.loads(s.dump_incident(incident))["details"]
    assert stored == {"at": "2026-01-01T00:00:00+00:00", "took": 2.0, "set": [1], "level": 0}
