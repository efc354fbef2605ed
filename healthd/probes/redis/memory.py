"""How full a Redis server's memory is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import MeasureInfo, Measurement, Observation, Params, ProbeContext
from healthd.probes.redis.address import RedisUrl
from healthd.probes.redis.info import field_value, info

__all__ = ["RedisMemoryProbe"]

_FIELDS = {
    "used_bytes": ("used_memory", Unit.BYTES),
    "peak_bytes": ("used_memory_peak", Unit.BYTES),
    "rss_bytes": ("used_memory_rss", Unit.BYTES),
    "fragmentation": ("mem_fragmentation_ratio", Unit.RATIO),
    "evicted_keys": ("evicted_keys", Unit.COUNT),
    "policy": ("maxmemory_policy", Unit.TEXT),
}


class MemoryParams(Params):
    """`without_maxmemory`: what memory is measured against where `maxmemory` is 0 (no limit).

    `system`: the machine's memory. `missing`: nothing, and `max_bytes` and `ratio` are absent.
    """

    url: RedisUrl
    without_maxmemory: Literal["system", "missing"] = "system"


class RedisMemoryProbe:
    """Reads the memory section of INFO."""

    Params: ClassVar[type[Params]] = MemoryParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "used_bytes": MeasureInfo(Unit.BYTES, "memory Redis has allocated"),
        "max_bytes": MeasureInfo(Unit.BYTES, "maxmemory, or the machine's memory where that is 0"),
        "ratio": MeasureInfo(Unit.RATIO, "used_bytes / max_bytes"),
        "peak_bytes": MeasureInfo(Unit.BYTES, "the most it has ever allocated since it started"),
        "rss_bytes": MeasureInfo(Unit.BYTES, "memory as the operating system counts it"),
        "fragmentation": MeasureInfo(Unit.RATIO, "rss_bytes / used_bytes as Redis works it out"),
        "evicted_keys": MeasureInfo(Unit.COUNT, "keys thrown out for want of memory since it started"),
        "policy": MeasureInfo(Unit.TEXT, "maxmemory_policy, such as noeviction or allkeys-lru"),
    }

    def measures_for(self, params: MemoryParams) -> Mapping[str, MeasureInfo] | None:
        return self.measures

    async def run(self, params: MemoryParams, context: ProbeContext) -> Observation:
        fields = await info(context, params.url)
        read = ((name, field_value(fields, field), unit) for name, (field, unit) in _FIELDS.items())
        found = [Measurement(name, value, unit) for name, value, unit in read if value is not None]
        maximum, note = _maximum(params, fields)
        used = field_value(fields, "used_memory")
        if maximum and isinstance(used, float):
            found += [Measurement("max_bytes", maximum, Unit.BYTES), Measurement("ratio", used / maximum, Unit.RATIO)]
        return Observation(tuple(found), note=note)


def _maximum(params: MemoryParams, fields: Mapping[str, str]) -> tuple[float | None, str]:
    maximum = field_value(fields, "maxmemory")
    if isinstance(maximum, float) and maximum > 0:
        return maximum, ""
    if params.without_maxmemory == "system":
        system = field_value(fields, "total_system_memory")
        if isinstance(system, float) and system > 0:
            return system, ""
    return None, "maxmemory is not set: no limit to measure memory against"
