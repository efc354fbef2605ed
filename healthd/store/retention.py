"""What is kept how long. Outcomes are summed up by the hour, then deleted; the rest is deleted when it is old.

Reads and writes come in small portions: commits slip in between, and no thread is busy for long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, select, text

from healthd.store.database import Database
from healthd.store.queries import CHECK_IDS
from healthd.store.rollup import HOUR, RUNS, hourly_steps
from healthd.store.schema import outcomes
from healthd.store.serialisation import micros
from healthd.store.statements import DELIVERED, GIVEN_UP, Step

BATCH = 1000  # rows written in one transaction, about
_CHECKS_AT_ONCE = 20  # read in one go
_INCIDENTS_AT_ONCE = 50  # each with the twenty or so entries of its timeline
_MANY_HOURS = 24 * HOUR  # more is read bit by bit: that costs more questions, but less memory
_STRAGGLERS = timedelta(minutes=10)  # an hour is summed up when its last runs are over and stored

_SPANS = text(
    CHECK_IDS  # noqa: S608 constants
    + """
SELECT check_id,
  (SELECT min(started) FROM healthd_outcomes o WHERE o.check_id = ids.check_id) AS oldest,
  (SELECT max(started) FROM healthd_outcomes o WHERE o.check_id = ids.check_id) AS newest,
  (SELECT max(hour) FROM healthd_hourly h WHERE h.check_id = ids.check_id AND measure = :runs AND series = '') AS summed
FROM ids WHERE check_id IS NOT NULL
"""
)
_HOURS = text("""
SELECT hour, runs, samples FROM (
  SELECT started / :unit * :unit AS hour, count(*) AS runs FROM healthd_outcomes
  WHERE check_id = :check_id AND started < :before GROUP BY 1
) AS stored
LEFT JOIN (
  SELECT hour AS summed_hour, samples FROM healthd_hourly
  WHERE check_id = :check_id AND measure = :runs AND series = '' AND hour < :before
) AS summed ON summed_hour = hour
""")
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
_RECORDS = (
    "DELETE FROM healthd_records WHERE (kind, id) IN (SELECT kind, id FROM healthd_records WHERE closed_at < ? LIMIT ?)"
)
_TIMELINE = (
    "DELETE FROM healthd_timeline WHERE incident_id IN"
    " (SELECT id FROM healthd_incidents WHERE resolved_at < ? ORDER BY resolved_at, id LIMIT ?)"
)
_MEMBERS = _TIMELINE.replace("healthd_timeline", "healthd_members")
_INCIDENTS = (
    "DELETE FROM healthd_incidents WHERE id IN"
    " (SELECT id FROM healthd_incidents WHERE resolved_at < ? ORDER BY resolved_at, id LIMIT ?)"
)


@dataclass(frozen=True, slots=True)
class Span:
    """What is there of one check, in epoch microseconds: its outcomes, and the hours summed up so far (until)."""

    check_id: str
    oldest: int
    newest: int
    summed: int

    def boundary(self, old: int, ancient: int) -> int:
        """Outcomes before it go: those that are old, but for the newest of all while that is not ancient."""
        return old if self.newest < ancient else min(old, self.newest)


async def prune(database: Database, now: datetime, *, kept: timedelta, history: timedelta) -> int:
    """Outcomes and delivered messages stay for `kept`; summaries, resolved incidents, closed records, messages given
    up and the audit log for `history`. So does the newest outcome of a check that runs rarely. Returns the rows
    deleted."""
    old, ancient = _hour_of(now - kept), _hour_of(now - history)
    spans = await database.read(_spans)
    await _sum_up(database, spans, until=_hour_of(now - _STRAGGLERS))
    deleted = await _delete_outcomes(database, spans, old, ancient)
    deleted += await _delete(database, [(_HOURLY, (ancient, BATCH))])
    deleted += await _delete(
        database, [(sql, (ancient, _INCIDENTS_AT_ONCE)) for sql in (_TIMELINE, _MEMBERS, _INCIDENTS)]
    )
    deleted += await _delete(database, [(_MESSAGES, (old, DELIVERED, BATCH))])
    deleted += await _delete(database, [(_RECORDS, (ancient, BATCH))])
    deleted += await _delete(database, [(_MESSAGES, (ancient, GIVEN_UP, BATCH))])
    return deleted + await _delete(database, [(_AUDITS, (ancient, BATCH))])


def _hour_of(moment: datetime) -> int:
    return micros(moment) // HOUR * HOUR


async def _delete(database: Database, steps: Sequence[Step]) -> int:
    deleted = 0
    while changed := await database.write(partial(tuple, steps)):
        deleted += changed
    return deleted


def _spans(connection: Connection) -> list[Span]:
    rows = connection.execute(_SPANS, {"runs": RUNS})
    return [Span(row.check_id, row.oldest, row.newest, 0 if row.summed is None else row.summed + HOUR) for row in rows]


async def _sum_up(database: Database, spans: Sequence[Span], *, until: int) -> None:
    """The whole hours since the last one summed up."""
    for some in _portions([span for span in spans if span.summed < until and span.newest >= span.summed]):
        await _write(database, await database.read(partial(_new_hours, spans=some, until=until)))


def _new_hours(connection: Connection, spans: Sequence[Span], until: int) -> list[Step]:
    return [
        step for span in spans for step in _summaries(connection, span.check_id, max(span.summed, span.oldest), until)
    ]


def _summaries(connection: Connection, check_id: str, since: int, until: int) -> Iterator[Step]:
    query = select(outcomes.c.started, outcomes.c.level, outcomes.c.body).where(
        outcomes.c.check_id == check_id, outcomes.c.started >= since, outcomes.c.started < until
    )
    if until - since > _MANY_HOURS:
        query = query.execution_options(yield_per=500)
    return hourly_steps(check_id, ((row.started, row.level, row.body) for row in connection.execute(query)))


async def _delete_outcomes(database: Database, spans: Sequence[Span], old: int, ancient: int) -> int:
    deleted = 0
    for some in _portions([span for span in spans if span.oldest < span.boundary(old, ancient)]):
        late, deletions = await database.read(partial(_old_hours, spans=some, old=old, ancient=ancient))
        await _write(database, late)
        for steps in _packed(deletions):
            deleted += await database.write(partial(tuple, steps))
    return deleted


_Deletion = tuple[str, int, int]  # check, before when, how many


def _old_hours(
    connection: Connection, spans: Sequence[Span], old: int, ancient: int
) -> tuple[list[Step], list[_Deletion]]:
    """Summaries of hours with more outcomes than were summed up (stored late, after an outage or a jump of the
    clock), and what can be deleted then."""
    late: list[Step] = []
    deletions: list[_Deletion] = []
    for span in spans:
        given = {"unit": HOUR, "check_id": span.check_id, "before": old, "runs": RUNS}
        count = 0
        for hour, runs, samples in connection.execute(_HOURS, given).all():
            count += runs
            if runs > (samples or 0):
                late += _summaries(connection, span.check_id, hour, hour + HOUR)
        deletions.append((span.check_id, span.boundary(old, ancient), count))
    return late, deletions


def _packed(deletions: Sequence[_Deletion]) -> Iterator[list[Step]]:
    """Transactions of at most BATCH rows."""
    steps: list[Step] = []
    room = BATCH
    for check_id, before, count in deletions:
        left = count
        while left > 0:
            rows = min(left, room)
            steps.append((_OUTCOMES, (check_id, check_id, before, rows)))
            left, room = left - rows, room - rows
            if room == 0:
                yield steps
                steps, room = [], BATCH
    if steps:
        yield steps


def _portions(spans: Sequence[Span]) -> Iterator[Sequence[Span]]:
    for start in range(0, len(spans), _CHECKS_AT_ONCE):
        yield spans[start : start + _CHECKS_AT_ONCE]


async def _write(database: Database, steps: Sequence[Step]) -> None:
    for start in range(0, len(steps), BATCH):
        await database.write(partial(tuple, steps[start : start + BATCH]))
