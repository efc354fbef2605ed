"""How Redis is used and how it copes: hits, evictions, clients, commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import MeasureInfo, Observation, Params, ProbeContext
from healthd.probes.measured import measured
from healthd.probes.redis.address import RedisUrl
from healthd.probes.redis.info import info, number
from healthd.probes.sampling import SampleTime, sampled

__all__ = ["RedisStatsProbe"]

# Measures that are counters of INFO: since the server started, or over a sample.
_COUNTERS = {
    "hits": "keyspace_hits",
    "misses": "keyspace_misses",
    "evicted_keys": "evicted_keys",
    "expired_keys": "expired_keys",
    "rejected_connections": "rejected_connections",
    "connections": "total_connections_received",
    "commands": "total_commands_processed",
    "errors": "total_error_replies",
}
_RATES = ("evicted_keys", "expired_keys", "commands", "errors", "rejected_connections", "connections")
_NOW = {
    "ops_per_second": "instantaneous_ops_per_sec",
    "connected_clients": "connected_clients",
    "blocked_clients": "blocked_clients",
    "max_clients": "maxclients",
    "uptime": "uptime_in_seconds",
}
_KILO = {"input_bytes_per_second": "instantaneous_input_kbps", "output_bytes_per_second": "instantaneous_output_kbps"}


class StatsParams(Params):
    """`sample`: look twice, this far apart, and count only what happened in between."""

    url: RedisUrl
    sample: SampleTime | None = None


class RedisStatsProbe:
    """Reads INFO once, or twice with `sample`."""

    Params: ClassVar[type[Params]] = StatsParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "hit_ratio": MeasureInfo(Unit.RATIO, "lookups of keys that were there; absent without any lookup"),
        "hits": MeasureInfo(Unit.COUNT, "lookups of keys that were there"),
        "misses": MeasureInfo(Unit.COUNT, "lookups of keys that were not"),
        "evicted_keys": MeasureInfo(Unit.COUNT, "keys thrown out for want of memory"),
        "evicted_keys_per_second": MeasureInfo(Unit.PER_SECOND, "the same per second"),
        "expired_keys": MeasureInfo(Unit.COUNT, "keys whose time was over"),
        "expired_keys_per_second": MeasureInfo(Unit.PER_SECOND, "the same per second"),
        "commands": MeasureInfo(Unit.COUNT, "commands processed"),
        "commands_per_second": MeasureInfo(Unit.PER_SECOND, "the same per second"),
        "errors": MeasureInfo(Unit.COUNT, "commands answered with an error (Redis 6.2 and later)"),
        "errors_per_second": MeasureInfo(Unit.PER_SECOND, "the same per second"),
        "connections": MeasureInfo(Unit.COUNT, "connections accepted"),
        "connections_per_second": MeasureInfo(Unit.PER_SECOND, "the same per second"),
        "rejected_connections": MeasureInfo(Unit.COUNT, "connections refused because there were too many"),
        "rejected_connections_per_second": MeasureInfo(Unit.PER_SECOND, "the same per second"),
        "ops_per_second": MeasureInfo(Unit.PER_SECOND, "commands per second just now, as Redis works it out"),
        "input_bytes_per_second": MeasureInfo(Unit.BYTES_PER_SECOND, "received just now"),
        "output_bytes_per_second": MeasureInfo(Unit.BYTES_PER_SECOND, "sent just now"),
        "connected_clients": MeasureInfo(Unit.COUNT, "clients, replicas left out"),
        "blocked_clients": MeasureInfo(Unit.COUNT, "clients waiting in a blocking command, such as BLPOP"),
        "max_clients": MeasureInfo(Unit.COUNT, "maxclients"),
        "clients_ratio": MeasureInfo(Unit.RATIO, "connected_clients / max_clients"),
        "keys": MeasureInfo(Unit.COUNT, "keys in all databases"),
        "uptime": MeasureInfo(Unit.SECONDS, "since the server started"),
    }

    def measures_for(self, params: StatsParams) -> Mapping[str, MeasureInfo] | None:
        return self.measures

    async def run(self, params: StatsParams, context: ProbeContext) -> Observation:
        if params.sample is None:
            fields = await info(context, params.url)
            counted, seconds = _counters(fields), number(fields, "uptime_in_seconds")
        else:
            sample = await sampled(context, params.sample, lambda each: info(each, params.url))
            fields, seconds = sample.after, sample.seconds
            counted = _between(sample.before, sample.after)
        return Observation(measured(self.measures, {**counted, **_rates(counted, seconds), **_now(fields)}))


def _counters(fields: Mapping[str, str]) -> dict[str, float | None]:
    values = {name: number(fields, field) for name, field in _COUNTERS.items()}
    hits, misses = values["hits"] or 0.0, values["misses"] or 0.0
    return {**values, "hit_ratio": hits / (hits + misses) if hits + misses else None}


def _between(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, float | None]:
    """Counters over a sample. After a restart, or CONFIG RESETSTAT, they began anew: all of them counts."""
    names = list(_COUNTERS.values())
    restarted = any((number(after, name) or 0) < (number(before, name) or 0) for name in names)
    grown = {name: (number(after, name) or 0) - (0 if restarted else number(before, name) or 0) for name in names}
    return _counters({name: f"{value:.0f}" for name, value in grown.items() if name in after})


def _rates(counted: Mapping[str, float | None], seconds: float | None) -> dict[str, float | None]:
    known = {name: counted[name] for name in _RATES}
    return {f"{name}_per_second": value / seconds for name, value in known.items() if value is not None and seconds}


def _now(fields: Mapping[str, str]) -> dict[str, float | None]:
    values = {name: number(fields, field) for name, field in _NOW.items()}
    kilos = {name: number(fields, field) for name, field in _KILO.items()}
    values |= {name: None if value is None else value * 1024 for name, value in kilos.items()}
    clients, most = values["connected_clients"], values["max_clients"]
    values["clients_ratio"] = clients / most if clients is not None and most else None
    values["keys"] = sum(number(fields, name) or 0 for name in fields if re.fullmatch(r"db\d+\.keys", name))
    return values
