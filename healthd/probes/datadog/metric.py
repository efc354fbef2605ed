"""The `datadog` probe: a metric query as measures. See docs/probes/datadog.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.outcomes import Evidence, Measurement, Observation, ProbeError
from healthd.model.units import Unit
from healthd.probes.base import Duration, MeasureInfo, Params, ProbeContext
from healthd.probes.datadog.api import DatadogParams, ask
from healthd.probes.prometheus.series import Series, check_reducer, check_template, named, reducer
from healthd.probes.scale import UnitName, base_unit, scaled

_SERIES_MAX = 1000


class MetricParams(DatadogParams):
    """Parameters of the `datadog` probe."""

    query: str = Field(min_length=1)
    over: Duration = timedelta(minutes=15)
    reduce: Annotated[str, AfterValidator(check_reducer)] = "avg"
    measure: str = Field("value", pattern=r"^[A-Za-z_][\w.-]*$")
    unit: UnitName | None = None
    series: Annotated[str, AfterValidator(check_template)] | None = None
    empty: float | Literal["missing"] = "missing"

    @model_validator(mode="after")
    def _own_name(self) -> MetricParams:
        if self.measure in ("series_count", "newest_age"):
            raise ValueError(f"{self.measure!r} is a measure of the probe itself: choose another name")
        if self.over <= timedelta(0):
            raise ValueError("over must be above 0")
        return self


class DatadogProbe:
    """A number, or one per series. No series is never zero by accident."""

    Params: ClassVar[type[Params]] = MetricParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "value": MeasureInfo(None, "what the query gives, one per series; its name and unit can be chosen"),
        "series_count": MeasureInfo(Unit.COUNT, "series with at least one point"),
        "newest_age": MeasureInfo(Unit.SECONDS, "since the newest point of all; absent without one"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: MetricParams) -> Mapping[str, MeasureInfo]:
        """The chosen measure and the fixed ones."""
        unit = base_unit(params.unit) if params.unit is not None else None
        fixed = {name: info for name, info in self.measures.items() if name != "value"}
        return {params.measure: MeasureInfo(unit, f"result of {params.query}"), **fixed}

    async def run(self, params: MetricParams, context: ProbeContext) -> Observation:
        """Ask once. A Datadog that cannot be asked, or refuses the query, is a ProbeError."""
        end = int(context.now.timestamp())
        begin = end - int(params.over.total_seconds())
        form = {"from": str(begin), "to": str(end), "query": params.query}
        answer = await ask(params, "/api/v1/query", form, context, "timeseries_query")
        try:
            found = [_series(item) for item in answer["series"]]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ProbeError(f"{params.url} did not answer with series: is it Datadog?", "protocol") from None
        if len(found) > _SERIES_MAX:
            raise ProbeError(f"the query gives {len(found)} series, more than {_SERIES_MAX}: aggregate", "limit")
        usable = [series for series in found if series.values]
        measurements = _measure(params, usable)
        measurements.append(Measurement("series_count", float(len(usable)), Unit.COUNT))
        if usable:
            newest = max(series.times[-1] for series in usable)
            measurements.append(Measurement("newest_age", max(0.0, end - newest), Unit.SECONDS))
        evidence = (Evidence("query", params.redact(params.query)[:1000]),)
        return Observation(tuple(measurements), evidence, "" if usable else "the query gives no points")


def _series(item: Mapping[str, Any]) -> Series:
    tags = item.get("tag_set") or [tag for tag in str(item.get("scope", "")).split(",") if ":" in tag]
    points = [
        (float(time) / 1000, float(value))
        for time, value in item["pointlist"]
        if value is not None and math.isfinite(float(value))
    ]
    labels = {str(tag).partition(":")[0]: str(tag).partition(":")[2] for tag in tags}
    return Series(labels, tuple(value for _, value in points), tuple(time for time, _ in points))


def _measure(params: MetricParams, found: list[Series]) -> list[Measurement]:
    def measured(value: float, name: str = "") -> Measurement:
        number, unit = scaled(value, params.unit) if params.unit is not None else (value, None)
        return Measurement(params.measure, number, unit, name)

    if not found and params.empty != "missing":
        return [measured(float(params.empty))]
    reduce = reducer(params.reduce)
    return [measured(reduce(series.values), name) for name, series in named(found, params.series).items()]
