"""What came out of a restore: how much there is, whether it makes sense, how it compares with production."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from healthd.model.conditions import parse_condition
from healthd.model.units import UnitError
from healthd.probes.base import ProbeContext
from healthd.probes.blocking import Stop
from healthd.probes.postgres.sessions import Session, look
from healthd.probes.restore.params import Compare, Sanity

if TYPE_CHECKING:
    from psycopg.sql import Composed

__all__ = ["Answer", "Restored", "inspect_restored", "production_rows"]

_TABLES = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
_ESTIMATE = "SELECT reltuples::float FROM pg_class WHERE oid = %s::regclass"


@dataclass(frozen=True, slots=True)
class Answer:
    """One sanity question: its value, and what is wrong with it ("" when nothing is)."""

    name: str
    value: float | str | None
    problem: str


@dataclass(slots=True)
class Restored:
    """What is in the scratch database. `size` in bytes; `rows` by table, None for one that is not there."""

    tables: int = 0
    size: int = 0
    answers: list[Answer] = field(default_factory=list)
    rows: dict[str, int | None] = field(default_factory=dict)


def inspect_restored(
    conninfo: Mapping[str, str], sanity: tuple[Sanity, ...], compare: Compare | None, stop: Stop
) -> Restored:
    """Ask the scratch database; blocks. Raises psycopg.Error when it cannot be asked at all."""
    import psycopg

    found = Restored()
    own = {"autocommit": True, "connect_timeout": 10, "application_name": "healthd restore drill"}
    with psycopg.connect(**{**conninfo, **own}) as connection, _ended_by(stop, connection):  # type: ignore[arg-type]
        connection.execute("SET default_transaction_read_only = on")
        found.tables = _one(connection.execute(_TABLES)) or 0
        found.size = _one(connection.execute("SELECT pg_database_size(current_database())")) or 0
        found.answers = [_ask(connection, question) for question in sanity]
        for table in compare.tables if compare is not None else ():
            try:
                found.rows[table] = _one(connection.execute(_count(table)))
            except psycopg.errors.UndefinedTable:
                found.rows[table] = None
    return found


@contextmanager
def _ended_by(stop: Stop, connection: Any) -> Iterator[None]:
    """Break off what the connection waits for when `stop` is set."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            if stop.is_set():
                connection.cancel()
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _ask(connection: Any, question: Sanity) -> Answer:
    import psycopg

    name = question.name or " ".join(question.query.split())[:80]
    try:
        value = _plain(_one(connection.execute(question.query.encode())))
    except psycopg.Error as error:
        return Answer(name, None, str(error.diag.message_primary or error).strip()[:200])
    if value is None:
        return Answer(name, None, "no value")
    try:
        holds = parse_condition(question.expect).holds(value)
    except UnitError as error:
        return Answer(name, value, str(error))
    shown = value if isinstance(value, str) else f"{value:g}"
    return Answer(name, value, "" if holds else f"{shown}, expected {question.expect}")


def _plain(value: Any) -> float | str | None:
    from datetime import timedelta
    from decimal import Decimal

    if value is None:
        return None
    if isinstance(value, timedelta):
        return value.total_seconds()
    return float(value) if isinstance(value, bool | int | float | Decimal) else str(value)[:200]


def _one(cursor: Any) -> Any:
    row = cursor.fetchone()
    return row[0] if row else None


async def production_rows(compare: Compare, context: ProbeContext) -> dict[str, float | None]:
    """Rows by table in production, read-only; None where there is no such table or no estimate. Raises ProbeError."""
    import psycopg

    within = replace(context, timeout=min(context.timeout, compare.timeout), shared={})

    async def count(session: Session, table: str) -> float | None:
        if compare.count == "exact":
            cursor = await session.connection.execute(_count(table))
        else:
            cursor = await session.connection.execute(_ESTIMATE, [table])
        row = await cursor.fetchone()
        return float(row[0]) if row and row[0] is not None and row[0] >= 0 else None

    async def ask(session: Session) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        for table in compare.tables:
            await session.connection.execute("SAVEPOINT healthd")
            try:
                found[table] = await count(session, table)
            except psycopg.errors.UndefinedTable:
                found[table] = None
                await session.connection.execute("ROLLBACK TO SAVEPOINT healthd")
        return found

    return await look(within, compare.url, ask)


def _count(table: str) -> Composed:
    from psycopg.sql import SQL, Identifier

    parts = [quoted or plain.lower() for quoted, plain in re.findall(r'"([^"]+)"|([^".]+)', table)]
    return SQL("SELECT count(*) FROM {}").format(Identifier(*parts))
