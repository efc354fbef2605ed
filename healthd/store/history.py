"""The history of one measure: single outcomes where they are still there, hourly summaries before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, select

from healthd.store.base import Point
from healthd.store.rollup import HOUR, RUNS, Summary, values_of
from healthd.store.schema import hourly, outcomes
from healthd.store.serialisation import moment_of

_FINE = 10 * 60 * 1_000_000  # slots wider than this are made of whole hours: thirty times less to read
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for, times in epoch microseconds. `series` "" is the worst one."""

    check_id: str
    measure: str
    series: str
    since: int
    until: int
    points: int

    @property
    def width(self) -> int:
        """Of a slot. Slots begin at multiples of it, so that a plot does not tremble while time passes."""
        wanted = max(_SECOND, -(-(self.until - self.since) // max(1, self.points)))
        unit = HOUR if wanted > _FINE else _SECOND
        return -(-wanted // unit) * unit


def history(connection: Connection, question: Question) -> list[Point]:
    """Oldest first."""
    if question.until <= question.since:
        return []
    width = question.width
    boundary = _summarised_until(connection, question.check_id, coarse=width >= HOUR)
    slots: dict[int, Summary] = {}
    for hour, count, minimum, average, maximum in _summaries(connection, question, boundary):
        slots.setdefault(hour // width * width, Summary()).merge(count, minimum, average, maximum)
    for started, value in _values(connection, question, boundary):
        slots.setdefault(started // width * width, Summary()).add(value)
    return [Point(moment_of(at), s.minimum, s.average, s.maximum) for at, s in sorted(slots.items())]


def _summarised_until(connection: Connection, check_id: str, *, coarse: bool) -> int:
    """Before this moment summaries are used: as far as there are any for a coarse plot, for a fine one only
    where the outcomes themselves are gone."""
    if coarse:
        newest = connection.scalar(last_hour(check_id))
        return 0 if newest is None else newest + HOUR
    oldest = connection.scalar(select(func.min(outcomes.c.started)).where(outcomes.c.check_id == check_id))
    return 2**62 if oldest is None else oldest // HOUR * HOUR


def last_hour(check_id: str) -> Select[int | None]:
    """The newest hour that is summed up."""
    return select(func.max(hourly.c.hour)).where(
        hourly.c.check_id == check_id, hourly.c.measure == RUNS, hourly.c.series == ""
    )


def _summaries(
    connection: Connection, question: Question, boundary: int
) -> Iterator[tuple[int, int, float, float, float]]:
    query = select(hourly.c.hour, hourly.c.samples, hourly.c.minimum, hourly.c.average, hourly.c.maximum).where(
        hourly.c.check_id == question.check_id,
        hourly.c.measure == question.measure,
        hourly.c.series == question.series,
        hourly.c.hour >= question.since // HOUR * HOUR,
        hourly.c.hour < min(question.until, boundary),
    )
    for row in connection.execute(query):
        yield row.hour, row.samples, row.minimum, row.average, row.maximum


def _values(connection: Connection, question: Question, boundary: int) -> Iterator[tuple[int, float]]:
    query = (
        select(outcomes.c.started, outcomes.c.body)
        .where(
            outcomes.c.check_id == question.check_id,
            outcomes.c.started >= max(question.since, boundary),
            outcomes.c.started < question.until,
        )
        .order_by(outcomes.c.started)
        .execution_options(yield_per=500)
    )
    for started, body in connection.execute(query):
        value = values_of(body).get((question.measure, question.series))
        if value is not None:
            yield started, value
