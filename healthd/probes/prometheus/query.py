"""The `prometheus` probe: an instant or a range query as measures. See docs/probes/prometheus.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.outcomes import Evidence, Measurement, Observation
from healthd.model.units import Unit
from healthd.probes.base import Duration, MeasureInfo, Params, ProbeContext
from healthd.probes.json_api import ApiParams
from healthd.probes.network import patience
from healthd.probes.prometheus.api import ask, range_form, series_of
from healthd.probes.prometheus.series import Series, check_reducer, check_template, named, reducer
from healthd.probes.scale import UnitName, base_unit, scaled

_POINTS_MAX = 11_000  # Prometheus' own limit per series


class QueryRange(Params):
    """`over: 1h, step: 1m, reduce: p95`: the query at each step of the time before now, made one number per series."""

    over: Duration
    step: Duration = timedelta(minutes=1)
    reduce: Annotated[str, AfterValidator(check_reducer)] = "avg"

    @model_validator(mode="after")
    def _few_points(self) -> QueryRange:
        if self.step <= timedelta(0) or self.over < self.step:
            raise ValueError("step must be above 0 and at most over")
        if self.over / self.step > _POINTS_MAX:
            raise ValueError(f"over / step gives more than {_POINTS_MAX} points: take a longer step")
        return self


class PrometheusParams(ApiParams):
    """Parameters of the `prometheus` probe."""

    query: str = Field(min_length=1)
    range: QueryRange | None = None
    measure: str = Field("value", pattern=r"^[A-Za-z_][\w.-]*$")
    unit: UnitName | None = None
    series: Annotated[str, AfterValidator(check_template)] | None = None
    empty: float | Literal["missing"] = "missing"

    @model_validator(mode="after")
    def _own_name(self) -> PrometheusParams:
        if self.measure == "series_count":
            raise ValueError("'series_count' is a measure of the probe itself: choose another name")
        return self


class PrometheusProbe:
    """A number, or one per series. No series is never zero by accident."""

    Params: ClassVar[type[Params]] = PrometheusParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "value": MeasureInfo(None, "what the query gives, one per series; its name and unit can be chosen"),
        "series_count": MeasureInfo(Unit.COUNT, "series with a number that is finite"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: PrometheusParams) -> Mapping[str, MeasureInfo]:
        """The chosen measure and the number of series."""
        unit = base_unit(params.unit) if params.unit is not None else None
        return {
            params.measure: MeasureInfo(unit, f"result of {params.query}"),
            "series_count": self.measures["series_count"],
        }

    async def run(self, params: PrometheusParams, context: ProbeContext) -> Observation:
        """Ask once. A Prometheus that cannot be asked, or refuses the query, is a ProbeError."""
        answer = await ask(params, *_question(params, context), context)
        found = series_of(params, answer)
        usable = [series for series in found if series.values]
        measurements = _measure(params, usable)
        measurements.append(Measurement("series_count", float(len(usable)), Unit.COUNT))
        return Observation(tuple(measurements), _evidence(params, answer), _note(len(found), len(usable)))


def _question(params: PrometheusParams, context: ProbeContext) -> tuple[str, dict[str, str]]:
    if params.range is None:  # at the server's own time: its clock stamped the samples
        return "/api/v1/query", {"query": params.query, "timeout": f"{patience(context.timeout) * 1000:.0f}ms"}
    end = int(context.now.timestamp())  # whole seconds: checks of one batch ask the same question
    begin, step = end - params.range.over.total_seconds(), params.range.step.total_seconds()
    return "/api/v1/query_range", range_form(params.query, begin, end, step, context)


def _measure(params: PrometheusParams, found: Sequence[Series]) -> list[Measurement]:
    if not found and params.empty != "missing":
        return [Measurement(params.measure, *_in_base_unit(float(params.empty), params))]
    reduce = reducer(params.range.reduce if params.range is not None else "last")
    return [
        Measurement(params.measure, *_in_base_unit(reduce(series.values), params), name)
        for name, series in named(found, params.series).items()
    ]


def _in_base_unit(value: float, params: PrometheusParams) -> tuple[float, Unit | None]:
    return scaled(value, params.unit) if params.unit is not None else (value, None)


def _note(found: int, usable: int) -> str:
    if not found:
        return "the query gives no series"
    if not usable:
        return "the query gives only NaN or infinity"
    return f"{found - usable} of {found} series are NaN or infinity" if usable < found else ""


def _evidence(params: PrometheusParams, answer: Mapping[str, Any]) -> tuple[Evidence, ...]:
    said = [str(text) for key in ("warnings", "infos") for text in answer.get(key) or ()]
    evidence = [Evidence("query", params.redact(params.query)[:1000])]
    if said:
        evidence.append(Evidence("warnings", params.redact("\n".join(said))[:1000]))
    return tuple(evidence)
