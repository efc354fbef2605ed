"""How the runs of checks ended: hourly summaries where there are some, single outcomes since."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, text

from healthd.model.outcomes import Level
from healthd.store.base import Availability
from healthd.store.queries import CHECK_IDS
from healthd.store.rollup import BAD, HOUR, RUNS

_SUMMED_UP = text(
    "SELECT check_id, measure, sum(samples) AS runs, max(hour) AS newest FROM healthd_hourly"
    " WHERE check_id IN :checks AND measure IN :measures AND series = '' AND hour >= :since"
    " GROUP BY check_id, measure"
).bindparams(bindparam("checks", expanding=True), bindparam("measures", expanding=True))
_SINCE = text(
    "SELECT level, count(*) AS runs FROM healthd_outcomes"
    " WHERE check_id = :check_id AND started >= :since GROUP BY level"
)
_ALL = text(CHECK_IDS + "SELECT check_id FROM ids WHERE check_id IS NOT NULL")  # noqa: S608 constants
_PORTION = 500  # checks in one question: databases bound the number of parameters


def availability(connection: Connection, since: int, checks: Sequence[str]) -> dict[str, Availability]:
    """By check id; `since` in epoch microseconds, rounded down to its hour."""
    wanted = list(checks) or [row.check_id for row in connection.execute(_ALL)]
    first = since // HOUR * HOUR
    found: dict[str, Availability] = {}
    for start in range(0, len(wanted), _PORTION):
        portion = wanted[start : start + _PORTION]
        summed, ends = _summed_up(connection, portion, first)
        for check_id in portion:
            counted = _count(connection, check_id, max(first, ends.get(check_id, first)))
            levels = {measure: summed.get((check_id, measure), 0) for measure in (RUNS, *BAD.values())}
            total = Availability(
                runs=levels[RUNS] + sum(counted.values()),
                critical=levels[BAD[Level.CRITICAL]] + counted.get(Level.CRITICAL, 0),
                unknown=levels[BAD[Level.UNKNOWN]] + counted.get(Level.UNKNOWN, 0),
            )
            if total.runs:
                found[check_id] = total
    return found


def _summed_up(
    connection: Connection, checks: Sequence[str], since: int
) -> tuple[dict[tuple[str, str], int], dict[str, int]]:
    """Runs by check and kind, and until when they are summed up."""
    given = {"checks": checks, "measures": [RUNS, *BAD.values()], "since": since}
    rows = connection.execute(_SUMMED_UP, given).all()
    ends = {row.check_id: row.newest + HOUR for row in rows if row.measure == RUNS}
    return {(row.check_id, row.measure): int(row.runs) for row in rows}, ends


def _count(connection: Connection, check_id: str, since: int) -> dict[int, int]:
    return {row.level: row.runs for row in connection.execute(_SINCE, {"check_id": check_id, "since": since})}
