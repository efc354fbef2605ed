"""Whether a Redis server takes a new client and answers PING."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import DOWN, MeasureInfo, Measurement, Observation, Params, ProbeContext, ProbeError
from healthd.probes.redis.address import RedisUrl
from healthd.probes.redis.client import Asker, look
from healthd.probes.redis.errors import UNREACHABLE
from healthd.probes.redis.info import field_value, info

__all__ = ["RedisProbe"]


class ServerParams(Params):
    """`url`: redis://user:password@host:6379/0, rediss:// for TLS, unix:///path for a socket."""

    url: RedisUrl


class RedisProbe:
    """Connects anew each time: only so are a full client table or a changed password noticed."""

    Params: ClassVar[type[Params]] = ServerParams
    defaults: ClassVar[tuple[Threshold, ...]] = (DOWN,)
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "up": MeasureInfo(Unit.COUNT, "1 when the server took a new client and answered PING, 0 when not"),
        "latency": MeasureInfo(Unit.SECONDS, "round trip of PING"),
        "connect_time": MeasureInfo(Unit.SECONDS, "from the name look-up to the end of the log-in"),
        "version": MeasureInfo(Unit.TEXT, "the server's version, such as 7.0.15"),
        "major_version": MeasureInfo(Unit.COUNT, "its first number, such as 7"),
        "role": MeasureInfo(Unit.TEXT, "master or slave"),
        "uptime": MeasureInfo(Unit.SECONDS, "since the server started"),
    }

    def measures_for(self, params: ServerParams) -> Mapping[str, MeasureInfo] | None:
        return self.measures

    async def run(self, params: ServerParams, context: ProbeContext) -> Observation:
        try:
            latency, connect_time = await look(context, params.url, _ping, fresh=True)
        except ProbeError as error:
            if error.kind not in UNREACHABLE:
                raise
            return Observation((Measurement("up", 0.0, Unit.COUNT),), note=error.reason)
        found = [
            Measurement("up", 1.0, Unit.COUNT),
            Measurement("latency", latency, Unit.SECONDS),
            Measurement("connect_time", connect_time, Unit.SECONDS),
        ]
        try:
            fields = await info(context, params.url)
        except ProbeError as error:
            return Observation(tuple(found), note=f"no INFO: {error.reason}")
        return Observation((*found, *_about(fields)))


async def _ping(asker: Asker) -> tuple[float, float]:
    started = time.perf_counter()
    await asker.ask("PING")
    return time.perf_counter() - started, asker.connect_time or 0.0


def _about(fields: Mapping[str, str]) -> list[Measurement]:
    version = fields.get("redis_version", "")
    found = [Measurement("version", version, Unit.TEXT)]
    if (major := version.partition(".")[0]).isdecimal():
        found.append(Measurement("major_version", float(major), Unit.COUNT))
    found += [Measurement("role", fields["role"], Unit.TEXT)] if "role" in fields else []
    uptime = field_value(fields, "uptime_in_seconds")
    return found + ([Measurement("uptime", uptime, Unit.SECONDS)] if uptime is not None else [])
