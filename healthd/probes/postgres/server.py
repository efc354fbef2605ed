"""Whether a PostgreSQL server takes a new session and answers a query."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import DOWN, MeasureInfo, Measurement, Observation, Params, ProbeContext, ProbeError
from healthd.probes.postgres.dsn import PostgresUrl
from healthd.probes.postgres.errors import UNREACHABLE
from healthd.probes.postgres.grants import Grants, needs
from healthd.probes.postgres.sessions import Session, look

__all__ = ["PostgresProbe"]


class ServerParams(Params):
    """`url`: postgresql://user:password@host:5432/database, or key=value words."""

    url: PostgresUrl


class PostgresProbe:
    """Connects anew each time: only so are a full connection table or a changed password noticed."""

    Params: ClassVar[type[Params]] = ServerParams
    defaults: ClassVar[tuple[Threshold, ...]] = (DOWN,)
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "up": MeasureInfo(Unit.COUNT, "1 when the server took a new session and answered, 0 when not"),
        "latency": MeasureInfo(Unit.SECONDS, "round trip of SELECT 1"),
        "connect_time": MeasureInfo(Unit.SECONDS, "from the name look-up to the end of the log-in"),
        "version": MeasureInfo(None, "server_version_num, such as 150004 for 15.4"),
        "in_recovery": MeasureInfo(Unit.COUNT, "1 on a standby (or during recovery), 0 on a primary"),
        "uptime": MeasureInfo(Unit.SECONDS, "since the server started"),
    }

    def measures_for(self, params: ServerParams) -> Mapping[str, MeasureInfo] | None:
        return self.measures

    def grants(self, params: ServerParams) -> Grants:
        """What its role must be granted."""
        return needs(params.url)

    async def run(self, params: ServerParams, context: ProbeContext) -> Observation:
        try:
            return Observation(await look(context, params.url, _ask, fresh=True))
        except ProbeError as error:
            if error.kind not in UNREACHABLE:
                raise
            return Observation((Measurement("up", 0.0, Unit.COUNT),), note=error.reason)


async def _ask(session: Session) -> tuple[Measurement, ...]:
    connection = session.connection
    started = time.perf_counter()
    await connection.execute("SELECT 1")
    latency = time.perf_counter() - started
    cursor = await connection.execute(
        "SELECT pg_is_in_recovery()::int, extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float"
    )
    in_recovery, uptime = await cursor.fetchone() or (None, None)
    found = (
        ("up", 1.0, Unit.COUNT),
        ("latency", latency, Unit.SECONDS),
        ("connect_time", session.connect_time, Unit.SECONDS),
        ("version", float(connection.info.server_version), None),
        ("in_recovery", in_recovery, Unit.COUNT),
        ("uptime", uptime, Unit.SECONDS),
    )
    return tuple(Measurement(name, float(value), unit) for name, value, unit in found if value is not None)
