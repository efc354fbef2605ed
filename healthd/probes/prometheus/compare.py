"""The `prometheus_compare` probe: a value now against the same time earlier. See docs/probes/prometheus_compare.md."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.outcomes import Evidence, Measurement, Observation
from healthd.model.units import Unit
from healthd.probes.base import Duration, MeasureInfo, Params, ProbeContext
from healthd.probes.json_api import ApiParams
from healthd.probes.prometheus.api import ask, range_form, series_of
from healthd.probes.prometheus.series import Series, check_reducer, check_template, named, reducer
from healthd.probes.scale import UnitName, base_unit, scaled

_POINTS_MAX = 11_000  # Prometheus' own limit per series


class CompareParams(ApiParams):
    """Parameters of the `prometheus_compare` probe."""

    query: str = Field(min_length=1)
    earlier: Duration = timedelta(days=7)
    over: Duration = timedelta(hours=1)
    step: Duration = timedelta(minutes=1)
    reduce: Annotated[str, AfterValidator(check_reducer)] = "avg"
    unit: UnitName | None = None
    series: Annotated[str, AfterValidator(check_template)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> CompareParams:
        if self.step <= timedelta(0) or self.over < self.step:
            raise ValueError("step must be above 0 and at most over")
        if self.over / self.step > _POINTS_MAX:
            raise ValueError(f"over / step gives more than {_POINTS_MAX} points: take a longer step")
        if self.earlier <= timedelta(0):
            raise ValueError("earlier must be above 0: it is how long ago the other value is from")
        return self


class PrometheusCompareProbe:
    """Two range queries, each made one number per series, and what lies between them."""

    Params: ClassVar[type[Params]] = CompareParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "current": MeasureInfo(None, "the value now, one per series"),
        "before": MeasureInfo(None, "the value of the time before; absent where there was none"),
        "difference": MeasureInfo(None, "current less before"),
        "ratio": MeasureInfo(Unit.RATIO, "current of before: 1 is no change; absent where before is 0"),
        "series_count": MeasureInfo(Unit.COUNT, "series that have a value now"),
        "vanished": MeasureInfo(Unit.COUNT, "series that had a value before and have none now"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: CompareParams) -> Mapping[str, MeasureInfo]:
        """With their units."""
        unit = base_unit(params.unit) if params.unit is not None else None
        return {n: MeasureInfo(unit, i.help) if i.unit is None else i for n, i in self.measures.items()}

    async def run(self, params: CompareParams, context: ProbeContext) -> Observation:
        """Ask twice. A Prometheus that cannot be asked, or refuses the query, is a ProbeError."""
        end = float(int(context.now.timestamp()))
        now, then = await asyncio.gather(
            _ask(params, end, context), _ask(params, end - params.earlier.total_seconds(), context)
        )
        gone = sorted(then.keys() - now.keys())
        measurements = [
            Measurement("series_count", float(len(now)), Unit.COUNT),
            Measurement("vanished", float(len(gone)), Unit.COUNT),
            *(m for name, value in now.items() for m in _compare(params, name, value, then.get(name))),
        ]
        evidence = (Evidence("query", params.redact(params.query)[:1000]),)
        return Observation(tuple(measurements), evidence, _note(now, then, gone))


async def _ask(params: CompareParams, end: float, context: ProbeContext) -> dict[str, float]:
    """One number per series, in the unit the query gives."""
    form = range_form(params.query, end - params.over.total_seconds(), end, params.step.total_seconds(), context)
    found: list[Series] = series_of(params, await ask(params, "/api/v1/query_range", form, context))
    reduce = reducer(params.reduce)
    return {name: reduce(s.values) for name, s in named((s for s in found if s.values), params.series).items()}


def _compare(params: CompareParams, name: str, now: float, then: float | None) -> Iterator[Measurement]:
    def measured(measure: str, value: float) -> Measurement:
        number, unit = scaled(value, params.unit) if params.unit is not None else (value, None)
        return Measurement(measure, number, unit, name)

    yield measured("current", now)
    if then is None:
        return
    yield measured("before", then)
    yield measured("difference", now - then)
    if then:
        yield Measurement("ratio", now / then, Unit.RATIO, name)


def _note(now: Mapping[str, float], then: Mapping[str, float], gone: list[str]) -> str:
    if not now:
        return "the query gives no series" + (", though it did before" if then else "")
    if not then:
        return "there is nothing to compare with: the query gave no series at that time"
    return f"no longer there: {', '.join(gone[:3])}" if gone else ""
