"""The tables. Columns are what is searched and sorted by; everything else is one JSON text, `body`.

Times are UTC epoch microseconds. Names carry a prefix because a PostgreSQL database may be shared with others.
A change here needs a new script in migrations/versions and its id in HEAD; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)

HEAD = "0006"  # the newest script in migrations/versions
VERSION_TABLE = "healthd_schema_version"

# Alembic's own, described here so that a new database needs no Alembic
version = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)

metadata = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER

outcomes = Table(
    "healthd_outcomes",
    metadata,
    Column("check_id", Text, primary_key=True),
    Column("started", BigInteger, primary_key=True),
    Column("level", SmallInteger, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,  # keeps one check's outcomes side by side: a plot reads them in one sweep
)

states = Table(
    "healthd_states",
    metadata,
    Column("check_id", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

incidents = Table(
    "healthd_incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("check_id", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Column("body", Text, nullable=False),
)
Index("healthd_incidents_opened", incidents.c.opened_at, incidents.c.id)
Index("healthd_incidents_system", incidents.c.system, incidents.c.opened_at)
Index("healthd_incidents_check", incidents.c.check_id, incidents.c.opened_at)
Index("healthd_incidents_resolved", incidents.c.resolved_at)

members = Table(
    "healthd_members",
    metadata,
    Column("incident_id", Text, primary_key=True),
    Column("check_id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("recovered_at", BigInteger),
    Column("body", Text, nullable=False),
    Column("seen", Text, nullable=False),
)
Index("healthd_members_check", members.c.check_id)
Index("healthd_members_system", members.c.system)

timeline = Table(
    "healthd_timeline",
    metadata,
    Column("seq", _Sequence, primary_key=True),
    Column("incident_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("incident_id", "at", "digest", name="healthd_timeline_once"),
)

messages = Table(
    "healthd_messages",
    metadata,
    Column("seq", _Sequence, primary_key=True),
    Column("id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("next_attempt_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("id", name="healthd_messages_once"),
)
_waiting = text("status = 0")
_messages_waiting = Index(
    "healthd_messages_waiting", messages.c.channel, messages.c.group_key, messages.c.seq, sqlite_where=_waiting
)


@event.listens_for(metadata, "before_create")
def _partial_on_postgresql(_: MetaData, connection: Connection, **__: Any) -> None:
    """Said when it matters: saying so above would load all of that dialect, which SQLite does without."""
    if connection.dialect.name == "postgresql":
        _messages_waiting.dialect_kwargs["postgresql_where"] = _waiting


Index("healthd_messages_finished", messages.c.finished_at)

marks = Table(
    "healthd_marks",
    metadata,
    Column("key", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
)

audits = Table(
    "healthd_audits",
    metadata,
    Column("seq", _Sequence, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)
Index("healthd_audits_at", audits.c.at)

hourly = Table(
    "healthd_hourly",
    metadata,
    Column("check_id", Text, primary_key=True),
    Column("measure", Text, primary_key=True),
    Column("series", Text, primary_key=True),
    Column("hour", BigInteger, primary_key=True),
    Column("samples", Integer, nullable=False),
    Column("minimum", Double, nullable=False),
    Column("average", Double, nullable=False),
    Column("maximum", Double, nullable=False),
    sqlite_with_rowid=False,
)
Index("healthd_hourly_hour", hourly.c.hour)

records = Table(
    "healthd_records",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("body", Text, nullable=False),
)
Index("healthd_records_at", records.c.kind, records.c.at)
Index("healthd_records_closed", records.c.closed_at)

lease = Table(
    "healthd_lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),  # by the server's clock, never by a replica's
)

# Both for looks made elsewhere, see healthd/workers; on PostgreSQL only.
workers = Table(
    "healthd_workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("location", Text, nullable=False),
    Column("capacity", Integer, nullable=False),  # looks at once
    Column("seen", DateTime(timezone=True), nullable=False),
    Column("gone", Boolean, nullable=False),  # it said so
)

answers = Table(
    "healthd_answers",
    metadata,
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("body", Text, nullable=False),
)
