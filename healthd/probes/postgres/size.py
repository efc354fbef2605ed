"""How much room databases and tables take."""

# ruff: noqa: S608 - statements put together from constants

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit, format_value
from healthd.probes.base import Evidence, MeasureInfo, Observation, OneOrMany, Params, ProbeContext, ProbeError
from healthd.probes.growth import GrowthTime, growth_of
from healthd.probes.measured import measured
from healthd.probes.postgres.dsn import PostgresUrl, parse_dsn
from healthd.probes.postgres.globs import like, one_of
from healthd.probes.postgres.grants import MONITOR, Grants, needs
from healthd.probes.postgres.rows import SEES_ALL, Row, answer, answers

__all__ = ["PostgresSizeProbe"]

_SERIES_MAX = 200
_DATABASES = f"""
SELECT datname AS name, current_user AS role,
       CASE WHEN {SEES_ALL} OR has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) END AS bytes
  FROM pg_database
 WHERE CASE WHEN cardinality(%(databases)s::text[]) = 0 THEN datname = current_database()
            ELSE NOT datistemplate AND {one_of("datname", wanted="databases", unwanted="none")} END
 ORDER BY 1 LIMIT {_SERIES_MAX}
"""
_TABLES = f"""
SELECT n.nspname || '.' || c.relname AS name, part.bytes, part.indexes, nullif(c.reltuples, -1) AS rows
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (
   SELECT sum(pg_total_relation_size(p.relid)) AS bytes, sum(pg_indexes_size(p.relid)) AS indexes
     FROM (SELECT c.oid AS relid WHERE c.relkind <> 'p' UNION ALL
           SELECT t.relid FROM pg_partition_tree(c.oid) AS t WHERE c.relkind = 'p') AS p) AS part
 WHERE c.relkind IN ('r', 'm', 'p') AND %(sized)s AND n.nspname !~ '^(pg_|information_schema$)'
   AND {one_of("n.nspname || '.' || c.relname", "c.relname", wanted="tables", unwanted="exclude")}
 ORDER BY c.relpages DESC, 1 LIMIT {_SERIES_MAX + 1}
"""
# By the server's own last count of pages: exact sizes would wait for tables that are locked.
_LARGEST = """
SELECT n.nspname || '.' || c.relname AS name, current_setting('block_size')::float * (
         c.relpages + coalesce(t.relpages, 0)
         + coalesce((SELECT sum(ic.relpages) FROM pg_index AS i JOIN pg_class AS ic ON ic.oid = i.indexrelid
                      WHERE i.indrelid IN (c.oid, t.oid)), 0)) AS bytes
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_class AS t ON t.oid = c.reltoastrelid
 WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND c.relpages > 0
 ORDER BY 2 DESC, 1 LIMIT 10
"""
_MAY_LIST = "SELECT has_function_privilege('pg_ls_waldir()', 'EXECUTE') AS may"
_WAL = "SELECT coalesce(sum(size), 0) AS bytes FROM pg_ls_waldir()"


class SizeParams(Params):
    """`databases`: those to measure (globs), each a series; the connected one by default.

    `tables`: tables of the connected database to measure (globs on `name` or `schema.name`), each a series.
    `growth_over`: how far back growth is told from.
    """

    url: PostgresUrl
    databases: OneOrMany = ()
    tables: OneOrMany = ()
    exclude: OneOrMany = ()
    growth_over: GrowthTime = timedelta(hours=24)


class PostgresSizeProbe:
    """Asks the server for sizes on its disk."""

    Params: ClassVar[type[Params]] = SizeParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "database_bytes": MeasureInfo(Unit.BYTES, "size of the database; one series for each of `databases`"),
        "total_bytes": MeasureInfo(Unit.BYTES, "all `databases` together"),
        "table_bytes": MeasureInfo(Unit.BYTES, "a table with its indexes and long values; one series per table"),
        "index_bytes": MeasureInfo(Unit.BYTES, "its indexes alone"),
        "database_growth_per_day": MeasureInfo(Unit.BYTES, "by how much it grows; absent until seen for a while"),
        "table_growth_per_day": MeasureInfo(Unit.BYTES, "likewise of each table"),
        "row_estimate": MeasureInfo(Unit.COUNT, "its rows, as the server last estimated them"),
        "largest_table_bytes": MeasureInfo(Unit.BYTES, "the largest table, as of the last vacuum or analyze"),
        "wal_bytes": MeasureInfo(Unit.BYTES, "the folder of the write-ahead log"),
    }

    def measures_for(self, params: SizeParams) -> Mapping[str, MeasureInfo] | None:
        only = {"table_bytes", "index_bytes", "row_estimate", "table_growth_per_day"} if not params.tables else set()
        return {name: about for name, about in self.measures.items() if name not in only}

    def grants(self, params: SizeParams) -> Grants:
        """What its role must be granted."""
        return needs(params.url, MONITOR)

    async def run(self, params: SizeParams, context: ProbeContext) -> Observation:
        asked: dict[str, Any] = {name: like(getattr(params, name)) for name in ("databases", "tables", "exclude")}
        asked |= {"none": [], "sized": bool(params.tables)}
        databases, tables, largest, (wal,) = await answers(
            context, params.url, _DATABASES, _TABLES, _LARGEST, _MAY_LIST, params=asked
        )
        self._check(params, databases, tables)
        known = [row["bytes"] for row in databases if row["bytes"] is not None]
        total = sum(known) if len(known) == len(databases) else None
        found = measured(self.measures, {"total_bytes": total})
        where = parse_dsn(params.url.get_secret_value()).label
        growth = await growth_of(("postgres", where), params.growth_over, context.resources)

        def per_day(name: str, size: float | None) -> float | None:
            return growth.per_day(name, context.now, float(size)) if size is not None else None

        for row in databases:
            size, grows = row["bytes"], per_day(row["name"], row["bytes"])
            values = {"database_bytes": size, "database_growth_per_day": grows}
            found += measured(self.measures, values, row["name"] if params.databases else "")
        for row in tables[:_SERIES_MAX]:
            values = {"table_bytes": row["bytes"], "index_bytes": row["indexes"], "row_estimate": row["rows"]}
            values["table_growth_per_day"] = per_day(f"table {row['name']}", row["bytes"])
            found += measured(self.measures, values, row["name"])
        largest_bytes = largest[0]["bytes"] if largest else 0
        wal_bytes = (await answer(context, params.url, _WAL))[0]["bytes"] if wal["may"] else None
        found += measured(self.measures, {"largest_table_bytes": largest_bytes, "wal_bytes": wal_bytes})
        return Observation(found, tuple(_evidence(largest)), "; ".join(_notes(databases, tables)))

    def _check(self, params: SizeParams, databases: list[Row], tables: list[Row]) -> None:
        if not databases:
            raise ProbeError(f"no database is called {' or '.join(params.databases)}", "missing")
        if params.tables and not tables:
            raise ProbeError(f"no table here is called {' or '.join(params.tables)}", "missing")


def _notes(databases: list[Row], tables: list[Row]) -> Iterable[str]:
    if hidden := [row for row in databases if row["bytes"] is None]:
        role = hidden[0]["role"]
        yield f"the size of {', '.join(row['name'] for row in hidden)} is hidden: GRANT pg_monitor TO {role}"
    if len(tables) > _SERIES_MAX:
        yield f"more than {_SERIES_MAX} tables fit: only the largest have a series"


def _evidence(largest: list[Row]) -> Iterable[Evidence]:
    if largest:
        lines = (f"{format_value(float(row['bytes']), Unit.BYTES):>9}  {row['name']}" for row in largest)
        yield Evidence("largest tables, as of their last vacuum or analyze", "\n".join(lines))
