"""Whether what Redis holds would survive: snapshots (RDB) and the append-only file (AOF)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import MeasureInfo, Observation, Params, ProbeContext
from healthd.probes.measured import measured
from healthd.probes.redis.address import RedisUrl
from healthd.probes.redis.config import config, config_note
from healthd.probes.redis.info import info, number

__all__ = ["RedisPersistenceProbe"]

_OK = {
    "last_bgsave_ok": "rdb_last_bgsave_status",
    "aof_last_write_ok": "aof_last_write_status",
    "aof_last_rewrite_ok": "aof_last_bgrewrite_status",
}
_NUMBERS = {
    "aof_enabled": "aof_enabled",
    "aof_size_bytes": "aof_current_size",
    "aof_delayed_fsync": "aof_delayed_fsync",
    "changes_since_save": "rdb_changes_since_last_save",
    "loading": "loading",
}


class PersistenceParams(Params):
    """`url` as for the probe `redis`."""

    url: RedisUrl


class RedisPersistenceProbe:
    """Reads the persistence section of INFO, and two settings where it may."""

    Params: ClassVar[type[Params]] = PersistenceParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "aof_enabled": MeasureInfo(Unit.COUNT, "1 when the append-only file is on"),
        "aof_fsync": MeasureInfo(Unit.TEXT, "when it is written through: always, everysec or no"),
        "aof_last_write_ok": MeasureInfo(Unit.COUNT, "1 when the last write to it succeeded"),
        "aof_last_rewrite_ok": MeasureInfo(Unit.COUNT, "1 when it was last rewritten without error, or never"),
        "aof_size_bytes": MeasureInfo(Unit.BYTES, "its size; absent when it is off"),
        "aof_delayed_fsync": MeasureInfo(Unit.COUNT, "writes held up by a slow disk since the start"),
        "rdb_enabled": MeasureInfo(Unit.COUNT, "1 when snapshots are taken on a schedule"),
        "rdb_last_save_age": MeasureInfo(Unit.SECONDS, "since the last snapshot; since the start before the first"),
        "last_bgsave_ok": MeasureInfo(Unit.COUNT, "1 when the last snapshot succeeded, or none was tried"),
        "bgsave_duration": MeasureInfo(
            Unit.SECONDS, "how long the snapshot being written takes already; absent when none"
        ),
        "changes_since_save": MeasureInfo(Unit.COUNT, "changes that are in no snapshot"),
        "loading": MeasureInfo(Unit.COUNT, "1 while it loads its data set and serves nobody"),
    }

    def measures_for(self, params: PersistenceParams) -> Mapping[str, MeasureInfo] | None:
        return self.measures

    async def run(self, params: PersistenceParams, context: ProbeContext) -> Observation:
        fields = await info(context, params.url)
        settings: Mapping[str, str] = {}
        if not number(fields, "loading"):  # then CONFIG is refused
            settings = await config(context, params.url, "appendfsync", "save")
        values: dict[str, float | str | None] = {name: number(fields, field) for name, field in _NUMBERS.items()}
        values |= {name: float(fields[field] == "ok") for name, field in _OK.items() if field in fields}
        values["aof_fsync"] = settings.get("appendfsync")
        values["rdb_enabled"] = float(bool(settings["save"].strip())) if "save" in settings else None
        saving, saved = number(fields, "rdb_current_bgsave_time_sec"), number(fields, "rdb_last_save_time")
        values["bgsave_duration"] = saving if saving is not None and saving >= 0 else None
        values["rdb_last_save_age"] = None if saved is None else max(0.0, _clock(fields, context) - saved)
        return Observation(measured(self.measures, values), note=_note(values, settings))


def _clock(fields: Mapping[str, str], context: ProbeContext) -> float:
    """The server's clock, in seconds since 1970, or ours where it does not tell (before Redis 6.2)."""
    told = number(fields, "server_time_usec")  # in seconds already, by its ending
    return context.now.timestamp() if told is None else told


def _note(values: Mapping[str, float | str | None], settings: Mapping[str, str]) -> str:
    if values["loading"]:
        return "it is loading its data set"
    if values["aof_enabled"] == 0 and values["rdb_enabled"] == 0:
        return "nothing is written to disk: the append-only file is off and there are no snapshots"
    return config_note(settings, "appendfsync", "save")
