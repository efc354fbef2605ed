"""How many of a PostgreSQL server's connections are used, and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext, ProbeError
from healthd.probes.postgres.dsn import PostgresUrl
from healthd.probes.postgres.grants import STATS, Grants, needs
from healthd.probes.postgres.sessions import Session, look

__all__ = ["PostgresConnectionsProbe"]

# Sessions of other users are listed without state, and without backend type, to a role outside pg_monitor.
_SESSIONS = """
SELECT count(*) AS used,
       count(*) FILTER (WHERE state = 'active') AS active,
       count(*) FILTER (WHERE state = 'idle') AS idle,
       count(*) FILTER (WHERE state LIKE 'idle in transaction%%') AS idle_in_transaction,
       count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting,
       coalesce(extract(epoch FROM clock_timestamp() - min(xact_start)), 0) AS oldest_transaction,
       count(*) FILTER (WHERE query = '<insufficient privilege>') AS hidden
  FROM pg_stat_activity
 WHERE (backend_type = 'client backend' OR backend_type IS NULL AND usesysid IS NOT NULL AND datid IS NOT NULL)
   AND (%(database)s::text IS NULL OR datname = %(database)s::text)
"""
_LIMITS = """
SELECT current_setting('max_connections')::int,
       current_setting('superuser_reserved_connections')::int
       + coalesce(current_setting('reserved_connections', true)::int, 0),
       (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = %(database)s::text),
       %(database)s::text IS NULL OR EXISTS (SELECT FROM pg_database WHERE datname = %(database)s::text)
"""
_TOP = """
SELECT coalesce(usename, '?'), coalesce(nullif(application_name, ''), '(no application name)'), count(*)
  FROM pg_stat_activity
 WHERE (backend_type = 'client backend' OR backend_type IS NULL AND usesysid IS NOT NULL AND datid IS NOT NULL)
   AND (%(database)s::text IS NULL OR datname = %(database)s::text)
 GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 8
"""
_STATES = ("active", "idle", "idle_in_transaction", "waiting")


class ConnectionsParams(Params):
    """`url` as for the probe `postgres`; `database` counts the sessions of one database only."""

    url: PostgresUrl
    database: str | None = None


class PostgresConnectionsProbe:
    """Counts sessions against what ordinary users may open. Refused itself because none is left, it knows that much."""

    Params: ClassVar[type[Params]] = ConnectionsParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "used": MeasureInfo(Unit.COUNT, "client sessions, healthd's own included"),
        "max": MeasureInfo(Unit.COUNT, "max_connections, or the database's own limit when it has one"),
        "reserved": MeasureInfo(Unit.COUNT, "slots of max_connections kept for superusers and reserved roles"),
        "ratio": MeasureInfo(Unit.RATIO, "used / (max - reserved): at 100% ordinary users are refused"),
        "active": MeasureInfo(Unit.COUNT, "sessions running a query, healthd's own included"),
        "idle": MeasureInfo(Unit.COUNT, "sessions waiting for their client"),
        "idle_in_transaction": MeasureInfo(Unit.COUNT, "sessions holding a transaction open without a query"),
        "waiting": MeasureInfo(Unit.COUNT, "sessions waiting for a lock"),
        "oldest_transaction": MeasureInfo(Unit.SECONDS, "age of the oldest open transaction"),
    }

    def measures_for(self, params: ConnectionsParams) -> Mapping[str, MeasureInfo] | None:
        return self.measures

    def grants(self, params: ConnectionsParams) -> Grants:
        """What its role must be granted."""
        return needs(params.url, STATS)

    async def run(self, params: ConnectionsParams, context: ProbeContext) -> Observation:
        filters = {"database": params.database}

        async def ask(session: Session) -> tuple[dict[str, Any], tuple[Any, ...], list[tuple[Any, ...]]]:
            cursor = await session.connection.execute(_SESSIONS, filters)
            names = [column.name for column in cursor.description or ()]
            sessions = dict(zip(names, await cursor.fetchone() or (), strict=True))
            limits = await (await session.connection.execute(_LIMITS, filters)).fetchone()
            top = await (await session.connection.execute(_TOP, filters)).fetchall()
            return sessions, limits or (), top

        try:
            sessions, limits, top = await look(context, params.url, ask)
        except ProbeError as error:
            if error.kind != "exhausted":
                raise
            return Observation((Measurement("ratio", 1.0, Unit.RATIO),), note=error.reason)
        return _observation(params, sessions, limits, top)


def _observation(
    params: ConnectionsParams, sessions: dict[str, Any], limits: tuple[Any, ...], top: list[tuple[Any, ...]]
) -> Observation:
    maximum, reserved, database_limit, known = limits
    if not known:
        raise ProbeError(f"there is no database {params.database!r} on this server", "missing")
    if database_limit is not None:
        maximum, reserved = database_limit, 0
    numbers = {"used": sessions["used"], "max": maximum, "reserved": reserved}
    hidden = sessions["hidden"]
    if not hidden:
        numbers |= {name: sessions[name] for name in _STATES}
    measurements = [Measurement(name, float(value), Unit.COUNT) for name, value in numbers.items()]
    if maximum > reserved:
        measurements.append(Measurement("ratio", sessions["used"] / (maximum - reserved), Unit.RATIO))
    if not hidden:
        measurements.append(Measurement("oldest_transaction", float(sessions["oldest_transaction"]), Unit.SECONDS))
    text = "\n".join(f"{count:>5}  {user}  {application}" for user, application, count in top)
    note = f"the states of {hidden} sessions are hidden from this role: GRANT pg_monitor to it" if hidden else ""
    return Observation(tuple(measurements), (Evidence("most sessions by user and application", text),), note)
