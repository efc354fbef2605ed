"""Cost Explorer: what each service costs a day, and since when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from healthd.sandbox.parts.aws.wire import Refusal

_CURRENCY = "USD"


class Costs:
    """Answers GetCostAndUsage and GetCostForecast."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._rates: dict[str, dict[date, float]] = {}  # service: {first day: a day's costs}

    def put(self, service: str, per_day: float, since: str | None = None) -> None:
        """What a service costs a day; from a day on (ISO), or at all times."""
        if since is None:
            self._rates[service] = {date.min: per_day}
        else:
            self._rates.setdefault(service, {})[date.fromisoformat(since)] = per_day

    def get_cost_and_usage(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """By day or month, all together or by service."""
        today = self._clock().date()
        results = []
        for start, end in _stretches(parameters):
            days = [start + timedelta(days=ago) for ago in range((end - start).days)]
            spent = {
                service: sum(self._rate(service, day) for day in days if day <= today)
                for service in self._services(parameters.get("Filter", {}))
            }
            metrics = parameters["Metrics"]
            grouped = bool(parameters.get("GroupBy"))
            result: dict[str, Any] = {"TimePeriod": {"Start": str(start), "End": str(end)}, "Estimated": end > today}
            result["Total"] = {} if grouped else _amounts(metrics, sum(spent.values()))
            result["Groups"] = (
                [{"Keys": [name], "Metrics": _amounts(metrics, cost)} for name, cost in spent.items() if cost]
                if grouped
                else []
            )
            results.append(result)
        return {"ResultsByTime": results, "GroupDefinitions": parameters.get("GroupBy", [])}

    def get_cost_forecast(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Today's rate for the days asked for."""
        start, end = _period(parameters)
        if start < self._clock().date():
            raise Refusal("ValidationException", "Start date can't be before today")
        services = self._services(parameters.get("Filter", {}))
        total = sum(self._rate(service, start) for service in services) * (end - start).days
        if not total:
            raise Refusal("DataUnavailableException", "Insufficient amount of historical data to generate forecast.")
        return {"Total": {"Amount": f"{total:.4f}", "Unit": _CURRENCY}, "ForecastResultsByTime": []}

    def _rate(self, service: str, day: date) -> float:
        rates = self._rates[service]
        return rates[max(since for since in rates if since <= day)] if min(rates) <= day else 0.0

    def _services(self, wanted: Mapping[str, Any]) -> list[str]:
        """Those a filter lets through; nothing here has tags."""
        parts = wanted.get("And", [wanted] if wanted else [])
        if any("Tags" in part for part in parts):
            return []
        names = [part["Dimensions"]["Values"] for part in parts if part["Dimensions"]["Key"] == "SERVICE"]
        return [service for service in self._rates if all(service in values for values in names)]


def _period(parameters: Mapping[str, Any]) -> tuple[date, date]:
    period = parameters["TimePeriod"]
    return date.fromisoformat(period["Start"][:10]), date.fromisoformat(period["End"][:10])


def _stretches(parameters: Mapping[str, Any]) -> Iterator[tuple[date, date]]:
    start, end = _period(parameters)
    while start < end:
        monthly = parameters.get("Granularity") == "MONTHLY"
        following = (start.replace(day=1) + timedelta(days=32)).replace(day=1) if monthly else start + timedelta(days=1)
        yield start, min(following, end)
        start = following


def _amounts(metrics: list[str], amount: float) -> dict[str, Any]:
    return {metric: {"Amount": f"{amount:.4f}", "Unit": _CURRENCY} for metric in metrics}
