"""Every statement that writes, the same text for both databases ("?" stands for a value).

They are executed by hand, many rows at a time: composing them anew for each row would cost more than running them.
All of them may be repeated without harm, except AUDIT and FAILED.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from healthd.model.incidents import Incident, Member, Message, TimelineEntry
from healthd.model.records import Record
from healthd.store.base import AuditEntry, Commit
from healthd.store.serialisation import (
    dump_audit,
    dump_entry,
    dump_incident,
    dump_member,
    dump_message,
    dump_outcome,
    dump_record,
    dump_state,
    maybe_micros,
    micros,
    plain_text,
)

Row = tuple[str | int | float | None, ...]
Step = tuple[str, Row]  # a statement and its values

WAITING, DELIVERED, GIVEN_UP = 0, 1, 2  # messages.status

OUTCOME = "INSERT INTO healthd_outcomes (check_id, started, level, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
STATE = (
    "INSERT INTO healthd_states (check_id, body) VALUES (?, ?)"
    " ON CONFLICT (check_id) DO UPDATE SET body = excluded.body"
)
INCIDENT = (
    "INSERT INTO healthd_incidents (id, system, check_id, opened_at, resolved_at, body) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET system = excluded.system, check_id = excluded.check_id,"
    " opened_at = excluded.opened_at, resolved_at = excluded.resolved_at, body = excluded.body"
)
MEMBER = (
    "INSERT INTO healthd_members (incident_id, check_id, system, since, recovered_at, body, seen)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (incident_id, check_id) DO UPDATE SET since = excluded.since,"
    " recovered_at = excluded.recovered_at, body = excluded.body,"
    " seen = CASE WHEN excluded.seen = '' THEN healthd_members.seen ELSE excluded.seen END"
)
TIMELINE = "INSERT INTO healthd_timeline (incident_id, at, digest, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
MESSAGE = (
    "INSERT INTO healthd_messages"
    " (id, channel, group_key, status, created_at, next_attempt_at, attempts, last_error, body)"
    " VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
MARK = "INSERT INTO healthd_marks (key, at) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET at = excluded.at"
RECORD = (
    "INSERT INTO healthd_records (kind, id, system, name, at, closed_at, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (kind, id) DO UPDATE SET system = excluded.system, name = excluded.name, at = excluded.at,"
    " closed_at = excluded.closed_at, body = excluded.body"
)
FORGET = "DELETE FROM healthd_states WHERE check_id = ?"
# what waits for the hours of its route waits no longer when something of its group is to be told at once
RELEASE = (
    "UPDATE healthd_messages SET next_attempt_at = NULL, created_at = ?"
    " WHERE channel = ? AND group_key = ? AND status = 0 AND attempts = 0 AND next_attempt_at > ?"
)
FINISH = "UPDATE healthd_messages SET status = ?, finished_at = ? WHERE id = ? AND status = 0"
FAILED = (
    "UPDATE healthd_messages SET attempts = attempts + 1, last_error = ?, next_attempt_at = ?"
    " WHERE id = ? AND status = 0"
)
AUDIT = "INSERT INTO healthd_audits (at, body) VALUES (?, ?)"
HOURLY = (
    "INSERT INTO healthd_hourly (check_id, measure, series, hour, samples, minimum, average, maximum)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (check_id, measure, series, hour) DO UPDATE SET"
    " samples = excluded.samples, minimum = excluded.minimum, average = excluded.average, maximum = excluded.maximum"
)


def commit_steps(commit: Commit) -> list[Step]:
    """What a commit writes."""
    steps: list[Step] = [
        (OUTCOME, (o.check_id, micros(o.started), int(o.level), dump_outcome(o))) for o in commit.outcomes
    ]
    steps += [(STATE, (state.check_id, dump_state(state))) for state in commit.states]
    steps += [(INCIDENT, _incident_row(incident)) for incident in commit.incidents]
    steps += [(MEMBER, _member_row(member)) for member in commit.members]
    steps += [timeline_step(entry) for entry in commit.timeline]
    steps += [(MESSAGE, _message_row(message)) for message in commit.messages]
    steps += [(RELEASE, _release_row(message)) for message in commit.messages if message.next_attempt_at is None]
    steps += [(MARK, (key, micros(at))) for key, at in commit.marks.items()]
    steps += [(RECORD, _record_row(record)) for record in commit.records]
    steps += [audit_step(entry) for entry in commit.audits]
    return steps


def timeline_step(entry: TimelineEntry) -> Step:
    """An entry is the same as another if incident, moment and content are."""
    body = dump_entry(entry)
    digest = blake2b(body.encode(), digest_size=12).hexdigest()
    return TIMELINE, (entry.incident_id, micros(entry.at), digest, body)


def audit_step(entry: AuditEntry) -> Step:
    """One more line in the audit log."""
    return AUDIT, (micros(entry.at), dump_audit(entry))


def forget_steps(check_ids: Sequence[str]) -> list[Step]:
    """Drop states."""
    return [(FORGET, (check_id,)) for check_id in check_ids]


def _incident_row(incident: Incident) -> Row:
    return (
        incident.id,
        incident.system,
        incident.check_id,
        micros(incident.opened_at),
        maybe_micros(incident.resolved_at),
        dump_incident(incident),
    )


def _member_row(member: Member) -> Row:
    body, seen = dump_member(member)
    recovered_at = maybe_micros(member.recovered_at)
    return (member.incident_id, member.check_id, member.system, micros(member.since), recovered_at, body, seen)


def _record_row(record: Record) -> Row:
    closed_at = maybe_micros(record.closed_at)
    return (record.kind, record.id, record.system, record.name, micros(record.at), closed_at, dump_record(record))


def _release_row(message: Message) -> Row:
    at = micros(message.created_at)
    return (at, message.channel, message.group, at)


def _message_row(message: Message) -> Row:
    return (
        message.id,
        message.channel,
        message.group,
        micros(message.created_at),
        maybe_micros(message.next_attempt_at),
        message.attempts,
        plain_text(message.last_error),
        dump_message(message),
    )
