"""Incidents of several checks. Every incident there is has one member: the check that opened it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "healthd_members",
        sa.Column("incident_id", sa.Text, primary_key=True),
        sa.Column("check_id", sa.Text, primary_key=True),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("recovered_at", sa.BigInteger),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("seen", sa.Text, nullable=False),
    )
    op.create_index("healthd_members_check", "healthd_members", ["check_id"])
    op.create_index("healthd_members_system", "healthd_members", ["system"])
    op.execute(
        "INSERT INTO healthd_members (incident_id, check_id, system, since, recovered_at, body, seen)"
        " SELECT id, check_id, system, opened_at, resolved_at, '{}', '' FROM healthd_incidents"
    )
