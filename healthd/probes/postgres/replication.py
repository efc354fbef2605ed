"""How far replicas are behind: seen from the primary, or from a replica itself."""

# ruff: noqa: S608 - statements put together from constants

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit, format_duration, format_value
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, OneOrMany, Params, ProbeContext
from healthd.probes.measured import measured
from healthd.probes.postgres.dsn import PostgresUrl
from healthd.probes.postgres.globs import like, one_of
from healthd.probes.postgres.grants import STATS, Grants, needs
from healthd.probes.postgres.rows import SEES_ALL, Row, answers, forbidden

__all__ = ["PostgresReplicationProbe"]

# A replica reports at least every wal_receiver_status_interval (10 s): after twice that it has fallen silent.
_SILENT = 20.0
_SHOWN = 10

# What a replica still has to replay: the newest it has received or its sender has told it of.
_SERVER = f"""
SELECT pg_is_in_recovery() AS standby, current_user AS role, {SEES_ALL} AS sees_all,
       w.pid IS NOT NULL AS receiver, w.status, w.sender_host,
       extract(epoch FROM clock_timestamp() - w.last_msg_receipt_time) AS receiver_age,
       CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END AS paused,
       extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) AS replayed_ago,
       pg_wal_lsn_diff(
         greatest(pg_last_wal_receive_lsn(), w.latest_end_lsn, pg_last_wal_replay_lsn()), pg_last_wal_replay_lsn()
       ) AS behind
  FROM (SELECT) AS one LEFT JOIN pg_stat_wal_receiver AS w ON true
"""
_NOW = (
    "CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
    " ELSE pg_current_wal_lsn() END"
)
_REPLICAS = f"""
SELECT coalesce(nullif(application_name, ''), '(no name)') AS name, host(client_addr) AS address, client_port AS port,
       state, sync_state, pg_wal_lsn_diff({_NOW}, replay_lsn) AS behind,
       extract(epoch FROM replay_lag) AS replay_lag, extract(epoch FROM flush_lag) AS flush_lag,
       extract(epoch FROM clock_timestamp() - reply_time) AS reply_age
  FROM pg_stat_replication
 WHERE {one_of("application_name", wanted="replicas", unwanted="none")}
 ORDER BY 1, 2, 3
"""
_SLOTS = f"""
SELECT slot_name AS name, slot_type AS type, active, pg_wal_lsn_diff({_NOW}, restart_lsn) AS retained,
       to_jsonb(s) ->> 'wal_status' AS wal_status,
       extract(epoch FROM clock_timestamp() - (to_jsonb(s) ->> 'inactive_since')::timestamptz) AS inactive_for
  FROM pg_replication_slots AS s
 WHERE NOT temporary AND {one_of("slot_name", wanted="slots", unwanted="none")}
 ORDER BY 1
"""


class ReplicationParams(Params):
    """`replicas`: application names, `slots`: slot names (globs) to look at; all by default."""

    url: PostgresUrl
    replicas: OneOrMany = ()
    slots: OneOrMany = ()


class PostgresReplicationProbe:
    """Reads pg_stat_replication and the slots; on a replica also its receiver and how far it has replayed."""

    Params: ClassVar[type[Params]] = ReplicationParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "role": MeasureInfo(Unit.TEXT, "primary or standby"),
        "replicas": MeasureInfo(Unit.COUNT, "replicas connected to this server"),
        "streaming": MeasureInfo(Unit.COUNT, "those of them that are streaming"),
        "sync_replicas": MeasureInfo(Unit.COUNT, "those of them that commits wait for"),
        "lag_seconds": MeasureInfo(Unit.SECONDS, "age of what a replica has not replayed yet; one series per replica"),
        "lag_bytes": MeasureInfo(Unit.BYTES, "write-ahead log a replica has not replayed yet"),
        "flush_lag_seconds": MeasureInfo(Unit.SECONDS, "how long the replica's disk takes to confirm"),
        "state": MeasureInfo(Unit.TEXT, "streaming, catchup, startup or backup"),
        "receiver_streaming": MeasureInfo(Unit.COUNT, "on a standby: 1 when it receives from its primary"),
        "receiver_age": MeasureInfo(Unit.SECONDS, "on a standby: since it last heard of its primary"),
        "replay_paused": MeasureInfo(Unit.COUNT, "on a standby: 1 when replay is paused"),
        "slots": MeasureInfo(Unit.COUNT, "replication slots, temporary ones left out"),
        "slots_inactive": MeasureInfo(Unit.COUNT, "slots nobody is connected to"),
        "slots_lost": MeasureInfo(Unit.COUNT, "slots whose log is gone, or about to go"),
        "slot_retained_bytes": MeasureInfo(Unit.BYTES, "log kept for the slot; one series per slot"),
        "slot_inactive_seconds": MeasureInfo(Unit.SECONDS, "since the slot was last used (PostgreSQL 17 and later)"),
    }

    def measures_for(self, params: ReplicationParams) -> Mapping[str, MeasureInfo] | None:
        return self.measures

    def grants(self, params: ReplicationParams) -> Grants:
        """What its role must be granted."""
        return needs(params.url, STATS)

    async def run(self, params: ReplicationParams, context: ProbeContext) -> Observation:
        globs = {"replicas": like(params.replicas), "slots": like(params.slots), "none": []}
        (server,), replicas, slots = await answers(context, params.url, _SERVER, _REPLICAS, _SLOTS, params=globs)
        if not server["sees_all"] and (server["receiver"] or replicas):
            raise forbidden("the state of replication is", server["role"])
        found = [Measurement("role", "standby" if server["standby"] else "primary", Unit.TEXT)]
        found += self._downstream(replicas, known=bool(replicas or not server["standby"]))
        found += self._slots(slots)
        note = ""
        if server["standby"]:
            found += self._standby(server, "own" if replicas else "")
            note = _standby_note(server)
        return Observation(tuple(found), tuple(_evidence(replicas, slots)), note)

    def _downstream(self, replicas: list[Row], known: bool) -> Iterable[Measurement]:
        if known:
            states = Counter(row["state"] for row in replicas)
            sync = sum(row["sync_state"] in ("sync", "quorum") for row in replicas)
            counts = {"replicas": len(replicas), "streaming": states["streaming"], "sync_replicas": sync}
            yield from measured(self.measures, counts)
        for series, row in _named(replicas):
            values = {
                "lag_seconds": _lag(row),
                "lag_bytes": row["behind"],
                "flush_lag_seconds": row["flush_lag"],
                "state": row["state"],
            }
            yield from measured(self.measures, values, series)

    def _slots(self, slots: list[Row]) -> Iterable[Measurement]:
        inactive = sum(not row["active"] for row in slots)
        lost = sum(row["wal_status"] in ("lost", "unreserved") for row in slots)
        yield from measured(self.measures, {"slots": len(slots), "slots_inactive": inactive, "slots_lost": lost})
        for row in slots:
            values = {"slot_retained_bytes": row["retained"], "slot_inactive_seconds": row["inactive_for"]}
            yield from measured(self.measures, values, row["name"])

    def _standby(self, server: Row, series: str) -> Iterable[Measurement]:
        streaming = server["status"] == "streaming"
        caught_up = streaming and server["behind"] == 0
        values = {"lag_seconds": 0.0 if caught_up else server["replayed_ago"], "lag_bytes": server["behind"]}
        yield from measured(self.measures, values, series)
        about = {
            "receiver_streaming": int(streaming),
            "receiver_age": server["receiver_age"],
            "replay_paused": int(server["paused"]),
        }
        yield from measured(self.measures, about)


def _lag(row: Row) -> float | None:
    """0 when there is nothing to replay. A replica that has fallen silent is behind at least as long as that."""
    if row["behind"] is None or row["behind"] <= 0:
        return None if row["behind"] is None else 0.0
    lag, silent = row["replay_lag"], row["reply_age"]
    if silent is not None and (lag is None or silent > _SILENT):
        lag = max(lag or 0, silent)
    return None if lag is None else float(lag)


def _named(replicas: list[Row]) -> list[tuple[str, Row]]:
    """Replicas by application name; with the address, and then the port, where that is not enough."""
    names = Counter(row["name"] for row in replicas)
    places = Counter((row["name"], row["address"]) for row in replicas)

    def name(row: Row) -> str:
        if names[row["name"]] == 1:
            return str(row["name"])
        port = f":{row['port']}" if places[row["name"], row["address"]] > 1 else ""
        return f"{row['name']} {row['address'] or 'local'}{port}"

    return [(name(row), row) for row in replicas]


def _standby_note(server: Row) -> str:
    if server["paused"]:
        return "replay is paused"
    if server["status"] == "streaming":
        return ""
    state = f"its receiver is {server['status']}" if server["receiver"] else "it has no receiver"
    return f"does not stream: {state}; the lag is the age of the last transaction it replayed"


def _evidence(replicas: list[Row], slots: list[Row]) -> Iterable[Evidence]:
    if replicas:
        lines = (f"{name}: {_replica_words(row)}" for name, row in _named(replicas)[:_SHOWN])
        yield Evidence("replicas", "\n".join(lines))
    if idle := [row for row in slots if not row["active"]][:_SHOWN]:
        yield Evidence("inactive replication slots", "\n".join(_slot_words(row) for row in idle))


def _replica_words(row: Row) -> str:
    lag = _lag(row)
    behind = "unknown" if row["behind"] is None else format_value(float(row["behind"]), Unit.BYTES)
    return f"{row['state']}, {row['sync_state']}, behind {behind}" + (f" and {format_duration(lag)}" if lag else "")


def _slot_words(row: dict[str, Any]) -> str:
    kept = "nothing" if row["retained"] is None else format_value(float(row["retained"]), Unit.BYTES)
    return f"{row['name']} ({row['type']}): keeps {kept} of log" + (
        f", {row['wal_status']}" if row["wal_status"] else ""
    )
