"""Who waits for whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import Duration, Evidence, MeasureInfo, Observation, Params, ProbeContext
from healthd.probes.measured import measured
from healthd.probes.postgres.dsn import PostgresUrl
from healthd.probes.postgres.grants import STATS, Grants, needs
from healthd.probes.postgres.rows import Row, answers, forbidden
from healthd.probes.postgres.shown import ago, shown_query

__all__ = ["PostgresLocksProbe"]

_SHOWN = 5
_LOCKS = """
SELECT current_user AS role,
       (SELECT count(*) FROM pg_stat_activity WHERE query = '<insufficient privilege>') AS hidden,
       count(*) FILTER (WHERE granted) AS held,
       count(*) FILTER (WHERE granted AND mode = 'AccessExclusiveLock' AND locktype = 'relation') AS access_exclusive,
       count(*) FILTER (WHERE locktype = 'advisory' AND granted) AS advisory,
       count(*) FILTER (WHERE NOT fastpath)::float
         / (current_setting('max_locks_per_transaction')::int
            * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int))
         AS table_ratio,
       (SELECT coalesce(sum(deadlocks), 0) FROM pg_stat_database) AS deadlocks
  FROM pg_locks WHERE pid IS DISTINCT FROM pg_backend_pid()
"""
# Since PostgreSQL 14 a lock knows since when it is waited for; before, it is the age of the query.
_WAITING = """
SELECT a.pid, a.usename, a.datname, l.mode, l.locktype, c.relname, left(a.query, 2000) AS query,
       pg_blocking_pids(a.pid) AS blockers,
       extract(epoch FROM clock_timestamp() - coalesce((to_jsonb(l) ->> 'waitstart')::timestamptz, a.query_start))
         AS waits
  FROM pg_stat_activity AS a
  JOIN pg_locks AS l ON l.pid = a.pid AND NOT l.granted
  LEFT JOIN pg_class AS c ON c.oid = l.relation AND l.database = (
    SELECT oid FROM pg_database WHERE datname = current_database())
 ORDER BY waits DESC NULLS LAST LIMIT 500
"""
_BLOCKERS = """
SELECT pid, usename, datname, application_name, state, left(query, 2000) AS query,
       extract(epoch FROM clock_timestamp() - xact_start) AS transaction_age
  FROM pg_stat_activity WHERE pid = ANY (
    SELECT unnest(pg_blocking_pids(pid)) FROM pg_locks WHERE NOT granted LIMIT 500)
"""


class LocksParams(Params):
    """`wait_limit`: from when on a wait is long."""

    url: PostgresUrl
    wait_limit: Duration = timedelta(seconds=30)


class PostgresLocksProbe:
    """Reads pg_locks, and who blocks whom."""

    Params: ClassVar[type[Params]] = LocksParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "waiting": MeasureInfo(Unit.COUNT, "sessions waiting for a lock"),
        "longest_wait": MeasureInfo(Unit.SECONDS, "how long the worst of them has waited; 0 without one"),
        "long_waits": MeasureInfo(Unit.COUNT, "those of them longer than `wait_limit`"),
        "blockers": MeasureInfo(Unit.COUNT, "sessions that others wait for and that wait for nobody"),
        "held": MeasureInfo(Unit.COUNT, "locks held"),
        "access_exclusive": MeasureInfo(Unit.COUNT, "tables and indexes locked against reading, too"),
        "advisory": MeasureInfo(Unit.COUNT, "advisory locks held"),
        "table_ratio": MeasureInfo(Unit.RATIO, "how full the table of locks is"),
        "deadlocks": MeasureInfo(Unit.COUNT, "deadlocks broken since the statistics began"),
    }

    def measures_for(self, params: LocksParams) -> Mapping[str, MeasureInfo] | None:
        return self.measures

    def grants(self, params: LocksParams) -> Grants:
        """What its role must be granted."""
        return needs(params.url, STATS)

    async def run(self, params: LocksParams, context: ProbeContext) -> Observation:
        (locks,), waiting, blockers = await answers(context, params.url, _LOCKS, _WAITING, _BLOCKERS)
        if locks["hidden"]:
            raise forbidden(f"what {locks['hidden']} sessions do is", locks["role"])
        waits = [float(row["waits"] or 0) for row in waiting]
        stuck = {row["pid"] for row in waiting}
        roots = [row for row in blockers if row["pid"] not in stuck]
        values = {name: value for name, value in locks.items() if name in self.measures}
        values |= {
            "waiting": len(stuck),
            "longest_wait": max(waits, default=0.0),
            "long_waits": sum(wait > params.wait_limit.total_seconds() for wait in waits),
            "blockers": len(roots),
        }
        text = "\n".join(_lines(roots, waiting))[: context.limits.max_evidence_chars]
        return Observation(measured(self.measures, values), (Evidence("who waits for whom", text),) if text else ())


def _lines(roots: list[Row], waiting: list[Row]) -> Iterable[str]:
    """The sessions that block most, and those that have waited longest."""
    blocked = Counter(pid for row in waiting for pid in set(row["blockers"]))
    for row in sorted(roots, key=lambda row: -blocked[row["pid"]])[:_SHOWN]:
        yield (
            f"pid {row['pid']} {row['usename']}@{row['datname']} blocks {blocked[row['pid']]}: {row['state']}, "
            f"transaction {ago(row['transaction_age'])} old: {shown_query(row['query'])}"
        )
    for row in waiting[:_SHOWN]:
        of = f" on {row['relname']}" if row["relname"] else f" ({row['locktype']})"
        yield (
            f"pid {row['pid']} {row['usename']}@{row['datname']} waits {ago(row['waits'])} for {row['mode']}{of}, "
            f"blocked by {', '.join(str(pid) for pid in row['blockers']) or 'nobody now'}: {shown_query(row['query'])}"
        )
