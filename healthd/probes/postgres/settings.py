"""The server's configuration as measures: numbers in base units, everything else as words."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext, ProbeError
from healthd.probes.measured import measured
from healthd.probes.postgres.dsn import PostgresUrl
from healthd.probes.postgres.grants import GUARDED_SETTINGS, SETTINGS, Grants, needs
from healthd.probes.postgres.rows import Row, answer

__all__ = ["PostgresSettingsProbe"]

# All of them: one question for all checks of a run. What a look sets for itself (time-outs, read only) is not the
# server's configuration: `reset_val` is what the session began with.
_SETTINGS = """
SELECT lower(name) AS name, CASE WHEN source = 'session' THEN reset_val ELSE setting END AS setting,
       unit, vartype, pending_restart
  FROM pg_settings ORDER BY 1
"""
_UNITS = {
    "B": (1.0, Unit.BYTES), "kB": (1024.0, Unit.BYTES), "8kB": (8192.0, Unit.BYTES), "16kB": (16384.0, Unit.BYTES),
    "32kB": (32768.0, Unit.BYTES), "MB": (2.0**20, Unit.BYTES), "16MB": (2.0**24, Unit.BYTES),
    "us": (1e-6, Unit.SECONDS), "ms": (1e-3, Unit.SECONDS), "s": (1.0, Unit.SECONDS), "min": (60.0, Unit.SECONDS),
    "h": (3600.0, Unit.SECONDS), "d": (86400.0, Unit.SECONDS),
}  # fmt: skip


def _by_name(value: Any) -> Any:
    names = [value] if isinstance(value, str) else value
    return {name: name for name in names} if isinstance(names, list | tuple) else value


Names = Annotated[dict[str, str], BeforeValidator(_by_name, json_schema_input_type=str | list[str] | dict[str, str])]


class SettingsParams(Params):
    """`settings`: names as `SHOW` takes them, one, a list, or `{measure: name}`."""

    url: PostgresUrl
    settings: Names = Field(default_factory=dict)


class PostgresSettingsProbe:
    """Reads pg_settings."""

    Params: ClassVar[type[Params]] = SettingsParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "pending_restart": MeasureInfo(Unit.COUNT, "settings that were changed and wait for a restart"),
    }

    def measures_for(self, params: SettingsParams) -> Mapping[str, MeasureInfo] | None:
        named = {measure: MeasureInfo(None, f"the setting {name}") for measure, name in params.settings.items()}
        return {**named, **self.measures}

    def grants(self, params: SettingsParams) -> Grants:
        """What its role must be granted."""
        guarded = any(name.lower() in GUARDED_SETTINGS for name in params.settings.values())
        return needs(params.url, *((SETTINGS,) if guarded else ()))

    async def run(self, params: SettingsParams, context: ProbeContext) -> Observation:
        rows = await answer(context, params.url, _SETTINGS)
        by_name = {row["name"]: row for row in rows}
        found = [_measurement(m, by_name[n.lower()]) for m, n in params.settings.items() if n.lower() in by_name]
        absent = [name for name in params.settings.values() if name.lower() not in by_name]
        if absent and not found:
            raise ProbeError("; ".join(_absent(name, by_name) for name in absent), "missing")
        pending = [row["name"] for row in rows if row["pending_restart"]]
        evidence = (Evidence("waiting for a restart", ", ".join(pending)),) if pending else ()
        found += measured(self.measures, {"pending_restart": len(pending)})
        return Observation(tuple(found), evidence, "; ".join(_absent(name, by_name) for name in absent))


def _measurement(measure: str, row: Row) -> Measurement:
    if row["vartype"] not in ("integer", "real"):
        return Measurement(measure, row["setting"], Unit.TEXT)
    factor, unit = _UNITS.get(row["unit"] or "", (1.0, None))
    value = float(row["setting"])
    # -1 and 0 have meanings of their own, whatever the unit: off, no limit, as another setting says
    return Measurement(measure, value * factor if value > 0 else value, unit)


def _absent(name: str, known: Mapping[str, Row]) -> str:
    near = get_close_matches(name.lower(), known, n=1)
    told = f"no setting {name!r} (some are shown to members of pg_read_all_settings only)"
    return f"{told}; did you mean {near[0]!r}?" if near else told
