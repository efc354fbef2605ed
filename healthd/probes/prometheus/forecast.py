"""The `prometheus_forecast` probe: where a value is heading. See docs/probes/prometheus_forecast.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.conditions import Comparison, Condition, parse_condition
from healthd.model.line import Line, fit
from healthd.model.outcomes import Evidence, Measurement, Observation
from healthd.model.units import Unit, UnitError
from healthd.probes.base import Duration, MeasureInfo, Params, ProbeContext
from healthd.probes.json_api import ApiParams
from healthd.probes.prometheus.api import ask, range_form, series_of
from healthd.probes.prometheus.series import Series, check_template, named
from healthd.probes.scale import UnitName, base_unit, scaled

DAY = 86400.0
NEVER = 3650.0  # days: as far as a line is drawn
_POINTS_MAX = 11_000  # Prometheus' own limit per series
_ABOVE, _BELOW = (">", ">="), ("<", "<=")
_NAMED = 3


def _limit(value: Any) -> Condition:
    """`80%` is `>= 80%`: what is reached from below."""
    if isinstance(value, Condition):
        return value
    text = str(value).strip()
    condition = parse_condition(f">= {text}" if text[:1].isdigit() or text[:1] in "+-.$" else text)
    if not isinstance(condition.test, Comparison) or condition.test.op not in (*_ABOVE, *_BELOW):
        raise ValueError(f"{text!r} is not a limit: expected something like >= 80% or < 10%")
    return condition


Limit = Annotated[
    Any, BeforeValidator(_limit), WithJsonSchema({"type": ["string", "number"], "examples": [">= 80%", "< 10%"]})
]


class ForecastParams(ApiParams):
    """Parameters of the `prometheus_forecast` probe."""

    query: str = Field(min_length=1)
    over: Duration = timedelta(days=7)
    step: Duration = timedelta(hours=1)
    within: Duration = timedelta(days=7)
    limit: Limit | None = None
    unit: UnitName | None = None
    series: Annotated[str, AfterValidator(check_template)] | None = None
    min_quality: float = Field(0.7, ge=0, le=1)
    min_points: int = Field(10, ge=3)

    @model_validator(mode="after")
    def _consistent(self) -> ForecastParams:
        if self.step <= timedelta(0) or self.over / self.step < self.min_points:
            raise ValueError("over / step must give at least min_points: take a shorter step")
        if self.over / self.step > _POINTS_MAX:
            raise ValueError(f"over / step gives more than {_POINTS_MAX} points: take a longer step")
        if self.limit is not None:
            try:
                self.limit.limits(base_unit(self.unit) if self.unit is not None else None)
            except UnitError as error:
                raise ValueError(f"limit: {error}") from None
        return self


class PrometheusForecastProbe:
    """A straight line through the past, drawn on. A line that does not fit says nothing."""

    Params: ClassVar[type[Params]] = ForecastParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "current": MeasureInfo(None, "the last value, one per series"),
        "forecast": MeasureInfo(None, "the value in `within`; absent where the fit is poor"),
        "days_left": MeasureInfo(Unit.DAYS, "until `limit` is reached, 3650 for never; absent where the fit is poor"),
        "change_per_day": MeasureInfo(None, "the slope of the line; absent where the fit is poor"),
        "quality": MeasureInfo(Unit.RATIO, "R²: how much of what happened the line explains"),
        "points": MeasureInfo(Unit.COUNT, "values the line was drawn through"),
        "series_count": MeasureInfo(Unit.COUNT, "series with at least one value"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: ForecastParams) -> Mapping[str, MeasureInfo]:
        """With their units; `days_left` only with a limit."""
        unit = base_unit(params.unit) if params.unit is not None else None
        known = {n: MeasureInfo(unit, i.help) if i.unit is None else i for n, i in self.measures.items()}
        return known if params.limit is not None else {n: i for n, i in known.items() if n != "days_left"}

    async def run(self, params: ForecastParams, context: ProbeContext) -> Observation:
        """Ask once. A Prometheus that cannot be asked, or refuses the query, is a ProbeError."""
        step = params.step.total_seconds()
        end = context.now.timestamp() // step * step  # the same points for all checks that ask within one step
        form = range_form(params.query, end - params.over.total_seconds(), end, step, context)
        answer = await ask(params, "/api/v1/query_range", form, context)
        found = named((s for s in series_of(params, answer) if s.values), params.series)
        measurements = [Measurement("series_count", float(len(found)), Unit.COUNT)]
        poor: list[str] = []
        for name, series in found.items():
            line = _line(params, series, context)
            measurements += _measure(params, name, series, line)
            if not _fits(params, series, line):
                poor.append(name or "the series")
        evidence = (Evidence("query", params.redact(params.query)[:1000]),)
        return Observation(tuple(measurements), evidence, _note(params, found, poor))


def _line(params: ForecastParams, series: Series, context: ProbeContext) -> Line | None:
    values = [_scaled(value, params)[0] for value in series.values]
    return fit(series.times, values, context.now.timestamp())


def _fits(params: ForecastParams, series: Series, line: Line | None) -> bool:
    return line is not None and len(series.values) >= params.min_points and line.quality >= params.min_quality


def _scaled(value: float, params: ForecastParams) -> tuple[float, Unit | None]:
    return scaled(value, params.unit) if params.unit is not None else (value, None)


def _measure(params: ForecastParams, name: str, series: Series, line: Line | None) -> Iterator[Measurement]:
    current, unit = _scaled(series.values[-1], params)
    yield Measurement("current", current, unit, name)
    yield Measurement("points", float(len(series.values)), Unit.COUNT, name)
    if line is not None:
        yield Measurement("quality", line.quality, Unit.RATIO, name)
    fits = _fits(params, series, line)
    if fits and line is not None:
        yield Measurement("forecast", line.after(params.within.total_seconds()), unit, name)
        yield Measurement("change_per_day", line.slope * DAY, unit, name)
    if params.limit is not None:
        days = _days_left(params.limit, current, unit, line if fits else None)
        if days is not None:
            yield Measurement("days_left", days, Unit.DAYS, name)


def _days_left(limit: Condition, current: float, unit: Unit | None, line: Line | None) -> float | None:
    """0 when it is reached already, whatever the line; None when there is no line to go by."""
    if limit.holds(current, unit):
        return 0.0
    if line is None:
        return None
    edge = limit.limits(unit)[0]
    assert isinstance(limit.test, Comparison)
    rises = limit.test.op in _ABOVE
    if (line.slope > 0) != rises or line.slope == 0:
        return NEVER
    return min(NEVER, max(0.0, line.seconds_to(edge) / DAY if (edge > line.value) == rises else 0.0))


def _note(params: ForecastParams, found: Mapping[str, Series], poor: list[str]) -> str:
    if not found:
        return "the query gives no series"
    if not poor:
        return ""
    more = f" and {len(poor) - _NAMED} more" if len(poor) > _NAMED else ""
    return f"no forecast for {', '.join(poor[:_NAMED])}{more}: too few points, or a line does not fit them"
