"""Frozen types to rows and back. Texts live in JSON, so that a NUL or a broken character from a server cannot
make a database refuse them. Readers take what they know: unknown keys are ignored, missing ones get defaults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from healthd.model.incidents import Incident, Member, Message, Telling, TimelineEntry
from healthd.model.outcomes import CheckState, Evidence, Level, Measurement, Outcome, RowState, Verdict
from healthd.model.records import Record
from healthd.model.units import Unit
from healthd.store.base import AuditEntry

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Columns = Mapping[Any, Any]  # a row by column name
_UNITS = {unit.value: unit for unit in Unit}


def micros(moment: datetime) -> int:
    """Epoch microseconds of an aware datetime, exact. TypeError for a naive one."""
    since = moment - EPOCH
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def maybe_micros(moment: datetime | None) -> int | None:
    """As micros; None stays None."""
    return None if moment is None else micros(moment)


def moment_of(value: int) -> datetime:
    """The inverse of micros, in UTC."""
    return EPOCH + timedelta(microseconds=value)


def maybe_moment(value: int | None) -> datetime | None:
    """As moment_of; None stays None."""
    return None if value is None else moment_of(value)


def plain_text(value: str) -> str:
    """What every database takes in a text column: no NUL, no half of a surrogate pair."""
    return value.replace("\x00", "").encode("utf-8", "replace").decode()


def _plain(value: Any) -> Any:
    """For a mapping's values of other types: an incident is not lost for the sake of one detail."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return list(value) if isinstance(value, set | frozenset) else str(value)


_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False, default=_plain).encode


def dump_outcome(outcome: Outcome) -> str:
    """All but check_id, started and level. Lists are positional: fields are only ever added at their ends."""
    duration = outcome.duration
    body: dict[str, Any] = {
        "duration": (duration.days * 86400 + duration.seconds) * 1_000_000 + duration.microseconds,
        "reason": outcome.reason,
        "measurements": [(m.name, m.value, m.unit, m.series) for m in outcome.measurements],
        "verdicts": _dump_verdicts(outcome.verdicts),
    }
    if outcome.evidence:
        body["evidence"] = [(e.title, e.text) for e in outcome.evidence]
    if outcome.due is not None:
        body["due"] = micros(outcome.due)
    if outcome.trigger != "schedule":
        body["trigger"] = outcome.trigger
    if outcome.cadence:
        body["cadence"] = outcome.cadence
    if outcome.error_kind:
        body["error_kind"] = outcome.error_kind
    if outcome.late:
        body["late"] = True
    return _encode(body)


def load_outcome(check_id: str, started: int, level: int, body: str) -> Outcome:
    """The inverse of dump_outcome."""
    data = json.loads(body)
    return Outcome(
        check_id=check_id,
        started=moment_of(started),
        duration=timedelta(microseconds=data.get("duration", 0)),
        level=_level(level),
        reason=data.get("reason", ""),
        measurements=tuple(_load_measurement(m) for m in data.get("measurements", ())),
        verdicts=_load_verdicts(data),
        evidence=tuple(Evidence(*e[:2]) for e in data.get("evidence", ())),
        due=maybe_moment(data.get("due")),
        trigger=data.get("trigger", "schedule"),
        cadence=data.get("cadence", ""),
        error_kind=data.get("error_kind", ""),
        late=data.get("late", False),
    )


def dump_state(state: CheckState) -> str:
    """All but check_id."""
    return _encode(
        {
            "status": state.status,
            "level": state.level,
            "reason": state.reason,
            "since": maybe_micros(state.since),
            "firing": state.firing,
            "firing_level": state.firing_level,
            "firing_since": maybe_micros(state.firing_since),
            "rows": {key: _dump_row(row) for key, row in state.rows.items()},
            "unknown_count": state.unknown_count,
            "unknown_since": maybe_micros(state.unknown_since),
            "last_run": maybe_micros(state.last_run),
            "last_ok": maybe_micros(state.last_ok),
            "expected_by": maybe_micros(state.expected_by),
            "overdue": state.overdue,
            "flapping": state.flapping,
            "recent": state.recent,
            "pending_until": maybe_micros(state.pending_until),
            "verdicts": _dump_verdicts(state.verdicts),
            "fingerprint": state.fingerprint,
        }
    )


def load_state(check_id: str, body: str) -> CheckState:
    """The inverse of dump_state."""
    data = json.loads(body)
    default = CheckState(check_id)
    return CheckState(
        check_id=check_id,
        status=_level(data.get("status", default.status)),
        level=_level(data.get("level", default.level)),
        reason=data.get("reason", default.reason),
        since=maybe_moment(data.get("since")),
        firing=data.get("firing", default.firing),
        firing_level=_level(data.get("firing_level", default.firing_level)),
        firing_since=maybe_moment(data.get("firing_since")),
        rows={key: _load_row(row) for key, row in data.get("rows", {}).items()},
        unknown_count=data.get("unknown_count", default.unknown_count),
        unknown_since=maybe_moment(data.get("unknown_since")),
        last_run=maybe_moment(data.get("last_run")),
        last_ok=maybe_moment(data.get("last_ok")),
        expected_by=maybe_moment(data.get("expected_by")),
        overdue=data.get("overdue", default.overdue),
        flapping=data.get("flapping", default.flapping),
        recent=tuple(_level(level) for level in data.get("recent", ())),
        pending_until=maybe_moment(data.get("pending_until")),
        verdicts=_load_verdicts(data),
        fingerprint=data.get("fingerprint", default.fingerprint),
    )


def dump_incident(incident: Incident) -> str:
    """All but id, system, check_id, opened_at and resolved_at."""
    telling = incident.telling
    body: dict[str, Any] = {
        "key": incident.key,
        "title": incident.title,
        "severity": incident.severity,
        "level": incident.level,
        "reason": incident.reason,
        "playbook": incident.playbook,
        "acknowledged_at": maybe_micros(incident.acknowledged_at),
        "acknowledged_by": incident.acknowledged_by,
        "details": incident.details,
        "failing": incident.failing,
        "joined": incident.joined,
        "telling": (telling.event, maybe_micros(telling.due), maybe_micros(telling.last), telling.count),
    }
    if incident.storm:
        body["storm"] = True
    if incident.reopened:
        body |= {"reopened": incident.reopened, "reopened_at": maybe_micros(incident.reopened_at)}
    if incident.merged_into:
        body["merged_into"] = incident.merged_into
    return _encode(body)


def load_incident(columns: Columns) -> Incident:
    """From the columns of the incidents table, by name."""
    data = json.loads(columns["body"])
    return Incident(
        id=columns["id"],
        key=data.get("key", columns["id"]),
        system=columns["system"],
        check_id=columns["check_id"],
        title=data.get("title", columns["check_id"]),
        severity=data.get("severity", ""),
        level=_level(data.get("level", Level.UNKNOWN)),
        opened_at=moment_of(columns["opened_at"]),
        reason=data.get("reason", ""),
        playbook=data.get("playbook", ""),
        resolved_at=maybe_moment(columns["resolved_at"]),
        acknowledged_at=maybe_moment(data.get("acknowledged_at")),
        acknowledged_by=data.get("acknowledged_by", ""),
        details=data.get("details", {}),
        failing=data.get("failing", 1),
        joined=data.get("joined", 1),
        storm=data.get("storm", False),
        reopened=data.get("reopened", 0),
        reopened_at=maybe_moment(data.get("reopened_at")),
        merged_into=data.get("merged_into", ""),
        telling=_load_telling(data.get("telling")),
    )


def dump_member(member: Member) -> tuple[str, str]:
    """All but the ids, since and recovered_at; and what was seen of it, "" for nothing."""
    body = {
        "level": member.level,
        "severity": member.severity,
        "reason": member.reason,
        "peak": member.peak,
    }
    return _encode(body), _encode(member.seen) if member.seen else ""


def load_member(columns: Columns) -> Member:
    """From the columns of the members table, by name; `seen` may be missing. A member without a severity is of a
    former version, which knew one check per incident: what is known of it stands with its incident."""
    data = json.loads(columns["body"])
    seen = columns.get("seen")
    return Member(
        incident_id=columns["incident_id"],
        check_id=columns["check_id"],
        level=_level(data.get("level", Level.UNKNOWN)),
        severity=data.get("severity", ""),
        since=moment_of(columns["since"]),
        reason=data.get("reason", ""),
        peak=_level(data.get("peak", data.get("level", Level.UNKNOWN))),
        recovered_at=maybe_moment(columns["recovered_at"]),
        seen=json.loads(seen) if seen else {},
    )


def dump_entry(entry: TimelineEntry) -> str:
    """All but incident_id and at."""
    return _encode({"kind": entry.kind, "text": entry.text, "actor": entry.actor})


def load_entry(incident_id: str, at: int, body: str) -> TimelineEntry:
    """The inverse of dump_entry."""
    data = json.loads(body)
    return TimelineEntry(
        incident_id, moment_of(at), data.get("kind", "note"), data.get("text", ""), data.get("actor", "healthd")
    )


def dump_message(message: Message) -> str:
    """The event and the body; the rest are columns, they change with every attempt."""
    return _encode({"event": message.event, "body": message.body})


def load_message(columns: Columns) -> Message:
    """From the columns of the messages table, by name."""
    data = json.loads(columns["body"])
    return Message(
        id=columns["id"],
        channel=columns["channel"],
        group=columns["group_key"],
        event=data.get("event", ""),
        created_at=moment_of(columns["created_at"]),
        body=data.get("body", {}),
        attempts=columns["attempts"],
        next_attempt_at=maybe_moment(columns["next_attempt_at"]),
        last_error=columns["last_error"],
    )


def dump_record(record: Record) -> str:
    """The body alone; the rest are columns."""
    return _encode(record.body)


def load_record(columns: Columns) -> Record:
    """From the columns of the records table, by name."""
    return Record(
        kind=columns["kind"],
        id=columns["id"],
        at=moment_of(columns["at"]),
        system=columns["system"],
        name=columns["name"],
        closed_at=maybe_moment(columns["closed_at"]),
        body=json.loads(columns["body"]),
    )


def dump_audit(entry: AuditEntry) -> str:
    """All but at."""
    return _encode({"actor": entry.actor, "action": entry.action, "target": entry.target, "detail": entry.detail})


def load_audit(at: int, body: str, seq: int = 0) -> AuditEntry:
    """The inverse of dump_audit."""
    data = json.loads(body)
    actor, action, target, detail = (data.get(name, "") for name in ("actor", "action", "target", "detail"))
    return AuditEntry(moment_of(at), actor, action, target, detail, seq)


def _level(value: int) -> Level:
    return Level(value) if 0 <= value <= 3 else Level.UNKNOWN


def _load_telling(fields: Sequence[Any] | None) -> Telling:
    if fields is None:  # of a former version, which told everything at once
        return Telling(count=1)
    event, due, last, count = fields[:4]
    return Telling(event, maybe_moment(due), maybe_moment(last), count)


def _load_measurement(fields: Sequence[Any]) -> Measurement:
    name, value, unit, series = (*fields, None, "")[:4] if len(fields) < 4 else fields[:4]
    return Measurement(name, value, _UNITS.get(unit), series)


def _dump_verdicts(verdicts: tuple[Verdict, ...]) -> list[tuple[Any, ...]]:
    return [(v.row, v.measure, v.series, v.value, v.unit, v.level, v.limit, v.note) for v in verdicts]


def _load_verdicts(data: Mapping[str, Any]) -> tuple[Verdict, ...]:
    return tuple(
        Verdict(row, measure, series, value, _UNITS.get(unit), _level(level), *rest[:2])
        for row, measure, series, value, unit, level, *rest in data.get("verdicts", ())
    )


def _dump_row(row: RowState) -> tuple[int | None, ...]:
    return (
        row.confirmed,
        maybe_micros(row.warning_since),
        maybe_micros(row.critical_since),
        maybe_micros(row.below_critical_since),
        maybe_micros(row.ok_since),
    )


def _load_row(fields: Sequence[Any]) -> RowState:
    confirmed, *since = fields
    return RowState(_level(confirmed), *(maybe_moment(value) for value in since[:4]))
