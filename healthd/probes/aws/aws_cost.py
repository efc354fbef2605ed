"""`aws_cost`: what is spent, by service, against a budget and against the time before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from healthd.model.outcomes import Evidence, Measurement
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.aws.errors import AwsError
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams
from healthd.probes.aws.probe import Asker, AwsProbe, text_of
from healthd.probes.base import MeasureInfo, Observation, OneOrMany

COSTS = Operation(
    "ce", "get_cost_and_usage", "ce:GetCostAndUsage", "ResultsByTime", token=("NextPageToken", "NextPageToken")
)
FORECAST = Operation("ce", "get_cost_forecast", "ce:GetCostForecast")
_SERVICES_SHOWN = 20

Metric = Literal["UnblendedCost", "BlendedCost", "AmortizedCost", "NetUnblendedCost", "NetAmortizedCost"]
_FORECASTS = {
    "UnblendedCost": "UNBLENDED_COST", "BlendedCost": "BLENDED_COST", "AmortizedCost": "AMORTIZED_COST",
    "NetUnblendedCost": "NET_UNBLENDED_COST", "NetAmortizedCost": "NET_AMORTIZED_COST",
}  # fmt: skip


class AwsCostParams(AwsParams):
    """This month so far, or the last full `days`; `services` and `tags` narrow it."""

    days: int | None = Field(None, ge=1, le=180)
    budget: float | None = Field(None, gt=0)
    services: OneOrMany = ()
    tags: Mapping[str, OneOrMany] = Field(default_factory=dict)
    metric: Metric = "UnblendedCost"
    forecast: bool = False

    def filter(self) -> dict[str, Any]:
        """As a request has it."""
        parts: list[dict[str, Any]] = [
            {"Tags": {"Key": key, "Values": list(values)}} for key, values in self.tags.items()
        ]
        if self.services:
            parts.append({"Dimensions": {"Key": "SERVICE", "Values": list(self.services)}})
        if not parts:
            return {}
        return {"Filter": parts[0] if len(parts) == 1 else {"And": parts}}


@dataclass(frozen=True, slots=True)
class _Span:
    """Two stretches of days (UTC, as AWS bills) that can be compared, and what of today is in neither."""

    before: tuple[date, date]  # first day, day after the last
    now: tuple[date, date]
    today: date


@dataclass(slots=True)
class _Spent:
    """Sums of a stretch, by service."""

    by_service: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def total(self) -> float:
        return sum(self.by_service.values())


class AwsCostProbe(AwsProbe):
    """One request to Cost Explorer for everything but the forecast."""

    Params: ClassVar[type[base.Params]] = AwsCostParams
    operations: ClassVar[tuple[Operation, ...]] = (COSTS, FORECAST)
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "spend": MeasureInfo(Unit.CURRENCY, "this month with today so far, or the last full days"),
        "previous": MeasureInfo(Unit.CURRENCY, "in as many full days of last month, or before the days"),
        "change": MeasureInfo(Unit.RATIO, "full days against previous: 20% is a fifth more; absent without previous"),
        "budget_ratio": MeasureInfo(Unit.RATIO, "spend of the budget; with budget"),
        "forecast": MeasureInfo(Unit.CURRENCY, "of the whole month; with forecast, absent when AWS cannot tell yet"),
        "forecast_ratio": MeasureInfo(Unit.RATIO, "forecast of the budget; with forecast and budget"),
        "service_spend": MeasureInfo(Unit.CURRENCY, "spend of each of the twenty most expensive services"),
        "currency": text_of("such as USD"),
    }

    def measures_for(self, params: AwsCostParams) -> Mapping[str, MeasureInfo]:
        """Those of a budget and a forecast where there is one."""
        off = {
            *(() if params.budget else ("budget_ratio", "forecast_ratio")),
            *(() if params.forecast else ("forecast", "forecast_ratio")),
        }
        return {name: info for name, info in self.measures.items() if name not in off}

    def needs(self, params: AwsCostParams) -> tuple[Operation, ...]:
        """What its parameters ask for."""
        return (COSTS, FORECAST) if params.forecast else (COSTS,)

    async def look(self, params: AwsCostParams, aws: Asker) -> Observation:
        """Ask for every day by service, then add up."""
        span = _span(aws, params.days)
        request = {
            "TimePeriod": {"Start": str(span.before[0]), "End": str(span.today + timedelta(days=1))},
            "Granularity": "DAILY",
            "Metrics": [params.metric],
            "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}],
            **params.filter(),
        }
        days = await aws.items(COSTS, **request)
        before, full = _add_up(days, span.before, params), _add_up(days, span.now, params)
        end = span.now[1] if params.days else span.today + timedelta(days=1)
        spent = _add_up(days, (span.now[0], end), params)
        rest, note = await self._forecast(params, span, aws)
        found: dict[str, float | str | None] = {
            "spend": spent.total,
            "previous": before.total,
            "change": (full.total - before.total) / before.total if before.total > 0 else None,
            "budget_ratio": spent.total / params.budget if params.budget else None,
            "currency": _currency(days, params),
        }
        if rest is not None:
            found["forecast"] = full.total + rest
            found["forecast_ratio"] = (full.total + rest) / params.budget if params.budget else None
        ranked = sorted(spent.by_service.items(), key=lambda one: -one[1])[:_SERVICES_SHOWN]
        measurements = [
            *self.measured(found),
            *(Measurement("service_spend", value, Unit.CURRENCY, name) for name, value in ranked),
        ]
        lines = [f"{name}: {value:.2f} (before {before.by_service.get(name, 0.0):.2f})" for name, value in ranked]
        evidence = (Evidence("By service", "\n".join(lines)),) if lines else ()
        return Observation(tuple(measurements), evidence, note)

    async def _forecast(self, params: AwsCostParams, span: _Span, aws: Asker) -> tuple[float | None, str]:
        """What the days from today to the end of the month will cost, and why that is not known."""
        if not params.forecast:
            return None, ""
        request = {
            "TimePeriod": {"Start": str(span.today), "End": str(_next_month(span.today))},
            "Metric": _FORECASTS[params.metric],
            "Granularity": "MONTHLY",
            **params.filter(),
        }
        try:
            answer = await aws.answer(FORECAST, **request)
        except AwsError as error:  # what was spent is worth knowing all the same
            return None, f"no forecast: {error.reason}"
        return float(answer["Total"]["Amount"]), ""


def _span(aws: Asker, days: int | None) -> _Span:
    today = aws.now.astimezone(UTC).date()
    if days is not None:
        start = today - timedelta(days=days)
        return _Span((start - timedelta(days=days), start), (start, today), today)
    first = today.replace(day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    # the 31st has no counterpart in a shorter month: then all of it
    return _Span((before, min(before + (today - first), first)), (first, today), today)


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _add_up(days: Sequence[Mapping[str, Any]], between: tuple[date, date], params: AwsCostParams) -> _Spent:
    spent = _Spent()
    for day in days:
        if between[0] <= date.fromisoformat(day["TimePeriod"]["Start"][:10]) < between[1]:
            for group in day.get("Groups", ()):
                spent.by_service[group["Keys"][0]] += float(group["Metrics"][params.metric]["Amount"])
    return spent


def _currency(days: Sequence[Mapping[str, Any]], params: AwsCostParams) -> str | None:
    units = (group["Metrics"][params.metric].get("Unit") for day in days for group in day.get("Groups", ()))
    return next((unit for unit in units if unit), None)
