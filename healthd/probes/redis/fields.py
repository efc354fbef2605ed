"""Any field of Redis's INFO as a measure."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import MeasureInfo, Measurement, Observation, Params, ProbeContext
from healthd.probes.redis.address import RedisUrl
from healthd.probes.redis.info import field_value, info, unit_of
from healthd.probes.scale import UnitName, base_unit, scaled

__all__ = ["RedisInfoProbe"]

DEFAULT = (
    "connected_clients", "blocked_clients", "rejected_connections", "used_memory", "mem_fragmentation_ratio",
    "instantaneous_ops_per_sec", "hit_ratio", "evicted_keys", "expired_keys", "rdb_last_bgsave_status",
    "aof_last_write_status", "role", "connected_slaves", "master_link_status", "uptime_in_seconds",
)  # fmt: skip


class InfoField(BaseModel):
    """A field of INFO and the unit its number is in, where its name does not tell."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str
    unit: UnitName | None = None


def _short(value: Any) -> Any:
    return {"field": value} if isinstance(value, str) else value


def _by_name(value: Any) -> Any:
    return {name: name for name in value} if isinstance(value, list | tuple) else value


Fields = Annotated[dict[str, Annotated[InfoField, BeforeValidator(_short)]], BeforeValidator(_by_name)]


class InfoParams(Params):
    """`fields`: a list of names, or `{measure: field}`, or `{measure: {field, unit}}`. `section` as INFO takes it."""

    url: RedisUrl
    fields: Fields = Field(default_factory=dict)
    section: str = ""


class RedisInfoProbe:
    """Numbers are numbers, words stay words; `hit_ratio` is worked out from hits and misses."""

    Params: ClassVar[type[Params]] = InfoParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        name: MeasureInfo(unit_of(name), f"INFO field {name}") for name in DEFAULT
    }

    def measures_for(self, params: InfoParams) -> Mapping[str, MeasureInfo] | None:
        if not params.fields:
            return self.measures
        return {
            name: MeasureInfo(_unit(wanted), f"INFO field {wanted.field}") for name, wanted in params.fields.items()
        }

    async def run(self, params: InfoParams, context: ProbeContext) -> Observation:
        fields = await info(context, params.url, params.section)
        wanted = params.fields or {name: InfoField(field=name) for name in DEFAULT}
        found = [m for name, field in wanted.items() if (m := _measurement(name, field, fields)) is not None]
        absent = [w.field for w in params.fields.values() if field_value(fields, w.field) is None]
        return Observation(tuple(found), note="; ".join(_absent(name, fields) for name in absent))


def _unit(wanted: InfoField) -> Unit | None:
    return base_unit(wanted.unit) if wanted.unit else unit_of(wanted.field)


def _measurement(name: str, wanted: InfoField, fields: Mapping[str, str]) -> Measurement | None:
    value = field_value(fields, wanted.field)
    if value is None:
        return None
    if isinstance(value, str):
        return Measurement(name, value, Unit.TEXT)
    if wanted.unit is not None:
        return Measurement(name, *scaled(value, wanted.unit))
    return Measurement(name, value, unit_of(wanted.field))


def _absent(name: str, fields: Mapping[str, str]) -> str:
    if name == "hit_ratio":
        return "no look-ups yet to take a hit ratio from"
    near = get_close_matches(name, fields, n=1)
    return f"no field {name!r} in INFO" + (f"; did you mean {near[0]!r}?" if near else "")
