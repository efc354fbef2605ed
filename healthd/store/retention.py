"""What is kept how long. Outcomes are summed up by the hour, then deleted; the rest is deleted when it is old.

Every delete is a transaction of its own of at most about BATCH rows, so that commits slip in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, func, select

from healthd.store.database import Database
from healthd.store.history import last_hour
from healthd.store.queries import check_ids
from healthd.store.rollup import HOUR, RUNS, hourly_steps
from healthd.store.schema import hourly, outcomes
from healthd.store.serialisation import micros
from healthd.store.statements import DELIVERED, GIVEN_UP, Row, Step

BATCH = 1000  # rows
_STRAGGLERS = timedelta(minutes=10)  # an hour is summed up when its last runs are over and stored

_OUTCOMES = (
    "DELETE FROM healthd_outcomes WHERE check_id = ? AND started IN"
    " (SELECT started FROM healthd_outcomes WHERE check_id = ? AND started < ? ORDER BY started LIMIT ?)"
)
_HOURLY = (
    "DELETE FROM healthd_hourly WHERE (check_id, measure, series, hour) IN"
    " (SELECT check_id, measure, series, hour FROM healthd_hourly WHERE hour < ? LIMIT ?)"
)
_MESSAGES = (
    "DELETE FROM healthd_messages WHERE seq IN"
    " (SELECT seq FROM healthd_messages WHERE finished_at < ? AND status = ? LIMIT ?)"
)
_AUDITS = "DELETE FROM healthd_audits WHERE seq IN (SELECT seq FROM healthd_audits WHERE at < ? LIMIT ?)"
_TIMELINE = (
    "DELETE FROM healthd_timeline WHERE incident_id IN"
    " (SELECT id FROM healthd_incidents WHERE resolved_at < ? ORDER BY resolved_at, id LIMIT ?)"
)
_INCIDENTS = (
    "DELETE FROM healthd_incidents WHERE id IN"
    " (SELECT id FROM healthd_incidents WHERE resolved_at < ? ORDER BY resolved_at, id LIMIT ?)"
)
_INCIDENTS_AT_ONCE = 50  # each with the twenty or so entries of its timeline


async def prune(database: Database, now: datetime, *, kept: timedelta, history: timedelta) -> int:
    """Outcomes and delivered messages stay for `kept`; summaries, resolved incidents, messages given up and the
    audit log for `history`. So does the newest outcome of a check that runs rarely."""
    old, ancient = _hour_of(now - kept), _hour_of(now - history)
    deleted = 0
    for check_id in await database.read(check_ids):
        await _sum_up(database, check_id, until=_hour_of(now - _STRAGGLERS))
        deleted += await _delete_outcomes(database, check_id, old, ancient)
    deleted += await _delete(database, [(_HOURLY, (ancient, BATCH))])
    deleted += await _delete(database, [(sql, (ancient, _INCIDENTS_AT_ONCE)) for sql in (_TIMELINE, _INCIDENTS)])
    deleted += await _delete(database, [(_MESSAGES, (old, DELIVERED, BATCH))])
    deleted += await _delete(database, [(_MESSAGES, (ancient, GIVEN_UP, BATCH))])
    return deleted + await _delete(database, [(_AUDITS, (ancient, BATCH))])


def _hour_of(moment: datetime) -> int:
    return micros(moment) // HOUR * HOUR


async def _delete(database: Database, steps: Sequence[Step]) -> int:
    deleted = 0
    while changed := await database.write(partial(tuple, steps)):
        deleted += changed
    return deleted


async def _sum_up(database: Database, check_id: str, *, until: int) -> None:
    """The whole hours since the last one summed up."""

    def new_hours(connection: Connection) -> list[Step]:
        newest = connection.scalar(last_hour(check_id))
        return _summaries(connection, check_id, 0 if newest is None else newest + HOUR, until)

    await _write_in_batches(database, await database.read(new_hours))


async def _delete_outcomes(database: Database, check_id: str, old: int, ancient: int) -> int:
    def find(connection: Connection) -> tuple[int, list[Step]]:
        newest, oldest = connection.execute(
            select(func.max(outcomes.c.started), func.min(outcomes.c.started)).where(outcomes.c.check_id == check_id)
        ).one()
        boundary = old if newest is None or newest < ancient else min(old, newest)
        if oldest is None or oldest >= boundary:
            return 0, []
        late = _hours_with_late_outcomes(connection, check_id, old)
        return boundary, [step for hour in late for step in _summaries(connection, check_id, hour, hour + HOUR)]

    boundary, summaries = await database.read(find)
    await _write_in_batches(database, summaries)
    row: Row = (check_id, check_id, boundary, BATCH)
    return await _delete(database, [(_OUTCOMES, row)]) if boundary else 0


def _hours_with_late_outcomes(connection: Connection, check_id: str, before: int) -> list[int]:
    """Hours that hold more outcomes than were summed up: stored late, after an outage or a jump of the clock."""
    hour = (outcomes.c.started // HOUR).label("hour")
    stored = connection.execute(
        select(hour, func.count()).where(outcomes.c.check_id == check_id, outcomes.c.started < before).group_by(hour)
    )
    summed = {
        row.hour // HOUR: row.samples
        for row in connection.execute(
            select(hourly.c.hour, hourly.c.samples).where(
                hourly.c.check_id == check_id, hourly.c.measure == RUNS, hourly.c.series == "", hourly.c.hour < before
            )
        )
    }
    return [number * HOUR for number, runs in stored if runs > summed.get(number, 0)]


def _summaries(connection: Connection, check_id: str, since: int, until: int) -> list[Step]:
    rows = connection.execute(
        select(outcomes.c.started, outcomes.c.body)
        .where(outcomes.c.check_id == check_id, outcomes.c.started >= since, outcomes.c.started < until)
        .execution_options(yield_per=500)
    )
    return list(hourly_steps(check_id, ((row.started, row.body) for row in rows)))


async def _write_in_batches(database: Database, steps: Sequence[Step]) -> None:
    for start in range(0, len(steps), BATCH):
        await database.write(partial(tuple, steps[start : start + BATCH]))
