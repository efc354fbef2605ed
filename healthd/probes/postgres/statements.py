"""What queries cost, from pg_stat_statements: means, estimated percentiles, how many are slow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit, format_duration
from healthd.probes.base import (
    Duration,
    Evidence,
    MeasureInfo,
    Observation,
    OneOrMany,
    Params,
    ProbeContext,
    ProbeError,
)
from healthd.probes.measured import measured
from healthd.probes.postgres.dsn import PostgresUrl
from healthd.probes.postgres.durations import Executions, over, percentile
from healthd.probes.postgres.globs import like, one_of
from healthd.probes.postgres.grants import STATS, Grants, needs
from healthd.probes.postgres.rows import SEES_ALL, Row, answer, answers
from healthd.probes.postgres.shown import shown_query
from healthd.probes.sampling import Sample, SampleTime, sampled

__all__ = ["PostgresStatementsProbe"]

_ONE_BY_ONE = 5000  # statements read one by one, those with the most time; the others are one row
_SHAPES = 500  # statements with a share of their own in the estimates
_OTHERS = "(others)"

# Columns changed their names in version 1.8 of the extension; the information about it came in 1.9.
_EXTENSION = """
SELECT current_database() AS database, quote_ident(n.nspname) AS schema,
       to_regclass(quote_ident(n.nspname) || '.pg_stat_statements_info') IS NOT NULL AS info,
       EXISTS (SELECT FROM pg_attribute AS a WHERE a.attname = 'total_exec_time' AND a.attrelid
               = to_regclass(quote_ident(n.nspname) || '.pg_stat_statements')) AS exec_time
  FROM (SELECT) AS one
  LEFT JOIN pg_extension AS e ON e.extname = 'pg_stat_statements'
  LEFT JOIN pg_namespace AS n ON n.oid = e.extnamespace
"""
_STATEMENTS = """
WITH chosen AS (
  SELECT concat_ws('/', s.userid, s.dbid, s.queryid) AS key, s.calls, s.total_{time} / 1000 AS total,
         s.calls * (s.stddev_{time} ^ 2 + s.mean_{time} ^ 2) / 1e6 AS squares, s.min_{time} / 1000 AS shortest,
         s.max_{time} / 1000 AS longest, s.shared_blks_hit AS hits, s.shared_blks_read AS reads
    FROM {schema}.pg_stat_statements AS s
    LEFT JOIN pg_database AS d ON d.oid = s.dbid
    LEFT JOIN pg_roles AS r ON r.oid = s.userid
   WHERE s.calls > 0 AND {filter}
), ranked AS (
  SELECT *, row_number() OVER (ORDER BY total DESC) <= {one_by_one} AS alone FROM chosen
)
SELECT CASE WHEN alone THEN key ELSE '{others}' END AS key, count(DISTINCT key) AS statements, sum(calls) AS calls,
       sum(total) AS total, sum(squares) AS squares, min(shortest) AS shortest, max(longest) AS longest,
       sum(hits) AS hits, sum(reads) AS reads
  FROM ranked GROUP BY 1
"""
_FILTER = " AND ".join(
    (
        "(cardinality(%(databases)s::text[]) > 0 OR d.datname = current_database())",
        one_of("d.datname", wanted="databases", unwanted="none"),
        one_of("r.rolname", wanted="users", unwanted="none"),
        one_of("s.query", wanted="none", unwanted="exclude"),
    )
)
_INFO = """
SELECT dealloc AS deallocated, extract(epoch FROM clock_timestamp() - stats_reset) AS reset_age
  FROM {schema}.pg_stat_statements_info
"""
_NO_INFO = "SELECT NULL::bigint AS deallocated, NULL::float AS reset_age"
_TEXTS = """
SELECT concat_ws('/', s.userid, s.dbid, s.queryid) AS key, min(left(s.query, 2000)) AS query
  FROM {schema}.pg_stat_statements AS s
 WHERE concat_ws('/', s.userid, s.dbid, s.queryid) = ANY (%(keys)s) GROUP BY 1
"""


class StatementsParams(Params):
    """Which statements, and from when on one is `slow`.

    `databases` (the connected one by default) and `users` are globs, `exclude` globs on the statement's text.
    `min_calls`: statements executed less often do not count as slow. `sample`: look twice, this far apart, and
    measure only what was executed in between. `show`: how many of the slowest are kept as evidence.
    """

    url: PostgresUrl
    slow: Duration = timedelta(seconds=1)
    databases: OneOrMany = ()
    users: OneOrMany = ()
    exclude: OneOrMany = ()
    min_calls: int = Field(1, ge=1)
    sample: SampleTime | None = None
    show: int = Field(5, ge=0, le=20)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The statements by key, and what the extension says about itself."""

    statements: Mapping[str, Row]
    info: Row
    hidden: bool
    schema: str


class PostgresStatementsProbe:
    """Reads pg_stat_statements once, or twice with `sample`."""

    Params: ClassVar[type[Params]] = StatementsParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "statements": MeasureInfo(Unit.COUNT, "different statements"),
        "calls": MeasureInfo(Unit.COUNT, "executions"),
        "calls_per_second": MeasureInfo(Unit.PER_SECOND, "executions per second"),
        "mean_time": MeasureInfo(Unit.SECONDS, "mean of all executions"),
        "p50_time": MeasureInfo(Unit.SECONDS, "estimated median of all executions"),
        "p95_time": MeasureInfo(Unit.SECONDS, "estimated 95th percentile of all executions"),
        "p99_time": MeasureInfo(Unit.SECONDS, "estimated 99th percentile of all executions"),
        "max_time": MeasureInfo(Unit.SECONDS, "the longest execution; not with `sample`"),
        "slowest_mean": MeasureInfo(Unit.SECONDS, "mean of the statement that is slowest on average"),
        "slow_statements": MeasureInfo(Unit.COUNT, "statements whose mean is over `slow`"),
        "slow_calls": MeasureInfo(Unit.COUNT, "estimated executions over `slow`"),
        "slow_calls_per_second": MeasureInfo(Unit.PER_SECOND, "the same per second"),
        "hit_ratio": MeasureInfo(Unit.RATIO, "blocks found in shared memory; absent when none were read"),
        "reset_age": MeasureInfo(Unit.SECONDS, "since the statistics were reset (PostgreSQL 14 and later)"),
        "deallocated": MeasureInfo(Unit.COUNT, "times statements were forgotten for want of room (14 and later)"),
    }

    def measures_for(self, params: StatementsParams) -> Mapping[str, MeasureInfo] | None:
        return {name: about for name, about in self.measures.items() if not (params.sample and name == "max_time")}

    def grants(self, params: StatementsParams) -> Grants:
        """What its role must be granted."""
        return needs(params.url, STATS)

    async def run(self, params: StatementsParams, context: ProbeContext) -> Observation:
        if params.sample is None:
            last = await _read(params, context)
            rows, seconds = last.statements, last.info["reset_age"]
        else:
            sample = await sampled(context, params.sample, lambda each: _read(params, each))
            last, rows, seconds = sample.after, _between(sample), sample.seconds
        values = _values(rows, params, float(seconds) if seconds else None)
        values |= {"max_time": None} if params.sample else {}
        slowest = sorted((r for r in rows.values() if _counts(r, params)), key=_mean, reverse=True)[: params.show]
        evidence = await _evidence(params, context, last.schema, slowest)
        note = "the texts of other users' statements are hidden: GRANT pg_monitor to this role" if last.hidden else ""
        return Observation(measured(self.measures, {**values, **last.info}), evidence, note)


async def _read(params: StatementsParams, context: ProbeContext) -> _Reading:
    (extension,) = await answer(context, params.url, _EXTENSION)
    schema = extension["schema"]
    if schema is None:
        raise ProbeError(
            f"pg_stat_statements is not in database {extension['database']!r}: add it to shared_preload_libraries, "
            "restart the server, and CREATE EXTENSION pg_stat_statements",
            "missing",
        )
    time = "exec_time" if extension["exec_time"] else "time"
    words = {"schema": schema, "time": time, "filter": _FILTER, "one_by_one": _ONE_BY_ONE, "others": _OTHERS}
    globs = {name: like(getattr(params, name)) for name in ("databases", "users", "exclude")}
    rows, (info,), (role,) = await answers(
        context,
        params.url,
        _STATEMENTS.format_map(words),
        (_INFO if extension["info"] else _NO_INFO).format_map(words),
        f"SELECT NOT {SEES_ALL} AS hidden",
        params={**globs, "none": []},
    )
    return _Reading({row["key"]: row for row in rows}, info, role["hidden"], schema)


def _between(sample: Sample[_Reading]) -> dict[str, Row]:
    """What was executed between the two readings. A statement with fewer calls than before was reset: all count."""
    found = {}
    for key, row in sample.after.statements.items():
        before = sample.before.statements.get(key)
        if before is None or before["calls"] > row["calls"]:
            found[key] = row
        elif row["calls"] > before["calls"]:
            sums = ("calls", "total", "squares", "hits", "reads")
            found[key] = row | {name: row[name] - before[name] for name in sums}
    return found


def _values(rows: Mapping[str, Row], params: StatementsParams, seconds: float | None) -> dict[str, Any]:
    calls, total, hits, reads = (
        float(sum(r[name] for r in rows.values())) for name in ("calls", "total", "hits", "reads")
    )
    executions = list(_executions(rows.values()))
    slow = params.slow.total_seconds()
    means = [_mean(row) for row in rows.values() if _counts(row, params)]
    slow_calls = over(executions, slow)
    return {
        "statements": sum(row["statements"] for row in rows.values()),
        "calls": calls,
        "calls_per_second": calls / seconds if seconds else None,
        "mean_time": total / calls if calls else None,
        "p50_time": percentile(executions, 0.5),
        "p95_time": percentile(executions, 0.95),
        "p99_time": percentile(executions, 0.99),
        "max_time": max((row["longest"] for row in rows.values()), default=None),
        "slowest_mean": max(means, default=None),
        "slow_statements": sum(mean > slow for mean in means),
        "slow_calls": slow_calls,
        "slow_calls_per_second": slow_calls / seconds if seconds else None,
        "hit_ratio": hits / (hits + reads) if hits + reads else None,
    }


def _executions(rows: Iterable[Row]) -> Iterable[Executions]:
    """One for each statement; those with little time share one, which changes the estimates little."""
    ordered = sorted(rows, key=lambda row: float(row["total"]), reverse=True)
    for row in ordered[:_SHAPES]:
        yield _execution([row])
    if rest := ordered[_SHAPES:]:
        yield _execution(rest)


def _execution(rows: list[Row]) -> Executions:
    calls, total, squares = (float(sum(row[name] for row in rows)) for name in ("calls", "total", "squares"))
    return Executions(calls, total, squares, min(r["shortest"] for r in rows), max(r["longest"] for r in rows))


def _counts(row: Row, params: StatementsParams) -> bool:
    return bool(row["key"] != _OTHERS and row["calls"] >= params.min_calls)


def _mean(row: Row) -> float:
    return float(row["total"]) / float(row["calls"])


async def _evidence(
    params: StatementsParams, context: ProbeContext, schema: str, slowest: list[Row]
) -> tuple[Evidence, ...]:
    if not slowest:
        return ()
    keys = {"keys": [row["key"] for row in slowest]}
    texts = await answer(context, params.url, _TEXTS.format(schema=schema), keys)
    by_key = {row["key"]: row["query"] for row in texts}
    lines = (
        f"mean {format_duration(_mean(row))}, {row['calls']:.0f} calls: {shown_query(by_key.get(row['key']))}"
        for row in slowest
    )
    return (Evidence("slowest statements on average", "\n".join(lines)[: context.limits.max_evidence_chars]),)
