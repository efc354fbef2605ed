"""Outcomes, states, incidents, the outbox, marks and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "healthd_outcomes",
        sa.Column("check_id", sa.Text, primary_key=True),
        sa.Column("started", sa.BigInteger, primary_key=True),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "healthd_states",
        sa.Column("check_id", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    _incidents(sequence)
    _messages(sequence)
    op.create_table(
        "healthd_marks",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "healthd_audits",
        sa.Column("seq", sequence, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("healthd_audits_at", "healthd_audits", ["at"])


def _incidents(sequence: sa.types.TypeEngine[int]) -> None:
    op.create_table(
        "healthd_incidents",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("check_id", sa.Text, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("resolved_at", sa.BigInteger),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("healthd_incidents_opened", "healthd_incidents", ["opened_at", "id"])
    op.create_index("healthd_incidents_system", "healthd_incidents", ["system", "opened_at"])
    op.create_index("healthd_incidents_check", "healthd_incidents", ["check_id", "opened_at"])
    op.create_index("healthd_incidents_resolved", "healthd_incidents", ["resolved_at"])
    op.create_table(
        "healthd_timeline",
        sa.Column("seq", sequence, primary_key=True),
        sa.Column("incident_id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("incident_id", "at", "digest", name="healthd_timeline_once"),
    )


def _messages(sequence: sa.types.TypeEngine[int]) -> None:
    op.create_table(
        "healthd_messages",
        sa.Column("seq", sequence, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("group_key", sa.Text, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("id", name="healthd_messages_once"),
    )
    waiting = sa.text("status = 0")
    op.create_index(
        "healthd_messages_waiting",
        "healthd_messages",
        ["channel", "group_key", "seq"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_index("healthd_messages_finished", "healthd_messages", ["finished_at"])
