"""What sessions do: queries and transactions that last too long, and what keeps vacuum from its work."""

# ruff: noqa: S608 - statements put together from constants

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import Duration, Evidence, MeasureInfo, Observation, OneOrMany, Params, ProbeContext
from healthd.probes.measured import measured
from healthd.probes.postgres.dsn import PostgresUrl
from healthd.probes.postgres.globs import like, one_of
from healthd.probes.postgres.grants import STATS, Grants, needs
from healthd.probes.postgres.rows import Row, answers, forbidden
from healthd.probes.postgres.shown import ago, shown_query

__all__ = ["PostgresActivityProbe"]

_IDLE_IN_TRANSACTION = "state LIKE 'idle in transaction%%'"
_SESSIONS = f"""
WITH seen AS (
  SELECT pid, usename, datname, application_name, state, wait_event_type, left(query, 2000) AS query,
         extract(epoch FROM clock_timestamp() - query_start) AS query_age,
         extract(epoch FROM clock_timestamp() - xact_start) AS transaction_age,
         extract(epoch FROM clock_timestamp() - state_change) AS state_age
    FROM pg_stat_activity
   WHERE (backend_type = 'client backend' OR backend_type IS NULL AND usesysid IS NOT NULL AND datid IS NOT NULL)
     AND pid <> pg_backend_pid()
     AND {one_of("datname", wanted="databases", unwanted="none")}
     AND {one_of("usename", wanted="none", unwanted="exclude_users")}
     AND {one_of("application_name", wanted="none", unwanted="exclude_applications")}
)
"""
_COUNTS = f"""{_SESSIONS}
SELECT count(*) FILTER (WHERE query = '<insufficient privilege>') AS hidden, current_user AS role,
       count(*) FILTER (WHERE state = 'active') AS active,
       coalesce(max(query_age) FILTER (WHERE state = 'active'), 0) AS longest_query,
       count(*) FILTER (WHERE state = 'active' AND query_age > %(query_limit)s) AS long_queries,
       count(*) FILTER (WHERE {_IDLE_IN_TRANSACTION}) AS idle_in_transaction,
       coalesce(max(state_age) FILTER (WHERE {_IDLE_IN_TRANSACTION}), 0) AS longest_idle_in_transaction,
       count(*) FILTER (WHERE {_IDLE_IN_TRANSACTION} AND state_age > %(transaction_limit)s) AS long_idle_in_transaction,
       coalesce(max(transaction_age), 0) AS longest_transaction,
       count(*) FILTER (WHERE state = 'idle') AS idle,
       coalesce(max(state_age) FILTER (WHERE state = 'idle'), 0) AS longest_idle,
       count(*) FILTER (WHERE state = 'idle' AND state_age > %(idle_limit)s) AS long_idle,
       count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting
  FROM seen
"""
_LONGEST = f"""{_SESSIONS}
SELECT * FROM seen WHERE state <> 'idle' ORDER BY coalesce(transaction_age, query_age, 0) DESC LIMIT 8
"""
# What is no longer needed is kept for the oldest of these.
_HORIZON = """
SELECT (SELECT count(*) FROM pg_prepared_xacts) AS prepared,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - min(prepared)) FROM pg_prepared_xacts), 0)
         AS longest_prepared,
       coalesce(greatest(
         (SELECT max(greatest(age(backend_xmin), age(backend_xid))) FROM pg_stat_activity
           WHERE pid <> pg_backend_pid()),
         (SELECT max(age(transaction)) FROM pg_prepared_xacts),
         (SELECT max(greatest(age(xmin), age(catalog_xmin))) FROM pg_replication_slots)
       ), 0) AS xmin_age
"""
_FROZEN = f"""
SELECT datname AS name, age(datfrozenxid) AS xid_age,
       greatest(age(datfrozenxid), mxid_age(datminmxid)) / 2147483648.0 AS wraparound_ratio
  FROM pg_database WHERE {one_of("datname", wanted="databases", unwanted="none")} ORDER BY 3 DESC LIMIT 50
"""


class ActivityParams(Params):
    """Whose sessions (globs), and from when on something is long."""

    url: PostgresUrl
    databases: OneOrMany = ()
    exclude_users: OneOrMany = ()
    exclude_applications: OneOrMany = ()
    query_limit: Duration = timedelta(minutes=5)
    transaction_limit: Duration = timedelta(minutes=5)
    idle_limit: Duration = timedelta(minutes=30)


class PostgresActivityProbe:
    """Reads pg_stat_activity, prepared transactions and the age of the oldest frozen transactions."""

    Params: ClassVar[type[Params]] = ActivityParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "active": MeasureInfo(Unit.COUNT, "sessions running a query"),
        "longest_query": MeasureInfo(Unit.SECONDS, "age of the oldest running query; 0 without one"),
        "long_queries": MeasureInfo(Unit.COUNT, "queries running longer than `query_limit`"),
        "idle_in_transaction": MeasureInfo(Unit.COUNT, "sessions holding a transaction open without a query"),
        "longest_idle_in_transaction": MeasureInfo(Unit.SECONDS, "how long the worst of them has been"),
        "long_idle_in_transaction": MeasureInfo(Unit.COUNT, "those of them longer than `transaction_limit`"),
        "longest_transaction": MeasureInfo(Unit.SECONDS, "age of the oldest open transaction; 0 without one"),
        "idle": MeasureInfo(Unit.COUNT, "sessions waiting for their client"),
        "longest_idle": MeasureInfo(Unit.SECONDS, "how long the worst of them has been"),
        "long_idle": MeasureInfo(Unit.COUNT, "those of them longer than `idle_limit`"),
        "waiting": MeasureInfo(Unit.COUNT, "sessions waiting for a lock"),
        "prepared": MeasureInfo(Unit.COUNT, "prepared transactions (two-phase commit) not yet finished"),
        "longest_prepared": MeasureInfo(Unit.SECONDS, "age of the oldest of them; 0 without one"),
        "xmin_age": MeasureInfo(Unit.COUNT, "transactions since the oldest snapshot that vacuum has to respect"),
        "xid_age": MeasureInfo(Unit.COUNT, "transactions since the oldest unfrozen one; one series per database"),
        "wraparound_ratio": MeasureInfo(Unit.RATIO, "the same of 2^31: at 100% the server stops writing"),
    }

    def measures_for(self, params: ActivityParams) -> Mapping[str, MeasureInfo] | None:
        return self.measures

    def grants(self, params: ActivityParams) -> Grants:
        """What its role must be granted."""
        return needs(params.url, STATS)

    async def run(self, params: ActivityParams, context: ProbeContext) -> Observation:
        globs = ("databases", "exclude_users", "exclude_applications")
        limits = ("query_limit", "transaction_limit", "idle_limit")
        filters = {name: like(getattr(params, name)) for name in globs} | {"none": []}
        filters |= {name: getattr(params, name).total_seconds() for name in limits}
        (counts,), longest, (horizon,), frozen = await answers(
            context, params.url, _COUNTS, _LONGEST, _HORIZON, _FROZEN, params=filters
        )
        if counts["hidden"]:
            raise forbidden(f"what {counts['hidden']} sessions do is", counts["role"])
        found = measured(self.measures, {name: value for name, value in counts.items() if name in self.measures})
        found += measured(self.measures, horizon)
        for row in frozen:
            values = {"xid_age": row["xid_age"], "wraparound_ratio": row["wraparound_ratio"]}
            found += measured(self.measures, values, row["name"])
        return Observation(found, tuple(_evidence(longest, context.limits.max_evidence_chars)))


def _evidence(sessions: list[Row], limit: int) -> Iterable[Evidence]:
    if sessions:
        yield Evidence("longest transactions", "\n".join(_words(row) for row in sessions)[:limit])


def _words(row: Row) -> str:
    who = f"{row['usename']}@{row['datname']}" + (f" ({row['application_name']})" if row["application_name"] else "")
    since = f"{row['state']} for {ago(row['state_age'])}, transaction {ago(row['transaction_age'])} old"
    return f"pid {row['pid']} {who}: {since}: {shown_query(row['query'])}"
