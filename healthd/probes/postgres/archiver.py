"""Whether the write-ahead log reaches its archive: what a point-in-time recovery depends on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import Evidence, MeasureInfo, Observation, Params, ProbeContext
from healthd.probes.measured import measured
from healthd.probes.postgres.dsn import PostgresUrl
from healthd.probes.postgres.grants import MONITOR, Grants, needs
from healthd.probes.postgres.rows import Row, answer

__all__ = ["PostgresArchiverProbe"]

_ARCHIVER = """
SELECT current_setting('archive_mode') AS mode, current_user AS role, pg_is_in_recovery() AS standby,
       archived_count AS archived, failed_count AS failed, last_archived_wal, last_failed_wal,
       extract(epoch FROM clock_timestamp() - last_archived_time) AS last_archived_age,
       extract(epoch FROM clock_timestamp() - last_failed_time) AS last_failed_age,
       last_failed_time > coalesce(last_archived_time, '-infinity') AS failing,
       has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE') AS lists
  FROM pg_stat_archiver
"""
_WAITING = "SELECT count(*) AS waiting FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"


class ArchiverParams(Params):
    """`url` as for the probe `postgres`."""

    url: PostgresUrl


class PostgresArchiverProbe:
    """Reads pg_stat_archiver, and counts the segments that wait to be archived."""

    Params: ClassVar[type[Params]] = ArchiverParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "archive_mode": MeasureInfo(Unit.TEXT, "off, on or always"),
        "archived": MeasureInfo(Unit.COUNT, "segments archived since the statistics began"),
        "last_archived_age": MeasureInfo(Unit.SECONDS, "since a segment was last archived; absent before the first"),
        "failed": MeasureInfo(Unit.COUNT, "attempts that failed since the statistics began"),
        "last_failed_age": MeasureInfo(Unit.SECONDS, "since an attempt last failed; absent when none did"),
        "failing": MeasureInfo(Unit.COUNT, "1 when the last attempt failed, otherwise 0"),
        "waiting": MeasureInfo(Unit.COUNT, "segments that wait to be archived"),
    }

    def measures_for(self, params: ArchiverParams) -> Mapping[str, MeasureInfo] | None:
        return self.measures

    def grants(self, params: ArchiverParams) -> Grants:
        """What its role must be granted."""
        return needs(params.url, MONITOR)

    async def run(self, params: ArchiverParams, context: ProbeContext) -> Observation:
        (row,) = await answer(context, params.url, _ARCHIVER)
        waiting = (await answer(context, params.url, _WAITING))[0]["waiting"] if row["lists"] else None
        values = {name: row[name] for name in ("archived", "last_archived_age", "failed", "last_failed_age")}
        values |= {"archive_mode": row["mode"], "failing": int(row["failing"] or 0), "waiting": waiting}
        evidence = (Evidence("last failure", f"segment {row['last_failed_wal']}"),) if row["failing"] else ()
        return Observation(measured(self.measures, values), evidence, _note(row))


def _note(row: Row) -> str:
    if row["mode"] == "off":
        return "archive_mode is off: nothing is archived"
    if row["mode"] == "on" and row["standby"]:
        return "a standby archives nothing with archive_mode = on"
    return (
        "" if row["lists"] else f"what waits is hidden from the role {row['role']}: GRANT pg_monitor TO {row['role']}"
    )
