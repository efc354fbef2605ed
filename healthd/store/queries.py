"""Every question asked of the database but history, one function each. They run in the reader threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import structlog
from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, text, true

from healthd.model.incidents import Incident, Member, Message, TimelineEntry
from healthd.model.outcomes import CheckState, Outcome
from healthd.model.records import Record
from healthd.store.base import AuditEntry, OutboxState
from healthd.store.schema import audits, incidents, marks, members, messages, outcomes, records, states, timeline
from healthd.store.serialisation import (
    load_audit,
    load_entry,
    load_incident,
    load_member,
    load_message,
    load_outcome,
    load_record,
    load_state,
    maybe_moment,
    moment_of,
)
from healthd.store.statements import WAITING

T = TypeVar("T")
log = structlog.get_logger("healthd.store")
AUDIT_PIECE, AUDIT_PIECES = 1000, 50  # lines looked through at a time, and how often

# jumps from check to check through the primary key instead of reading every outcome
CHECK_IDS = """
WITH RECURSIVE ids (check_id) AS (
  SELECT min(check_id) FROM healthd_outcomes
  UNION ALL
  SELECT (SELECT min(o.check_id) FROM healthd_outcomes o WHERE o.check_id > ids.check_id)
  FROM ids WHERE ids.check_id IS NOT NULL
)
"""
_LATEST = text(
    CHECK_IDS  # noqa: S608 constants
    + "SELECT o.check_id, o.started, o.level, o.body FROM ids JOIN healthd_outcomes o"
    " ON o.check_id = ids.check_id"
    " AND o.started = (SELECT max(n.started) FROM healthd_outcomes n WHERE n.check_id = ids.check_id)"
)


def _readable(rows: Iterable[Any], load: Callable[[Any], T], what: str) -> Iterator[T]:
    """What can be read of `rows`. One that somebody has damaged is left as it is, said so, and does not keep the rest
    from being read: what it held is as if it had not been stored."""
    for row in rows:
        try:
            yield load(row)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
            first = next(iter(row.values() if isinstance(row, Mapping) else row), "")
            log.warning("row_unreadable", what=what, id=str(first)[:200], reason=type(error).__name__)


def all_states(connection: Connection) -> dict[str, CheckState]:
    """By check id."""
    rows = connection.execute(select(states))
    return {s.check_id: s for s in _readable(rows, lambda row: load_state(row.check_id, row.body), "state")}


def all_marks(connection: Connection) -> dict[str, datetime]:
    """By job key."""
    return {row.key: moment_of(row.at) for row in connection.execute(select(marks))}


def latest(connection: Connection) -> dict[str, Outcome]:
    """The newest outcome of every check."""
    found = _readable(connection.execute(_LATEST), lambda row: load_outcome(*row), "outcome")
    return {outcome.check_id: outcome for outcome in found}


def outcomes_of(
    connection: Connection, check_id: str, since: int | None, before: int | None, limit: int
) -> list[Outcome]:
    """Newest first, `since` included, `before` not."""
    query = select(outcomes).where(outcomes.c.check_id == check_id)
    if since is not None:
        query = query.where(outcomes.c.started >= since)
    if before is not None:
        query = query.where(outcomes.c.started < before)
    newest = query.order_by(outcomes.c.started.desc()).limit(limit)
    return list(_readable(connection.execute(newest), lambda row: load_outcome(*row), "outcome"))


@dataclass(frozen=True, slots=True)
class End:
    """Where a list by time, newest first, begins: before a moment and, with an id, after that one at the moment."""

    at: int | None
    id: str = ""

    def holds(self, at: ColumnElement[Any], id_: ColumnElement[Any]) -> ColumnElement[bool]:
        """The condition."""
        if self.at is None:
            return true()
        return or_(at < self.at, and_(at == self.at, id_ < self.id)) if self.id else at < self.at


def incidents_of(connection: Connection, system: str, check_id: str, end: End, limit: int) -> list[Incident]:
    """Newest first; empty words do not restrict."""
    query = select(incidents)
    if system:  # a storm may have members of systems that are not its own
        of_others = select(members.c.incident_id).where(members.c.system == system)
        query = query.where(or_(incidents.c.system == system, incidents.c.id.in_(of_others)))
    if check_id:
        joined = select(members.c.incident_id).where(members.c.check_id == check_id)
        query = query.where(or_(incidents.c.check_id == check_id, incidents.c.id.in_(joined)))
    query = query.where(end.holds(incidents.c.opened_at, incidents.c.id))
    return _incidents(connection, query.order_by(incidents.c.opened_at.desc(), incidents.c.id.desc()).limit(limit))


def open_incidents(connection: Connection, resolved_since: int | None) -> list[Incident]:
    """Oldest first; with `resolved_since` also those that ended since."""
    query = select(incidents).where(_open_since(resolved_since))
    return _incidents(connection, query.order_by(incidents.c.opened_at, incidents.c.id))


def _open_since(moment: int | None) -> ColumnElement[bool]:
    is_open = incidents.c.resolved_at.is_(None)
    return is_open if moment is None else or_(is_open, incidents.c.resolved_at >= moment)


def open_members(connection: Connection, resolved_since: int | None) -> list[Member]:
    """Those of `open_incidents`, without what was seen of them."""
    columns = [column for column in members.c if column is not members.c.seen]
    query = select(*columns).where(members.c.incident_id == incidents.c.id, _open_since(resolved_since))
    query = query.order_by(members.c.incident_id, members.c.since, members.c.check_id)
    return list(_readable(connection.execute(query).mappings(), load_member, "member of an incident"))


def members_of(connection: Connection, incident_id: str, check_id: str, offset: int, limit: int) -> list[Member]:
    """In the order they joined."""
    query = select(members).where(members.c.incident_id == incident_id)
    if check_id:
        query = query.where(members.c.check_id == check_id)
    query = query.order_by(members.c.since, members.c.check_id).offset(offset).limit(limit)
    return list(_readable(connection.execute(query).mappings(), load_member, "member of an incident"))


def incident(connection: Connection, incident_id: str) -> Incident | None:
    """One by id."""
    return next(iter(_incidents(connection, select(incidents).where(incidents.c.id == incident_id))), None)


def _incidents(connection: Connection, query: Select[Any]) -> list[Incident]:
    return list(_readable(connection.execute(query).mappings(), load_incident, "incident"))


def timeline_of(connection: Connection, incident_id: str) -> list[TimelineEntry]:
    """By time, and as written where the time is the same."""
    query = select(timeline).where(timeline.c.incident_id == incident_id).order_by(timeline.c.at, timeline.c.seq)
    return [load_entry(row.incident_id, row.at, row.body) for row in connection.execute(query)]


def record(connection: Connection, kind: str, record_id: str) -> Record | None:
    """One by kind and id."""
    query = select(records).where(records.c.kind == kind, records.c.id == record_id)
    return next((load_record(row) for row in connection.execute(query).mappings()), None)


def records_of(
    connection: Connection, kind: str, *, system: str, name: str, open_only: bool, end: End, limit: int
) -> list[Record]:
    """Newest first; empty words do not restrict."""
    query = select(records).where(records.c.kind == kind)
    if system:
        query = query.where(records.c.system == system)
    if name:
        query = query.where(records.c.name == name)
    if open_only:
        query = query.where(records.c.closed_at.is_(None))
    query = query.where(end.holds(records.c.at, records.c.id))
    newest = query.order_by(records.c.at.desc(), records.c.id.desc()).limit(limit)
    return list(_readable(connection.execute(newest).mappings(), load_record, "record"))


def _is_waiting(channel: str) -> ColumnElement[bool]:
    # spelled out, not a parameter: the index covers waiting messages alone
    return and_(messages.c.channel == channel, messages.c.status == text(str(WAITING)))


def _first_of_group(channel: str) -> ColumnElement[bool]:
    """Messages before which no other of their group waits."""
    firsts = select(func.min(messages.c.seq)).where(_is_waiting(channel)).group_by(messages.c.group_key)
    return messages.c.seq.in_(firsts.scalar_subquery())


def due_messages(connection: Connection, channel: str, now: int, limit: int) -> list[Message]:
    """Oldest first."""
    due = or_(messages.c.next_attempt_at.is_(None), messages.c.next_attempt_at <= now)
    query = select(messages).where(_first_of_group(channel), due).order_by(messages.c.seq).limit(limit)
    return list(_readable(connection.execute(query).mappings(), load_message, "message"))


def messages_behind(connection: Connection, message_id: str, limit: int) -> list[Message]:
    """Of its channel and group, waiting, written after it; the first written first."""
    first = select(messages.c.channel, messages.c.group_key, messages.c.seq).where(messages.c.id == message_id)
    found = connection.execute(first).first()
    if found is None:
        return []
    same = and_(_is_waiting(found.channel), messages.c.group_key == found.group_key, messages.c.seq > found.seq)
    query = select(messages).where(same).order_by(messages.c.seq).limit(limit)
    return list(_readable(connection.execute(query).mappings(), load_message, "message"))


def next_attempt(connection: Connection, channel: str) -> int | None:
    """Of the messages that are first in their group; one never tried is due since it was written."""
    due_at = func.coalesce(messages.c.next_attempt_at, messages.c.created_at)
    return connection.scalar(select(func.min(due_at)).where(_first_of_group(channel)))


def outbox(connection: Connection) -> list[OutboxState]:
    """Channels with waiting messages, by name."""
    query = (
        select(messages.c.channel, func.count().label("pending"), func.min(messages.c.created_at).label("oldest"))
        .where(messages.c.status == text(str(WAITING)))
        .group_by(messages.c.channel)
        .order_by(messages.c.channel)
    )
    return [OutboxState(row.channel, row.pending, maybe_moment(row.oldest)) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Empty ones do not restrict."""

    before: int = 0
    actor: str = ""
    action: str = ""
    text: str = ""

    def matches(self, entry: AuditEntry) -> bool:
        if self.actor not in ("", entry.actor) or self.action not in ("", entry.action):
            return False
        said = "\n".join((entry.actor, entry.action, entry.target, entry.detail))
        return self.text.casefold() in said.casefold()


def newest_audits(connection: Connection, limit: int, wanted: AuditFilter) -> list[AuditEntry]:
    """Newest first. What they say is one text to the database: it is looked through here, a piece at a time."""
    found: list[AuditEntry] = []
    before = wanted.before
    piece = AUDIT_PIECE if wanted.actor or wanted.action or wanted.text else limit
    for _ in range(AUDIT_PIECES):
        query = select(audits).order_by(audits.c.seq.desc()).limit(piece)
        rows = connection.execute(query.where(audits.c.seq < before) if before else query).all()
        read = (load_audit(row.at, row.body, row.seq) for row in rows)
        found += [entry for entry in read if wanted.matches(entry)]
        if len(rows) < piece or len(found) >= limit:
            break
        before = rows[-1].seq
    return found[:limit]
