"""Hourly summaries, which outlive single outcomes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "healthd_hourly",
        sa.Column("check_id", sa.Text, primary_key=True),
        sa.Column("measure", sa.Text, primary_key=True),
        sa.Column("series", sa.Text, primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True),
        sa.Column("samples", sa.Integer, nullable=False),
        sa.Column("minimum", sa.Double, nullable=False),
        sa.Column("average", sa.Double, nullable=False),
        sa.Column("maximum", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("healthd_hourly_hour", "healthd_hourly", ["hour"])
