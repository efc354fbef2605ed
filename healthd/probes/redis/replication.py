"""Whether Redis replicas follow their primary: seen from the primary, or from a replica."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit, format_value
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext
from healthd.probes.measured import measured
from healthd.probes.redis.address import RedisUrl
from healthd.probes.redis.info import info, number

__all__ = ["RedisReplicationProbe"]

_MAX = 200  # replicas with a series


class ReplicationParams(Params):
    """`primary`: the primary's URL, asked as well when `url` is a replica: only so is the lag known in bytes."""

    url: RedisUrl
    primary: RedisUrl | None = None


class RedisReplicationProbe:
    """Reads the replication section of INFO, of one server or of both ends."""

    Params: ClassVar[type[Params]] = ReplicationParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "role": MeasureInfo(Unit.TEXT, "primary or replica"),
        "connected_replicas": MeasureInfo(Unit.COUNT, "replicas connected to this server"),
        "online_replicas": MeasureInfo(Unit.COUNT, "those of them that are in step, not copying everything"),
        "lag_bytes": MeasureInfo(Unit.BYTES, "what a replica has not received yet; one series per replica"),
        "lag_seconds": MeasureInfo(Unit.SECONDS, "since a replica last acknowledged; one series per replica"),
        "link_up": MeasureInfo(Unit.COUNT, "on a replica: 1 when it is connected to its primary"),
        "link_down_seconds": MeasureInfo(Unit.SECONDS, "on a replica: how long the link has been down; 0 when up"),
        "last_io_age": MeasureInfo(Unit.SECONDS, "on a replica: since it last heard of its primary"),
        "syncing": MeasureInfo(Unit.COUNT, "on a replica: 1 while it copies everything"),
        "read_only": MeasureInfo(Unit.COUNT, "on a replica: 1 when it takes no writes"),
    }

    def measures_for(self, params: ReplicationParams) -> Mapping[str, MeasureInfo] | None:
        return self.measures

    async def run(self, params: ReplicationParams, context: ProbeContext) -> Observation:
        fields = await info(context, params.url)
        is_replica = fields.get("role") == "slave"
        found = [Measurement("role", "replica" if is_replica else "primary", Unit.TEXT)]
        replicas = list(_replicas(fields))
        online = sum(replica["state"] == "online" for _, replica in replicas)
        counts = {"connected_replicas": number(fields, "connected_slaves"), "online_replicas": online}
        found += measured(self.measures, counts)
        for series, replica in replicas[:_MAX]:
            values = {"lag_bytes": _behind(fields, replica), "lag_seconds": number(replica, "lag")}
            found += measured(self.measures, values, series)
        if is_replica:
            found += measured(self.measures, _link(fields))
            if params.primary is not None:
                found += measured(self.measures, {"lag_bytes": await self._lag(params.primary, fields, context)}, "own")
        evidence = (Evidence("replicas", "\n".join(_lines(fields, replicas))),) if replicas else ()
        return Observation(tuple(found), evidence, _note(fields) if is_replica else "")

    async def _lag(self, primary: RedisUrl, fields: Mapping[str, str], context: ProbeContext) -> float | None:
        there = await info(context, primary)
        ahead, here = number(there, "master_repl_offset"), number(fields, "slave_repl_offset")
        return None if ahead is None or here is None else max(0.0, ahead - here)


def _replicas(fields: Mapping[str, str]) -> Iterable[tuple[str, dict[str, str]]]:
    """Address and fields of each: `slave0:ip=...,port=...,state=online,offset=...,lag=0`."""
    for n in range(int(number(fields, "connected_slaves") or 0)):
        parts = {key: fields.get(f"slave{n}.{key}", "") for key in ("ip", "port", "state", "offset", "lag")}
        if parts["ip"]:
            yield f"{parts['ip']}:{parts['port']}", parts


def _behind(fields: Mapping[str, str], replica: Mapping[str, str]) -> float | None:
    ahead, there = number(fields, "master_repl_offset"), number(replica, "offset")
    return None if ahead is None or there is None else max(0.0, ahead - there)


def _link(fields: Mapping[str, str]) -> dict[str, float | None]:
    up = fields.get("master_link_status") == "up"
    last_io = number(fields, "master_last_io_seconds_ago")
    down = number(fields, "master_link_down_since_seconds")
    return {
        "link_up": float(up),
        # -1: it has never been up
        "link_down_seconds": 0.0 if up else down if down is not None and down >= 0 else None,
        "last_io_age": last_io if last_io is not None and last_io >= 0 else None,
        "syncing": number(fields, "master_sync_in_progress"),
        "read_only": number(fields, "slave_read_only"),
    }


def _note(fields: Mapping[str, str]) -> str:
    if fields.get("master_link_status") == "up":
        return ""
    place = f"{fields.get('master_host', '?')}:{fields.get('master_port', '?')}"
    if number(fields, "master_sync_in_progress"):
        return f"copies everything from {place}"
    never = number(fields, "master_link_down_since_seconds") == -1
    return f"the link to {place} " + ("has not been up since it started" if never else "is down")


def _lines(fields: Mapping[str, str], replicas: list[tuple[str, dict[str, str]]]) -> Iterable[str]:
    for series, replica in replicas[:10]:
        behind = _behind(fields, replica)
        words = "" if behind is None else f", behind {format_value(behind, Unit.BYTES)}"
        yield f"{series}: {replica['state']}{words}, acknowledged {replica['lag']}s ago"
