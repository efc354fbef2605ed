"""`cloudwatch_metric`: any metric of CloudWatch, or an expression over several, as a number."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from healthd.model.outcomes import Evidence, Measurement
from healthd.model.units import Unit, format_duration
from healthd.probes import base
from healthd.probes.aws.metric_query import Answer, Metric, Query, Series
from healthd.probes.aws.metrics import GET_METRIC_DATA, ask_metrics
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams
from healthd.probes.aws.probe import Asker, AwsProbe
from healthd.probes.base import Duration, MeasureInfo, Observation, ProbeError
from healthd.probes.prometheus.series import reducer
from healthd.probes.scale import UnitName, base_unit, scaled

_STATISTICS = ("Average", "Sum", "Minimum", "Maximum", "SampleCount", "IQM")
_TRIMMED = re.compile(r"(p|tm|tc|ts|wm)\d{1,2}(\.\d{1,10})?|p100|(PR|TM|TC|TS|WM)\([\d.%]*:[\d.%]*\)")
_SHORT_PERIODS = (1, 5, 10, 20, 30)
_POINTS_MAX = 10_000
_SERIES_MAX = 200


def _statistic(name: str) -> str:
    known = {word.lower(): word for word in _STATISTICS} | {"avg": "Average", "min": "Minimum", "max": "Maximum"}
    if name.lower() in known:
        return known[name.lower()]
    if not _TRIMMED.fullmatch(name):
        raise ValueError(f"{name!r} is not a statistic: expected {', '.join(_STATISTICS)} or a percentile such as p99")
    return name


def _period(period: timedelta) -> timedelta:
    seconds = period.total_seconds()
    if seconds not in _SHORT_PERIODS and (seconds < 60 or seconds % 60):
        raise ValueError("a period is 1, 5, 10, 20 or 30 seconds, or a whole number of minutes")
    return period


def _reduce(name: str) -> str:
    reducer(name)
    return name


Statistic = Annotated[str, AfterValidator(_statistic)]


class MetricParams(base.Params):
    """One metric."""

    namespace: str = Field(min_length=1)
    metric: str = Field(min_length=1)
    statistic: Statistic = "Average"
    dimensions: Mapping[str, str] = Field(default_factory=dict)

    def named(self, name: str) -> Metric:
        """As it is asked for."""
        return Metric(name, self.namespace, self.metric, self.statistic, tuple(sorted(self.dimensions.items())))


class CloudWatchMetricParams(AwsParams):
    """A metric, or an expression over `metrics`; of which periods, and what is made of them."""

    namespace: str | None = None
    metric: str | None = None
    statistic: Statistic = "Average"
    dimensions: Mapping[str, str] = Field(default_factory=dict)
    expression: str = ""
    metrics: Mapping[Annotated[str, Field(pattern=r"^[a-z]\w*$")], MetricParams] = Field(default_factory=dict)
    period: Annotated[Duration, AfterValidator(_period)] = timedelta(minutes=1)
    over: Duration = Field(timedelta(0), description="how far back; without it ten periods")
    reduce: Annotated[str, AfterValidator(_reduce)] = "last"
    unit: UnitName | None = None
    empty: float | Literal["missing"] = "missing"

    @model_validator(mode="after")
    def _one_question(self) -> CloudWatchMetricParams:
        if bool(self.expression) == bool(self.metric):
            raise ValueError("write namespace and metric, or an expression")
        if self.metric and not self.namespace:
            raise ValueError("a metric has a namespace, such as AWS/RDS")
        if self.metrics and not self.expression:
            raise ValueError("metrics are there for an expression: write one")
        unused = [name for name in self.metrics if not re.search(rf"\b{name}\b", self.expression)]
        if unused:
            raise ValueError(f"the expression does not use {', '.join(unused)}")
        if self.over and self.over < self.period:
            raise ValueError("over must be at least one period")
        if self.reach / self.period > _POINTS_MAX:
            raise ValueError(f"over / period gives more than {_POINTS_MAX} points: take a longer period")
        return self

    @property
    def reach(self) -> timedelta:
        """How far back to look."""
        return self.over or self.period * 10

    def query(self) -> Query:
        """The question."""
        if self.expression:
            metrics = tuple(metric.named(name) for name, metric in self.metrics.items())
        else:
            assert self.namespace is not None
            assert self.metric is not None
            dimensions = tuple(sorted(self.dimensions.items()))
            metrics = (Metric("m", self.namespace, self.metric, self.statistic, dimensions),)
        return Query(metrics, int(self.period.total_seconds()), self.reach, self.expression)


class CloudWatchMetricProbe(AwsProbe):
    """A number, or one for each series an expression gives. No data is never zero by accident."""

    Params: ClassVar[type[base.Params]] = CloudWatchMetricParams
    operations: ClassVar[tuple[Operation, ...]] = (GET_METRIC_DATA,)
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "value": MeasureInfo(None, "what reduce makes of the data points; its unit can be chosen; absent without any"),
        "age": MeasureInfo(Unit.SECONDS, "since the end of the newest period that has data; absent without any"),
        "points": MeasureInfo(Unit.COUNT, "data points in the time looked at"),
        "series_count": MeasureInfo(Unit.COUNT, "series with data"),
    }

    def measures_for(self, params: CloudWatchMetricParams) -> Mapping[str, MeasureInfo]:
        """With the chosen unit."""
        unit = base_unit(params.unit) if params.unit is not None else None
        return {**self.measures, "value": MeasureInfo(unit, self.measures["value"].help)}

    async def look(self, params: CloudWatchMetricParams, aws: Asker) -> Observation:
        """Ask once, together with whoever else asks now."""
        [answer] = await ask_metrics(aws, [params.query()])
        usable = [finite for series in answer.series if (finite := _finite(series)).points]
        if len(usable) > _SERIES_MAX:
            raise ProbeError(f"the expression gives {len(usable)} series, more than {_SERIES_MAX}: aggregate", "limit")
        measurements = self._measure(params, usable, aws)
        return Observation(tuple(measurements), _evidence(answer), _note(params, answer, usable))

    def _measure(self, params: CloudWatchMetricParams, usable: list[Series], aws: Asker) -> list[Measurement]:
        reduce = reducer(params.reduce)
        called = (lambda series: series.label) if len(usable) > 1 else (lambda _: "")
        found = [
            Measurement("value", *_in_base_unit(reduce([value for _, value in series.points]), params), called(series))
            for series in usable
        ]
        if not usable and params.empty != "missing":
            found.append(Measurement("value", *_in_base_unit(float(params.empty), params)))
        newest = max((series.points[-1][0] for series in usable), default=None)
        points = sum(len(series.points) for series in usable)
        age = None if newest is None else max(0.0, (aws.now - newest - params.period).total_seconds())
        return [*found, *self.measured({"age": age, "points": points, "series_count": len(usable)})]


def _finite(series: Series) -> Series:
    return Series(series.label, tuple(point for point in series.points if math.isfinite(point[1])))


def _in_base_unit(value: float, params: CloudWatchMetricParams) -> tuple[float, Unit | None]:
    return scaled(value, params.unit) if params.unit is not None else (value, None)


def _note(params: CloudWatchMetricParams, answer: Answer, usable: list[Series]) -> str:
    if usable:
        return ""
    if any(series.points for series in answer.series):
        return "only NaN or infinity in the time looked at"
    asked = "; ".join(_words(metric) for metric in params.query().metrics)
    what = f"{params.expression} ({asked})" if params.expression and asked else params.expression or asked
    return f"no data in the last {format_duration(params.reach.total_seconds())}: {what}"


def _words(metric: Metric) -> str:
    dimensions = ", ".join(f"{name}={value}" for name, value in metric.dimensions)
    return f"{metric.namespace} {metric.metric} {dimensions}".rstrip()


def _evidence(answer: Answer) -> tuple[Evidence, ...]:
    return (Evidence("CloudWatch says", "\n".join(answer.messages)[:1000]),) if answer.messages else ()
