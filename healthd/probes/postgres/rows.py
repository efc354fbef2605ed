"""Asking a server about itself: rows by column name, and what to say when a role may not see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from healthd.probes.base import ProbeContext, ProbeError
from healthd.probes.postgres.sessions import Session, look

__all__ = ["SEES_ALL", "Row", "answer", "answers", "fetch", "forbidden"]

Row = dict[str, Any]

# True for a role that sees everybody's sessions and statements: a superuser or a member of pg_monitor.
SEES_ALL = "pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')"


async def fetch(session: Session, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
    """All rows of one of our own statements."""
    from psycopg.rows import dict_row

    async with session.connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql.encode(), params)
        return await cursor.fetchall()


async def answers(
    context: ProbeContext, url: SecretStr, *statements: str, params: Mapping[str, Any] | None = None
) -> list[list[Row]]:
    """The rows of each statement, asked in one look; once for all checks of a run that ask the same.

    Raises ProbeError. Rows are shared: do not change them.
    """

    async def ask(session: Session) -> list[list[Row]]:
        return [await fetch(session, sql, params) for sql in statements]

    key = ("postgres-answers", url, statements, repr(params))
    return await context.once(key, lambda: look(context, url, ask))


async def answer(context: ProbeContext, url: SecretStr, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
    """The rows of one statement, as `answers` gives them."""
    return (await answers(context, url, sql, params=params))[0]


def forbidden(what: str, role: str) -> ProbeError:
    """`what` is hidden from `role`, which is not in pg_monitor."""
    return ProbeError(f"{what} hidden from the role {role}: GRANT pg_monitor TO {role}", "forbidden")
