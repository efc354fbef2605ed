"""How well tables are looked after: dead rows, vacuum and analyze, indexes. Waits for no lock."""

# ruff: noqa: S608 - statements put together from constants

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from pydantic import Field

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit, format_value
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, OneOrMany, Params, ProbeContext
from healthd.probes.measured import measured
from healthd.probes.postgres.dsn import PostgresUrl
from healthd.probes.postgres.globs import like, one_of
from healthd.probes.postgres.grants import READ_ALL, Grants, needs, to_read
from healthd.probes.postgres.relations import Relation
from healthd.probes.postgres.rows import Row, answers
from healthd.probes.postgres.shown import ago

__all__ = ["PostgresTablesProbe"]

_TABLES_MAX = 5000
_SERIES_MAX = 200
_SHOWN = 5
_CHOSEN = one_of("s.schemaname || '.' || s.relname", "s.relname", wanted="tables", unwanted="exclude")

# The estimate of a table without waste: its rows at their average widths, packed as the fill factor says.
_BLOAT = """
  SELECT c.oid AS relid,
         CASE WHEN count(*) = count(st.attname) AND c.relpages >= 8 AND c.reltuples > 0 THEN greatest(0, 1 - ceil(
           c.reltuples * (28 + ceil(sum((1 - st.null_frac) * st.avg_width) / 8) * 8) / ((
             current_setting('block_size')::float - 24) * coalesce((
               SELECT option_value::float FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor'
             ), 100) / 100)
         ) / c.relpages) END AS bloat_ratio,
         c.relpages * current_setting('block_size')::float AS heap_bytes
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_stats AS st
      ON st.schemaname = n.nspname AND st.tablename = c.relname AND st.attname = a.attname AND NOT st.inherited
   WHERE %(bloat)s AND c.relkind IN ('r', 'm') AND n.nspname <> 'pg_catalog'
   GROUP BY c.oid, c.relpages, c.reltuples, c.reloptions
"""
_TABLES = f"""
WITH bloat AS ({_BLOAT})
SELECT s.schemaname || '.' || s.relname AS name, s.n_live_tup AS live_rows, s.n_dead_tup AS dead_rows,
       s.n_dead_tup / nullif(s.n_live_tup + s.n_dead_tup, 0)::float AS dead_ratio,
       extract(epoch FROM clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum)) AS vacuum_age,
       extract(epoch FROM clock_timestamp() - greatest(s.last_analyze, s.last_autoanalyze)) AS analyze_age,
       s.n_mod_since_analyze / greatest(s.n_live_tup, 1)::float AS changed_ratio,
       s.idx_scan / nullif(s.idx_scan + s.seq_scan, 0)::float AS index_use_ratio,
       io.heap_blks_hit / nullif(io.heap_blks_hit + io.heap_blks_read, 0)::float AS hit_ratio,
       coalesce(c.reloptions::text ~ 'autovacuum_enabled=(false|off|0|no)', false)::int AS autovacuum_off,
       b.bloat_ratio, b.bloat_ratio * b.heap_bytes AS bloat_bytes
  FROM pg_stat_user_tables AS s
  JOIN pg_class AS c ON c.oid = s.relid
  LEFT JOIN pg_statio_user_tables AS io ON io.relid = s.relid
  LEFT JOIN bloat AS b ON b.relid = s.relid
 WHERE c.relpersistence <> 't' AND s.schemaname !~ '^pg_toast' AND {_CHOSEN}
 ORDER BY s.n_live_tup + s.n_dead_tup DESC, 1 LIMIT {_TABLES_MAX + 1}
"""
_INDEXES = f"""
SELECT s.schemaname || '.' || s.indexrelname AS name, NOT i.indisvalid AS invalid,
       s.idx_scan = 0 AND i.indisvalid AND NOT i.indisunique AND NOT i.indisexclusion AS unused,
       c.relpages * current_setting('block_size')::bigint AS bytes
  FROM pg_stat_user_indexes AS s
  JOIN pg_index AS i ON i.indexrelid = s.indexrelid
  JOIN pg_class AS c ON c.oid = s.indexrelid
 WHERE c.relpersistence <> 't' AND (NOT i.indisvalid OR s.idx_scan = 0) AND {_CHOSEN}
 ORDER BY c.relpages DESC, 1 LIMIT {_TABLES_MAX}
"""
_SERVER = "SELECT pg_is_in_recovery() AS standby"


class TablesParams(Params):
    """Which tables (globs on `name` or `schema.name`), and how many rows one needs to be judged.

    `per_table`: a series for each table instead of sums and the worst. `bloat`: also estimate wasted space.
    """

    url: PostgresUrl
    tables: OneOrMany = ()
    exclude: OneOrMany = ()
    min_rows: int = Field(1000, ge=0)
    per_table: bool = False
    bloat: bool = False


# How each measure of a table becomes one of all tables.
_TOGETHER: dict[str, Callable[[Iterable[float]], float]] = {
    "live_rows": sum,
    "dead_rows": sum,
    "dead_ratio": max,
    "vacuum_age": max,
    "never_vacuumed": sum,
    "analyze_age": max,
    "never_analyzed": sum,
    "changed_ratio": max,
    "autovacuum_off": sum,
    "index_use_ratio": min,
    "hit_ratio": min,
    "bloat_ratio": max,
    "bloat_bytes": sum,
}


class PostgresTablesProbe:
    """Reads the statistics of the connected database's own tables and indexes."""

    Params: ClassVar[type[Params]] = TablesParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "tables": MeasureInfo(Unit.COUNT, "tables that fit and have at least `min_rows` rows"),
        "live_rows": MeasureInfo(Unit.COUNT, "rows, as estimated by the server; of all tables together"),
        "dead_rows": MeasureInfo(Unit.COUNT, "rows waiting for vacuum; of all tables together"),
        "dead_ratio": MeasureInfo(Unit.RATIO, "dead_rows / (live_rows + dead_rows) of the worst table"),
        "vacuum_age": MeasureInfo(Unit.SECONDS, "since the last (auto)vacuum, of the worst table that ever had one"),
        "never_vacuumed": MeasureInfo(Unit.COUNT, "tables that never were"),
        "analyze_age": MeasureInfo(Unit.SECONDS, "since the last (auto)analyze, of the worst that ever had one"),
        "never_analyzed": MeasureInfo(Unit.COUNT, "tables that never were"),
        "changed_ratio": MeasureInfo(Unit.RATIO, "rows changed since the last analyze / live_rows, of the worst"),
        "autovacuum_off": MeasureInfo(Unit.COUNT, "tables with autovacuum switched off"),
        "index_use_ratio": MeasureInfo(Unit.RATIO, "index scans / all scans of the worst table that has indexes"),
        "hit_ratio": MeasureInfo(Unit.RATIO, "blocks found in shared memory, of the worst table"),
        "bloat_ratio": MeasureInfo(Unit.RATIO, "estimated share of wasted space of the worst; with `bloat`"),
        "bloat_bytes": MeasureInfo(Unit.BYTES, "estimated wasted space of all tables together; with `bloat`"),
        "unused_indexes": MeasureInfo(Unit.COUNT, "indexes never scanned, those that keep rows unique left out"),
        "unused_index_bytes": MeasureInfo(Unit.BYTES, "their size"),
        "invalid_indexes": MeasureInfo(Unit.COUNT, "indexes left invalid, by an attempt to build them that failed"),
    }

    def measures_for(self, params: TablesParams) -> Mapping[str, MeasureInfo] | None:
        return {name: about for name, about in self.measures.items() if params.bloat or "bloat" not in name}

    def grants(self, params: TablesParams) -> Grants:
        """What its role must be granted."""
        if not params.bloat:
            return needs(params.url)
        # pg_stats tells widths of columns to those only who may read them
        named = [_relation(table) for table in params.tables if not set(table) & set("*?[")]
        if len(named) < len(params.tables) or not named:
            return needs(params.url, READ_ALL)
        return needs(params.url, *to_read(params.url, named))

    async def run(self, params: TablesParams, context: ProbeContext) -> Observation:
        asked: dict[str, Any] = {"tables": like(params.tables), "exclude": like(params.exclude), "bloat": params.bloat}
        rows, indexes, (server,) = await answers(context, params.url, _TABLES, _INDEXES, _SERVER, params=asked)
        judged = [_with_counts(row) for row in rows if row["live_rows"] + row["dead_rows"] >= params.min_rows]
        found = measured(self.measures, {"tables": len(judged), **_index_values(indexes)})
        if params.per_table:
            for row in judged[:_SERIES_MAX]:
                found += measured(self.measures, {name: row[name] for name in _TOGETHER}, row["name"])
        else:
            found += self._together(judged)
        evidence = tuple(_evidence(judged, indexes, context.limits.max_evidence_chars))
        return Observation(found, evidence, _note(params, server["standby"], len(rows), len(judged)))

    def _together(self, judged: list[Row]) -> tuple[Measurement, ...]:
        values: dict[str, float | None] = {}
        for name, combine in _TOGETHER.items():
            known = [float(row[name]) for row in judged if row[name] is not None]
            values[name] = combine(known) if known or combine is sum else None
        if not any(row["bloat_ratio"] is not None for row in judged):
            values["bloat_bytes"] = None
        return measured(self.measures, values)


def _with_counts(row: Row) -> Row:
    never = {"never_vacuumed": row["vacuum_age"] is None, "never_analyzed": row["analyze_age"] is None}
    return {**row, **never}


def _index_values(indexes: list[Row]) -> dict[str, float]:
    unused = [row for row in indexes if row["unused"]]
    return {
        "unused_indexes": len(unused),
        "unused_index_bytes": float(sum(row["bytes"] for row in unused)),
        "invalid_indexes": sum(row["invalid"] for row in indexes),
    }


def _note(params: TablesParams, standby: bool, there: int, judged: int) -> str:
    if standby:
        return "a standby has statistics of its own, without vacuum and analyze: ask the primary"
    if there > _TABLES_MAX:
        return f"more than {_TABLES_MAX} tables: the smallest were left out"
    if params.per_table and judged > _SERIES_MAX:
        return f"{judged} tables: only the {_SERIES_MAX} with the most rows have a series"
    return ""


def _evidence(judged: list[Row], indexes: list[Row], limit: int) -> Iterable[Evidence]:
    dirty = sorted((row for row in judged if row["dead_ratio"]), key=lambda row: -row["dead_ratio"])[:_SHOWN]
    if dirty:
        yield Evidence("most dead rows", "\n".join(map(_dead_words, dirty))[:limit])
    stale = sorted(judged, key=lambda row: -(row["vacuum_age"] or float("inf")))[:_SHOWN]
    if stale:
        yield Evidence("longest without vacuum", "\n".join(map(_vacuum_words, stale))[:limit])
    scanned = sorted((r for r in judged if r["index_use_ratio"] is not None), key=lambda r: r["index_use_ratio"])
    if scanned:
        lines = (f"{r['name']}: {r['index_use_ratio']:.1%} of scans by index" for r in scanned[:_SHOWN])
        yield Evidence("least use of indexes", "\n".join(lines)[:limit])
    if indexes:
        yield Evidence("indexes without use", "\n".join(map(_index_words, indexes[:_SHOWN]))[:limit])


def _dead_words(row: Row) -> str:
    return f"{row['name']}: {row['dead_ratio']:.1%} dead, {row['dead_rows']} of {row['live_rows'] + row['dead_rows']}"


def _vacuum_words(row: Row) -> str:
    return f"{row['name']}: since vacuum {ago(row['vacuum_age'])}, since analyze {ago(row['analyze_age'])}"


def _index_words(row: Row) -> str:
    return (
        f"{row['name']}: {format_value(float(row['bytes']), Unit.BYTES)}, {'invalid' if row['invalid'] else 'unused'}"
    )


def _relation(table: str) -> Relation:
    schema, _, name = table.rpartition(".")
    return Relation(schema, name)
