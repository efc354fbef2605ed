"""`cloudfront`: how much of a distribution's traffic comes from its cache, and whether it is deployed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.aws.metric_query import Answer, Metric, Query
from healthd.probes.aws.metrics import GET_METRIC_DATA, ask_metrics
from healthd.probes.aws.operations import Fields, Operation
from healthd.probes.aws.params import AwsParams
from healthd.probes.aws.probe import Asker, AwsProbe, count_of, text_of
from healthd.probes.base import Duration, MeasureInfo, Observation

GET_DISTRIBUTION = Operation(
    "cloudfront",
    "get_distribution",
    "cloudfront:GetDistribution",
    resource="arn:aws:cloudfront::*:distribution/{Id}",
)
_REGION = "us-east-1"  # where CloudFront's metrics are, whatever the edge
_RATES = ("CacheHitRate", "4xxErrorRate", "5xxErrorRate")


class CloudFrontParams(AwsParams):
    """Which distribution, and over what time its traffic is looked at. `status: false` needs one permission less."""

    distribution: str = Field(pattern=r"^[A-Z0-9]+$")
    over: Duration = Field(timedelta(hours=1), ge=timedelta(minutes=5), le=timedelta(days=15))
    status: bool = True


class CloudFrontProbe(AwsProbe):
    """Rates are weighted by requests: a quiet hour counts less than a busy one."""

    Params: ClassVar[type[base.Params]] = CloudFrontParams
    operations: ClassVar[tuple[Operation, ...]] = (GET_METRIC_DATA, GET_DISTRIBUTION)
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "requests": count_of("viewers' requests in that time"),
        "cache_hit_rate": MeasureInfo(Unit.RATIO, "of cacheable requests; absent unless additional metrics are on"),
        "error_4xx_rate": MeasureInfo(Unit.RATIO, "of all requests; absent without requests"),
        "error_5xx_rate": MeasureInfo(Unit.RATIO, "of all requests; absent without requests"),
        "status": text_of("Deployed or InProgress"),
        "enabled": count_of("1 when it serves"),
    }

    def measures_for(self, params: CloudFrontParams) -> Mapping[str, MeasureInfo]:
        """Its state only where it is asked for."""
        off = () if params.status else ("status", "enabled")
        return {name: info for name, info in self.measures.items() if name not in off}

    def needs(self, params: CloudFrontParams) -> tuple[Operation, ...]:
        """What its parameters ask for."""
        return self.operations if params.status else (GET_METRIC_DATA,)

    def fields(self, params: CloudFrontParams) -> Fields:
        """The distribution."""
        return {"Id": (params.distribution,)}

    async def look(self, params: CloudFrontParams, aws: Asker) -> Observation:
        """Ask for all metrics at once."""
        period = 300 if params.over <= timedelta(days=1) else 3600
        dimensions = (("DistributionId", params.distribution), ("Region", "Global"))
        names = (("Requests", "Sum"), *((name, "Average") for name in _RATES))
        queries = [
            Query((Metric("m", "AWS/CloudFront", name, statistic, dimensions),), period, params.over)
            for name, statistic in names
        ]
        (requests, *rates), state = await asyncio.gather(
            ask_metrics(aws, queries, region=_REGION), self._state(params, aws)
        )
        hit, errors_4xx, errors_5xx = (_weighted(rate, requests) for rate in rates)
        found: dict[str, float | str | None] = {
            "requests": sum(value for series in requests.series for _, value in series.points),
            "cache_hit_rate": hit,
            "error_4xx_rate": errors_4xx,
            "error_5xx_rate": errors_5xx,
        }
        serves = state.get("enabled", True)
        missing = "no cache hit rate: are additional metrics on, and did anybody ask for something?"
        return Observation(self.measured(found | state), (), missing if hit is None and serves else "")

    async def _state(self, params: CloudFrontParams, aws: Asker) -> dict[str, float | str | None]:
        if not params.status:
            return {}
        distribution = (await aws.answer(GET_DISTRIBUTION, Id=params.distribution)).get("Distribution", {})
        enabled = bool(distribution.get("DistributionConfig", {}).get("Enabled"))
        return {"status": distribution.get("Status"), "enabled": enabled}


def _weighted(rate: Answer, requests: Answer) -> float | None:
    """A rate in percent as the ratio of all requests it speaks of; None without any."""
    weights = {at: value for series in requests.series for at, value in series.points}
    points = [(value, weights.get(at, 0.0)) for series in rate.series for at, value in series.points]
    total = sum(weight for _, weight in points)
    return sum(value * weight for value, weight in points) / total / 100 if total else None
